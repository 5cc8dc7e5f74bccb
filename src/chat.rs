//! `trunkline chat`: a terminal client. One room at a time, plain lines in and out, so that a
//! script can drive it through pipes as a person does by hand.
//!
//! It keeps its place over a lost connection: the same room from the last position, the inbox
//! too, and the line that was on its way is sent again under its key.

mod input;
mod line;
mod place;
mod screen;
mod talk;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::mpsc;
use trunkline_client::{Client, ConnectError, Events};

use crate::chat::place::Place;
use crate::chat::screen::Screen;
use crate::chat::talk::{Ending, Talk};

/// Chat in the terminal.
#[derive(clap::Args)]
pub(crate) struct ChatArgs {
    /// The router's address.
    #[arg(long, default_value = "ws://127.0.0.1:8080")]
    url: String,
    /// Your name, where the server believes it (auth mode "open"); without one you are a guest.
    #[arg(long)]
    user: Option<String>,
    /// The room to begin in.
    #[arg(long, default_value = "lobby")]
    room: String,
    /// A token that says who you are (auth mode "jwt").
    #[arg(long)]
    token: Option<String>,
}

/// Chats until `/quit`, the end of the input, or a loss that there is no coming back from.
///
/// # Errors
/// When the first connection can't be made, the server closes for good, or stdout is gone.
pub(crate) async fn run(args: ChatArgs) -> anyhow::Result<()> {
    let is_terminal = std::io::stdout().is_terminal();
    // To erase what is echoed by the terminal, both sides must be it.
    let erases = is_terminal && std::io::stdin().is_terminal();
    let screen = Screen::new(Box::new(std::io::stdout()), is_terminal, erases);
    let place = Place::new(args.url, args.user, args.token, args.room);
    chat(place, screen, input::lines()).await
}

async fn chat(
    mut place: Place,
    mut screen: Screen,
    mut lines: mpsc::Receiver<String>,
) -> anyhow::Result<()> {
    let (mut client, mut events) = Client::connect(place.options()).await?;
    loop {
        place.met(&client);
        let talk = Talk { client: &client, events: &mut events, screen: &mut screen };
        let closed = match talk.run(&mut place, &mut lines).await? {
            Ending::Quit => {
                client.close().await;
                return Ok(());
            }
            Ending::Lost(closed) => closed,
        };
        if !closed.code.comes_back() {
            bail!(closed);
        }
        screen.notice(&format!("{closed}; coming back…"))?;
        (client, events) = come_back(&place).await?;
        screen.notice("connected again")?;
    }
}

/// Connects again, for as long as there is hope, with growing and jittered pauses.
async fn come_back(place: &Place) -> anyhow::Result<(Client, Events)> {
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(15))
        .without_max_times();
    for pause in pauses.build() {
        tokio::time::sleep(pause).await;
        match Client::connect(place.options()).await {
            Ok(connected) => return Ok(connected),
            Err(error) if may_pass(&error) => {}
            Err(error) => bail!(error),
        }
    }
    bail!("there is no coming back; start again")
}

fn may_pass(error: &ConnectError) -> bool {
    match error {
        ConnectError::Io(_) | ConnectError::Timeout(_) => true,
        // A router that is full, or has lost its shards, answers with 503.
        ConnectError::Refused { status, .. } => status.is_server_error(),
        ConnectError::Closed(closed) => closed.code.comes_back(),
        // A socket that is cut in the middle of the upgrade.
        ConnectError::Handshake(_) => true,
        ConnectError::Url { .. } | ConnectError::NeedsTls | ConnectError::NotWelcome(_) => false,
    }
}

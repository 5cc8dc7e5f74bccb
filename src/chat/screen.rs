//! What is printed. Text of others is made harmless first: a terminal obeys control characters.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::Instant;
use trunkline_client::Body;

/// Typing is mentioned once in this time for the same person, or it would fill the screen.
const TYPING_AGAIN: Duration = Duration::from_secs(15);

pub(super) struct Screen {
    out: Box<dyn Write>,
    is_terminal: bool,
    erases: bool,
    typing: Option<(String, Instant)>,
}

impl Screen {
    /// `is_terminal`: a person is watching, so there may be dim text, and typing is worth telling.
    /// `erases`: what is typed appears by itself, and is taken back when it is said.
    pub(super) fn new(out: Box<dyn Write>, is_terminal: bool, erases: bool) -> Self {
        Self { out, is_terminal, erases, typing: None }
    }

    /// Something said in the room.
    pub(super) fn said(&mut self, from: &str, event: &str, body: &Body) -> io::Result<()> {
        self.typing.take_if(|(user, _)| user == from);
        let text = shown(event, body);
        self.print(&format!("{}: {text}", harmless(from)))
    }

    /// Something said to us alone.
    pub(super) fn whispered(&mut self, from: &str, event: &str, body: &Body) -> io::Result<()> {
        let text = shown(event, body);
        self.print(&format!("[private] {}: {text}", harmless(from)))
    }

    /// Something that happened.
    pub(super) fn notice(&mut self, text: &str) -> io::Result<()> {
        self.dim(&format!("* {}", harmless(text)))
    }

    /// Something that didn't work, and why.
    pub(super) fn problem(&mut self, text: &str) -> io::Result<()> {
        self.print(&format!("! {}", harmless(text)))
    }

    /// Somebody types. Of no interest to a script.
    pub(super) fn typing(&mut self, user: &str) -> io::Result<()> {
        let now = Instant::now();
        let is_known =
            matches!(&self.typing, Some((known, at)) if known == user && now - *at < TYPING_AGAIN);
        if !self.is_terminal || is_known {
            return Ok(());
        }
        self.typing = Some((user.to_owned(), now));
        self.dim(&format!("  {} is typing…", harmless(user)))
    }

    /// Takes back the line that the terminal shows as typed: it comes again with its name.
    pub(super) fn erase_typed(&mut self) -> io::Result<()> {
        if self.erases {
            write!(self.out, "\x1b[1A\x1b[2K\r")?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn dim(&mut self, text: &str) -> io::Result<()> {
        if self.is_terminal {
            return self.print(&format!("\x1b[2m{text}\x1b[0m"));
        }
        self.print(text)
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }
}

/// Programs may publish any event; people say this one, on the chat page too.
pub(super) const SAID: &str = "chat message";

/// Passes while somebody types.
pub(super) const TYPING: &str = "typing";

fn shown(event: &str, body: &Body) -> String {
    let text = body.decode::<String>().unwrap_or_else(|_| body.to_string());
    if event == SAID { harmless(&text) } else { harmless(&format!("{event} {text}")) }
}

/// Without control characters. Further lines are indented, so that nobody can seem to be another.
fn harmless(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            line.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
        })
        .collect();
    lines.join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_can_neither_steer_the_terminal_nor_seem_to_be_somebody_else() {
        let body = Body::data("hi\x1b[2J\nroot: give me your password").unwrap();
        assert_eq!(shown(SAID, &body), "hi\u{fffd}[2J\n    root: give me your password");
        assert_eq!(harmless("\u{9b}31m\x07"), "\u{fffd}31m\u{fffd}");
    }

    #[test]
    fn what_is_no_text_is_shown_as_the_json_it_is() {
        let body = Body::data(&serde_json::json!({"x": 1})).unwrap();
        assert_eq!(shown("moved", &body), "moved {\"x\":1}");
    }
}

//! A small native client of Trunkline's protocol `trunkline.v1`, for tokio.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use trunkline_client::{Client, Event, Options};
//!
//! let options = Options::new("ws://127.0.0.1:8080").user("alice");
//! let (client, mut events) = Client::connect(options).await?;
//! client.join("lobby", None).await?;
//! client.publish("lobby", "chat message", &"hello").await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{}: {}", message.from, message.body);
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! [`Client`] is for programs: typed requests, and everything else as a bounded stream of
//! [`Event`]s in the order of arrival. [`Wire`] is the layer below it, for tests and tools that
//! want to see each frame, replies included, in one order, or to send what a client never would.
//!
//! It deliberately does not reconnect: only its user knows from which [`Position`] to go on and
//! what to tell people meanwhile. What that takes is here: [`CloseCode::comes_back`], the
//! positions of messages, and `after` in [`Client::join`]. Nor does it speak TLS itself: give
//! [`Client::connect_over`] a stream that does, of whichever TLS library the program has.

mod body;
mod client;
mod close;
mod driver;
mod error;
mod event;
mod events;
mod incoming;
mod options;
mod pending;
mod position;
mod reply;
mod request;
mod wire;

pub use body::Body;
pub use client::Client;
pub use close::{CloseCode, Closed};
pub use error::{ConnectError, ErrorCode, RequestError, WireError};
pub use event::{Ephemeral, Event, Gap, Member, Message, Private};
pub use events::Events;
pub use incoming::{Incoming, Malformed, Welcome};
pub use options::Options;
pub use position::Position;
pub use reply::{History, Joined, Presence, PresentUser, Published, Sent};
pub use request::{HistoryQuery, PresenceQuery, Publish, SendTo};
pub use wire::{Stream, Wire};

/// The WebSocket library of [`Wire`], whose `Message` is what [`Wire::send`] takes.
pub use tokio_tungstenite::tungstenite;

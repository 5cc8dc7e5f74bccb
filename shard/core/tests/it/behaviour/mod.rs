//! Facts about the core's behaviour, each in a few lines, in a world where nothing fails by chance.

mod adoption;
mod alone;
mod apart;
mod api;
mod attachments;
mod fences;
mod held_sockets;
mod history;
mod in_between;
mod links;
mod lives;
mod mistakes;
mod moves;
mod out_of_reach;
#[cfg(debug_assertions)] // only then there are faults
mod planted;
mod presence;
mod private;
mod recovery;
mod repeats;
mod rescue;
mod rooms;
mod rules;
mod slow_logs;
mod socketio;
mod sockets;
mod succession;
mod tokens;
mod town;
mod unseen;

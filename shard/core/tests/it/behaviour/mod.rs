//! Facts about the core's behaviour, each in a few lines, in a world where nothing fails by chance.

mod history;
mod links;
mod mistakes;
mod presence;
mod private;
mod repeats;
mod rooms;
mod tokens;
mod town;

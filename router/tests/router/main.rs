//! A started router between real sockets and a shard that the tests play.

mod api;
mod bad_input;
mod echo;
mod engine;
mod fan_out;
mod harness;
mod heartbeat;
mod hold;
mod http;
mod moves;
mod pressure;
mod shutdown;
mod start;
mod tls;
mod tokens;
mod trunk;

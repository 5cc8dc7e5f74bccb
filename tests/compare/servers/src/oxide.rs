//! socketioxide on axum, as their documentation recommends: rooms, private messages, typing.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::serve::ListenerExt;
use clap::Parser;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, Extension, SocketRef, State};
use socketioxide::handler::ConnectHandler;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    port: u16,
    /// The key of the HS256 tokens that clients must bring; without it their names are believed
    #[arg(long)]
    jwt_key: Option<String>,
}

/// Who checks tokens, if any are asked for.
#[derive(Clone)]
struct Guard(Option<Arc<(DecodingKey, Validation)>>);

/// Who speaks on a connection.
#[derive(Clone)]
struct User(String);

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let guard = Guard(args.jwt_key.map(|key| {
        let key = DecodingKey::from_secret(key.as_bytes());
        Arc::new((key, Validation::new(Algorithm::HS256)))
    }));
    let (layer, io) = SocketIo::builder().with_state(guard).build_layer();
    io.ns("/", connected.with(known));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    println!("ready {}", listener.local_addr()?.port());
    // As axum advises: small messages don't wait for the acknowledgement of the ones before.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}

/// Learns who speaks; with a guard only from a good token.
async fn known(socket: SocketRef, State(Guard(guard)): State<Guard>) -> Result<(), &'static str> {
    let query = socket.req_parts().uri.query().unwrap_or_default();
    let value = |name: &str| {
        let pair = |pair: &'_ str| Some(pair.split_once('=')?.1.to_owned());
        query.split('&').find(|it| it.split('=').next() == Some(name)).and_then(pair)
    };
    let user = match guard {
        None => value("user").ok_or("no user")?,
        Some(guard) => {
            let token = value("token").ok_or("no token")?;
            let token = jsonwebtoken::decode::<Claims>(&token, &guard.0, &guard.1);
            token.map_err(|_| "unauthorized")?.claims.sub
        }
    };
    socket.extensions.insert(User(user));
    listen(&socket);
    Ok(())
}

async fn connected(socket: SocketRef, Extension(User(user)): Extension<User>) {
    socket.join(format!("user:{user}"));
}

/// Registers what clients may ask for: before they are told that they are connected, since what
/// comes in between would be dropped without a word.
fn listen(socket: &SocketRef) {
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        ack.send("ok").ok();
    });
    socket.on("leave", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.leave(room);
        ack.send("ok").ok();
    });
    socket.on("message", message);
    socket.on("private", private);
    socket.on("typing", async |socket: SocketRef, Data::<(String, Value)>((room, payload))| {
        socket.to(room).emit("typing", &payload).await.ok();
    });
}

async fn message(socket: SocketRef, Data((room, payload)): Data<(String, Value)>, ack: AckSender) {
    socket.within(room).emit("message", &payload).await.ok();
    ack.send("ok").ok();
}

async fn private(socket: SocketRef, Data((user, payload)): Data<(String, Value)>, ack: AckSender) {
    socket.within(format!("user:{user}")).emit("private", &payload).await.ok();
    ack.send("ok").ok();
}

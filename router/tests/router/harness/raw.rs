//! A client that sends exactly the bytes that it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use super::soon;

pub(crate) struct Raw {
    stream: TcpStream,
}

/// A frame as a client sends it, with a mask that changes nothing.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).expect("small")),
        length @ 126..=65_535 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(length).expect("small").to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// An upgrade request; `headers` end in `\r\n` each.
pub(crate) fn request(address: SocketAddr, path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("connects") }
    }

    /// A WebSocket, after the 101.
    pub(crate) async fn upgrade(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.become_websocket(address, path).await;
        raw
    }

    /// A WebSocket whose receive buffer is as small as the system allows.
    pub(crate) async fn upgrade_narrow(address: SocketAddr, path: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("set");
        let mut raw = Self { stream: socket.connect(address).await.expect("connects") };
        raw.become_websocket(address, path).await;
        raw
    }

    async fn become_websocket(&mut self, address: SocketAddr, path: &str) {
        self.write(request(address, path, "").as_bytes()).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon("a write", self.stream.write_all(bytes)).await.expect("written");
    }

    /// Writes though the other side may have closed.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) {
        let _ = soon("a write", self.stream.write_all(bytes)).await;
    }

    /// Sends a byte at a time, for ever or until the router has had enough.
    pub(crate) async fn drip(&mut self, start: &[u8], pause: Duration) {
        soon("the router to have enough", async {
            for byte in start.iter().copied().chain(std::iter::repeat(b'x')) {
                if self.stream.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
        })
        .await;
    }

    /// Both directions, to be used at the same time.
    pub(crate) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        self.stream.split()
    }

    /// The head of an answer, with its empty line.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match soon("a head", self.stream.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).expect("text")
    }

    /// Reads over so many bytes of an answer's body.
    pub(crate) async fn skip_body(&mut self, length: usize) {
        let mut body = vec![0; length];
        soon("a body", self.stream.read_exact(&mut body)).await.expect("a body");
    }

    /// The first byte and the payload of the next frame.
    pub(crate) async fn read(&mut self) -> (u8, Vec<u8>) {
        soon("a frame", async {
            let [first, length] = [
                self.stream.read_u8().await.expect("a frame"),
                self.stream.read_u8().await.expect("a frame"),
            ];
            let length = match length {
                126 => u64::from(self.stream.read_u16().await.expect("a length")),
                127 => self.stream.read_u64().await.expect("a length"),
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).expect("fits")];
            self.stream.read_exact(&mut payload).await.expect("a payload");
            (first, payload)
        })
        .await
    }

    /// The code of the router's Close, whatever comes before it, and that the connection ends.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            let (first, payload) = self.read().await;
            if first == 0x88 {
                self.ended().await;
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    /// Reads until the router closes; nothing but the end may come.
    pub(crate) async fn ended(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = soon("the end", self.stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "after the end came {rest:?}");
    }

    /// Everything until the router closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = soon("the end", self.stream.read_to_end(&mut rest)).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}

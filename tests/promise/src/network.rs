//! What is between routers and shards.

/// What is between routers and shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing: all are on one machine.
    Loopback,
    /// The namespaces that `tests/promise/namespaces` has made: routers and clients are in the one
    /// that this process is in, shards in another, and a third passes on what they send.
    Namespaces,
}

/// The namespaces' names and the shards' address, as `tests/promise/namespaces` has them.
const SHARDS: &str = "shards";
const BETWEEN: &str = "between";
const SHARDS_ADDRESS: &str = "10.99.2.2";

impl Network {
    /// Where shards listen.
    pub(crate) fn shards_address(self) -> &'static str {
        match self {
            Self::Loopback => "127.0.0.1",
            Self::Namespaces => SHARDS_ADDRESS,
        }
    }

    /// What a command begins with that is run where the shards are.
    pub(crate) fn at_shards(self) -> Vec<String> {
        match self {
            Self::Loopback => Vec::new(),
            Self::Namespaces => in_namespace(SHARDS),
        }
    }

    /// The command that cuts routers off from shards, or heals that. Packets vanish: nobody is
    /// told, as when a cable is pulled somewhere on the way.
    pub(crate) fn passes(is_open: bool) -> Vec<String> {
        let mut command = in_namespace(BETWEEN);
        let forward = format!("echo {} >/proc/sys/net/ipv4/ip_forward", u8::from(is_open));
        command.extend(["sh".to_owned(), "-c".to_owned(), forward]);
        command
    }
}

fn in_namespace(name: &str) -> Vec<String> {
    ["ip", "netns", "exec", name].map(str::to_owned).to_vec()
}

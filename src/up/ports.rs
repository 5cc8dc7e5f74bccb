//! Free ports for addresses that leave theirs open.
//!
//! They are taken outside of the range from which the kernel gives ports to outgoing
//! connections. Within it, a port that was free when it was chosen could be a connection's own
//! when the child binds it, or, worse, while a child is being restarted.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;

use anyhow::{Context, bail};
use rand::TryRngCore;
use rand::rngs::OsRng;

const EPHEMERAL_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// What Linux gives to outgoing connections, where it doesn't say.
const EPHEMERAL_DEFAULT: Range<u32> = 32_768..61_000;
/// Below are the ports that people choose by hand.
const LOWEST: u32 = 10_000;
const HIGHEST: u32 = 65_536;

/// Chooses ports, none twice.
pub(crate) struct FreePorts {
    candidates: Box<dyn Iterator<Item = u16>>,
    chosen: HashSet<u16>,
    is_free: fn(&str, u16) -> bool,
}

impl FreePorts {
    /// Chooses from this machine's free ports, never one of `reserved`.
    pub(crate) fn new(reserved: impl IntoIterator<Item = u16>) -> Self {
        let range = std::fs::read_to_string(EPHEMERAL_RANGE).ok();
        let ephemeral = range.as_deref().and_then(parse_range).unwrap_or(EPHEMERAL_DEFAULT);
        // Any start will do where there is no randomness.
        let start = OsRng.try_next_u32().unwrap_or_default();
        Self {
            candidates: Box::new(candidates(&ephemeral, start)),
            chosen: reserved.into_iter().collect(),
            is_free,
        }
    }

    /// `HOST:PORT` with a free port in place of 0; any other port stays.
    ///
    /// # Errors
    /// If no port is free on that host.
    pub(crate) fn fill(&mut self, address: &str) -> anyhow::Result<String> {
        let Some((host, "0")) = address.rsplit_once(':') else { return Ok(address.to_owned()) };
        for port in self.candidates.by_ref() {
            if !self.chosen.contains(&port) && (self.is_free)(host, port) {
                self.chosen.insert(port);
                return Ok(format!("{host}:{port}"));
            }
        }
        bail!("no port is free on {host}; check that the host is this machine, or write a port");
    }

    /// [`FreePorts::fill`] for an address without a name.
    ///
    /// # Errors
    /// Like [`FreePorts::fill`].
    pub(crate) fn fill_socket(&mut self, address: SocketAddr) -> anyhow::Result<SocketAddr> {
        self.fill(&address.to_string())?.parse().context("cannot choose a port")
    }
}

fn is_free(host: &str, port: u16) -> bool {
    TcpListener::bind(format!("{host}:{port}")).is_ok()
}

/// Two numbers, both inclusive, as the kernel writes them.
fn parse_range(text: &str) -> Option<Range<u32>> {
    let mut numbers = text.split_whitespace().map(str::parse::<u32>);
    let (from, to) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(from..to.checked_add(1)?)
}

/// Every port outside of the ephemeral range, once, from a place that `start` names; all of them
/// if the range leaves nothing. Clusters that start at once begin in different places.
fn candidates(ephemeral: &Range<u32>, start: u32) -> impl Iterator<Item = u16> + use<> {
    let mut ports: Vec<u32> = (LOWEST..HIGHEST).filter(|port| !ephemeral.contains(port)).collect();
    if ports.is_empty() {
        ports = (LOWEST..HIGHEST).collect();
    }
    let start = start as usize % ports.len();
    ports.rotate_left(start);
    ports.into_iter().filter_map(|port| u16::try_from(port).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(candidates: Vec<u16>, reserved: &[u16]) -> FreePorts {
        FreePorts {
            candidates: Box::new(candidates.into_iter()),
            chosen: reserved.iter().copied().collect(),
            is_free: |_, port| port != 3,
        }
    }

    #[test]
    fn reserved_taken_and_chosen_ports_are_passed_over() {
        let mut ports = from(vec![1, 2, 3, 4, 4, 5], &[1]);
        let chosen: Vec<String> = (0..3).map(|_| ports.fill("h:0").unwrap()).collect();
        assert_eq!(chosen, ["h:2", "h:4", "h:5"]);
        assert!(ports.fill("h:0").is_err());
    }

    #[test]
    fn a_port_that_was_written_stays() {
        assert_eq!(from(vec![], &[]).fill("127.0.0.1:7100").unwrap(), "127.0.0.1:7100");
        let address = "[::1]:10".parse().unwrap();
        assert_eq!(from(vec![], &[]).fill_socket(address).unwrap(), address);
    }

    #[test]
    fn the_kernel_s_own_range_is_left_alone() {
        let range = parse_range("32768\t60999\n").unwrap();
        let ports: Vec<u16> = candidates(&range, 12_345).collect();
        assert_eq!(ports.len(), (32_768 - 10_000) + (65_536 - 61_000));
        assert!(ports.iter().all(|port| *port < 32_768 || *port > 60_999));
        assert_eq!(ports[0], 22_345);
    }

    #[test]
    fn a_range_that_leaves_nothing_is_used_after_all() {
        assert_eq!(candidates(&(1024..65_536), 0).next(), Some(10_000));
        assert_eq!(parse_range("nonsense"), None);
    }

    #[test]
    fn a_chosen_port_can_be_bound() {
        let address = FreePorts::new([]).fill("127.0.0.1:0").unwrap();
        TcpListener::bind(address).unwrap();
    }
}

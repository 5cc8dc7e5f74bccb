//! Reads `cluster.toml` and `shards.toml`, and says everything that is wrong with them at once.
//!
//! Only the files are judged here. Whether a port is free, a name resolves or a certificate is
//! trusted shows when a process starts.

mod application;
mod auth;
mod cluster;
mod event;
mod map;
#[cfg(test)]
mod properties;
mod render;
mod security;
mod socketio;
mod source;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use render::render_map;

use self::cluster::ClusterFile;
use self::map::Reach;
use self::source::Source;
use crate::problem::{Problem, Problems};
use crate::settings::Settings;
use crate::shard_map::ShardMap;
use crate::value::secret::Environment;

/// What a process needs to know before it starts.
#[derive(Debug)]
pub struct Loaded {
    /// The cluster's settings.
    pub settings: Settings,
    /// The shards.
    pub map: ShardMap,
}

/// Reads a `cluster.toml` and the shard map that it names. Paths in a file are relative to its
/// folder, `${NAME}` is taken from this process's environment.
///
/// # Errors
/// Everything that is wrong with both files, including a map that leaves loopback while nothing
/// says how the processes know each other.
pub fn load(cluster: &Path) -> Result<Loaded, Problems> {
    load_from(cluster, None, environment)
}

/// Like [`load`], with this map in place of the one that the file names.
///
/// # Errors
/// Like [`load`].
pub fn load_with_map(cluster: &Path, map: &Path) -> Result<Loaded, Problems> {
    load_from(cluster, Some(map), environment)
}

/// Reads a shard map alone. Whether its shards may be reached over a network is not judged: that
/// is for the `cluster.toml` to say.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_map(path: &Path) -> Result<ShardMap, Problems> {
    let mut problems = Problems::default();
    let map = read(path, environment, &mut problems, unreadable, |s| map::read(s, Reach::Network));
    problems.or(map)
}

/// A file of either kind.
#[derive(Debug)]
pub enum Either {
    /// A `cluster.toml`, with the map that it names.
    Cluster(Box<Loaded>),
    /// A shard map.
    Map(ShardMap),
}

/// Reads a file as what its keys say it is: a shard map if it has any key of one, else a
/// `cluster.toml`.
///
/// # Errors
/// Those of [`load_map`] or [`load`].
pub fn load_either(path: &Path) -> Result<Either, Problems> {
    // What can't be read is not a map; `load` says why it can't.
    let is_map = Source::open(path, environment).is_ok_and(|source| map::is_map(&source));
    if is_map {
        load_map(path).map(Either::Map)
    } else {
        load(path).map(|loaded| Either::Cluster(Box::new(loaded)))
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn load_from(
    path: &Path,
    map_instead: Option<&Path>,
    environment: Environment,
) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let cluster = read(path, environment, &mut problems, unreadable, cluster::read);
    // A file that can't be read, or is not TOML, says nothing about its map either.
    let Some(ClusterFile { mut settings, map, map_line, secured }) = cluster else {
        return problems.or(None);
    };
    let Some(map) = map_instead.map(Path::to_owned).or(map) else { return problems.or(None) };
    settings.shard_map = map;
    let reach = if secured { Reach::Network } else { Reach::Loopback };
    let map_line = map_line.filter(|_| map_instead.is_none());
    let no_map = |map: &Path, error: &std::io::Error| match map_line {
        None => unreadable(map, error),
        Some(_) => Problem {
            file: path.to_owned(),
            line: map_line,
            message: format!(
                "shard_map names {}, which can't be read: {error}; write the path of a shard map",
                map.display()
            ),
        },
    };
    let map =
        read(&settings.shard_map, environment, &mut problems, no_map, |s| map::read(s, reach));
    problems.or(map.map(|map| Loaded { settings, map }))
}

/// Opens a file and reads it by `read`; adds to `problems` what is wrong with it.
fn read<T>(
    path: &Path,
    environment: Environment,
    problems: &mut Problems,
    unreadable: impl FnOnce(&Path, &std::io::Error) -> Problem,
    read: impl FnOnce(&Source) -> Option<T>,
) -> Option<T> {
    let source = Source::open(path, environment)
        .map_err(|error| problems.push(unreadable(path, &error)))
        .ok()?;
    let value = read(&source);
    problems.append(source.into_problems());
    value
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem {
        file: path.to_owned(),
        line: None,
        message: format!("can't be read: {error}; give the path of a readable TOML file"),
    }
}

//! Which files a command reads: those that it is given, `config/cluster.toml` where there is
//! one, or the defaults that are built in, so that trunkline works in any folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use trunkline_config::{Loaded, load, load_with_map};

const DEFAULT_CONFIG: &str = "config/cluster.toml";

/// The files of a cluster.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ClusterFiles {
    /// The cluster's settings [default: config/cluster.toml, or built-in ones if it isn't there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A shard map to use in place of the one that the settings name
    #[arg(long, value_name = "FILE")]
    pub(crate) shard_map: Option<PathBuf>,
}

impl ClusterFiles {
    /// Reads them. `folder` is where the built-in defaults are written if they are needed.
    ///
    /// # Errors
    /// The problems of the files, or what keeps the defaults from being written.
    pub(crate) fn load(&self, folder: &Path) -> anyhow::Result<(PathBuf, Loaded)> {
        let config = match &self.config {
            Some(config) => config.clone(),
            None if Path::new(DEFAULT_CONFIG).exists() => PathBuf::from(DEFAULT_CONFIG),
            None => write_defaults(folder)?,
        };
        let loaded = match &self.shard_map {
            Some(map) => load_with_map(&config, map)?,
            None => load(&config)?,
        };
        Ok((config, loaded))
    }

    /// What a command is given to read the same.
    pub(crate) fn flags(&self) -> String {
        let flag = |name: &str, file: &Option<PathBuf>| {
            file.as_ref().map_or_else(String::new, |file| format!(" --{name} {}", file.display()))
        };
        flag("config", &self.config) + &flag("shard-map", &self.shard_map)
    }

    /// Reads them for a command that is done with them at once.
    ///
    /// # Errors
    /// Like [`ClusterFiles::load`].
    pub(crate) fn load_once(&self) -> anyhow::Result<Loaded> {
        Ok(self.load(temporary_folder()?.path())?.1)
    }
}

/// A folder that only this user may look into, and that goes with the value.
///
/// # Errors
/// If it can't be made.
pub(crate) fn temporary_folder() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("trunkline-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .context("cannot make a temporary folder; set TMPDIR to a folder that can be written to")
}

fn write_defaults(folder: &Path) -> anyhow::Result<PathBuf> {
    let cluster = folder.join("cluster.toml");
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(&cluster, include_str!("../config/cluster.toml"))?;
    write(&folder.join("shards.toml"), include_str!("../config/shards.toml"))?;
    Ok(cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_closed_to_others() {
        let folder = temporary_folder().unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_command_that_is_named_reads_the_same_files() {
        let files = |config: Option<&str>, map: Option<&str>| ClusterFiles {
            config: config.map(PathBuf::from),
            shard_map: map.map(PathBuf::from),
        };
        assert_eq!(files(None, None).flags(), "");
        assert_eq!(
            files(Some("c.toml"), Some("m.toml")).flags(),
            " --config c.toml --shard-map m.toml"
        );
    }

    #[test]
    fn the_built_in_files_load_from_any_folder() {
        let folder = temporary_folder().unwrap();
        let loaded = load(&write_defaults(folder.path()).unwrap()).unwrap();
        assert_eq!(loaded.map.shards().len(), 3);
    }
}

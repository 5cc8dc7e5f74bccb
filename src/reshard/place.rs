//! The map in use, and where another one takes its place.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use trunkline_config::settings::Settings;
use trunkline_config::{ShardMap, load_map};

use crate::configuration::ClusterFiles;
use crate::terminal::say;
use crate::{map, maps};

/// What a cluster goes by.
pub(super) struct InUse {
    pub(super) settings: Settings,
    pub(super) map: Arc<ShardMap>,
    files: ClusterFiles,
    place: Place,
}

/// Where its processes look for another map.
enum Place {
    File(PathBuf),
    Bucket,
}

/// Reads the map in use, from where the cluster's processes do.
pub(super) async fn read(files: &ClusterFiles) -> anyhow::Result<InUse> {
    let loaded = files.load_once()?;
    let settings = loaded.settings;
    let name = settings.store.jetstream.map_bucket.as_deref();
    let (map, place) = match name.filter(|_| files.shard_map.is_none()) {
        None => (loaded.map, Place::File(settings.shard_map.clone())),
        Some(name) => match maps::open_bucket(&settings, name).await?.read().await? {
            Some(stored) => (maps::as_file(&stored.text, load_map)?, Place::Bucket),
            None => (loaded.map, Place::Bucket),
        },
    };
    Ok(InUse { settings, map: Arc::new(map), files: files.clone(), place })
}

impl InUse {
    /// Puts the map of a file in force.
    pub(super) async fn replace(&self, file: &Path) -> anyhow::Result<()> {
        match &self.place {
            Place::Bucket => map::push(&self.files, file.to_owned(), false).await,
            Place::File(path) => {
                if !path.exists() {
                    bail!("the built-in map can't be replaced; give the cluster's --config");
                }
                replace_file(path, file)
                    .with_context(|| format!("cannot put a map in place of {}", path.display()))?;
                say(format_args!(
                    "{} is the new map; machines with a file of their own need it too",
                    path.display()
                ));
                Ok(())
            }
        }
    }
}

/// Writes a copy beside the file, then gives it the file's name: nobody reads half a map.
fn replace_file(path: &Path, by: &Path) -> anyhow::Result<()> {
    // Where the file is a link, what it leads to is the file.
    let path = path.canonicalize()?;
    let text = std::fs::read(by)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut copy = tempfile::NamedTempFile::new_in(folder)?;
    copy.write_all(&text)?;
    copy.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
    copy.as_file().sync_all()?;
    copy.persist(&path)?;
    Ok(std::fs::File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_where_its_link_leads_and_keeps_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("old", "old"), ("new", "new")] {
            std::fs::write(path(name), text).unwrap();
        }
        std::fs::set_permissions(path("old"), PermissionsExt::from_mode(0o640)).unwrap();
        symlink("old", path("link")).unwrap();
        replace_file(&path("link"), &path("new")).unwrap();
        assert!(path("link").is_symlink());
        assert_eq!(std::fs::read(path("old")).unwrap(), b"new");
        assert_eq!(std::fs::metadata(path("old")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left over");
    }
}

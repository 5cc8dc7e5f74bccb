//! `[socketio]`: how Socket.IO clients are served.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::cluster::{HOUR, KIB, MIB, MILLI, bytes, time};
use super::table::{Field, Table};
use crate::events::Pattern;
use crate::settings::SocketIo;
use crate::value::{Wrong, pattern, url};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads the table.
pub(crate) fn read(table: &mut Table<'_>, socketio: &mut SocketIo) {
    table.set("enabled", &mut socketio.enabled, Field::boolean);
    table.set("path", &mut socketio.path, |f| url::served_path(f.text()?));
    table.set("ping_interval", &mut socketio.ping_interval, |f| time(f, MILLI..=HOUR));
    table.set("ping_timeout", &mut socketio.ping_timeout, |f| time(f, MILLI..=HOUR));
    table.set("connect_timeout", &mut socketio.connect_timeout, |f| time(f, MILLI..=HOUR));
    table.set("upgrade_timeout", &mut socketio.upgrade_timeout, |f| time(f, MILLI..=HOUR));
    table.set("max_http_buffer_size", &mut socketio.max_http_buffer_size, |f| {
        bytes(f, KIB..=32 * MIB)
    });
    table.set("polling", &mut socketio.polling, Field::boolean);
    table.set("namespaces", &mut socketio.namespaces, namespaces);
    table.set("default_events", &mut socketio.default_events, Field::boolean);
    let usual = socketio.recovery;
    table.set("recovery", &mut socketio.recovery, |f| recovery(f, usual));
    socketio.client = table.read("client", client);
}

fn namespaces(field: &Field<'_>) -> Result<Vec<Pattern>, Wrong> {
    if field.elements()?.is_empty() {
        return Err(Wrong::new(
            "is empty, so that nobody could connect",
            "write [\"/\"], or enabled = false",
        ));
    }
    field.list(pattern::namespace)
}

/// A duration, or `false` where there is none. `true` says what goes without saying.
fn recovery(field: &Field<'_>, usual: Option<Duration>) -> Result<Option<Duration>, Wrong> {
    match field.boolean() {
        Ok(true) => Ok(usual),
        Ok(false) => Ok(None),
        Err(_) if field.text().is_ok() => time(field, MILLI..=DAY).map(Some),
        Err(_) => {
            Err(Wrong::new("is neither a duration nor false", "write one such as \"2m\", or false"))
        }
    }
}

/// A file, which is opened to see that it can be served.
fn client(field: &Field<'_>) -> Result<PathBuf, Wrong> {
    let path = field.source().folder().join(field.text()?);
    let wrong = |why: String| {
        Wrong::new(
            format!("names {}, which {why}", path.display()),
            "write the path of a socket.io.min.js, or leave it out",
        )
    };
    let file = File::open(&path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        Ok(path)
    } else {
        Err(wrong("is not a file".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::cluster;
    use super::super::source::Source;
    use super::*;

    /// What `[socketio]` with these keys is, and what is wrong with it, as `LINE: message`.
    fn read(folder: &Path, keys: &str) -> (SocketIo, Vec<String>) {
        let path = folder.join("x.toml");
        let source = Source::new(&path, format!("[socketio]\n{keys}"), |_| None);
        let settings = cluster::read(&source).expect("it is TOML").settings;
        let prefix = format!("{}:", path.display());
        let problems = source.into_problems();
        let problems = problems.iter().map(|p| p.to_string().replacen(&prefix, "", 1)).collect();
        (settings.socketio, problems)
    }

    fn right(keys: &str) -> SocketIo {
        let (socketio, problems) = read(Path::new("/none"), keys);
        assert!(problems.is_empty(), "{problems:#?}");
        socketio
    }

    #[test]
    fn a_table_without_keys_means_the_defaults() {
        assert_eq!(right(""), SocketIo::default());
    }

    #[test]
    fn every_key_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client.js"), "").unwrap();
        let (socketio, problems) = read(
            folder.path(),
            r#"
            enabled = false
            path = "/chat/"
            ping_interval = "1s"
            ping_timeout = "2s"
            connect_timeout = "3s"
            upgrade_timeout = "4s"
            max_http_buffer_size = "1KiB"
            polling = false
            namespaces = ["/", "/game-*"]
            default_events = false
            recovery = "5s"
            client = "client.js"
            "#,
        );
        assert!(problems.is_empty(), "{problems:#?}");
        let expected = SocketIo {
            enabled: false,
            path: "/chat/".to_owned(),
            ping_interval: Duration::from_secs(1),
            ping_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            upgrade_timeout: Duration::from_secs(4),
            max_http_buffer_size: 1024,
            polling: false,
            namespaces: vec![Pattern("/".to_owned()), Pattern("/game-*".to_owned())],
            default_events: false,
            recovery: Some(Duration::from_secs(5)),
            client: Some(folder.path().join("client.js")),
        };
        assert_eq!(socketio, expected);
    }

    #[test]
    fn recovery_is_switched_off_by_false() {
        assert_eq!(right("recovery = false").recovery, None);
        assert_eq!(right("recovery = true").recovery, SocketIo::default().recovery);
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        for (keys, expected) in [
            ("pth = \"/a/\"", "2: unknown key socketio.pth; write path"),
            ("enabled = 1", "2: socketio.enabled is an integer; write true or false"),
            ("path = \"/\"", "2: socketio.path is \"/\", which does not begin and end with a sla"),
            ("path = \"/api/\"", "2: socketio.path is \"/api/\", but what begins with /api is se"),
            ("ping_timeout = \"0s\"", "2: socketio.ping_timeout is 0ms; write \"1ms\" to \"1h\""),
            ("max_http_buffer_size = \"1000B\"", "2: socketio.max_http_buffer_size is 1000B; wr"),
            ("max_http_buffer_size = 1000000", "2: socketio.max_http_buffer_size is an integer;"),
            ("namespaces = []", "2: socketio.namespaces is empty, so that nobody could connect; "),
            ("namespaces = [\n\"/\",\n\"chat\"]", "4: socketio.namespaces[1] is \"chat\", which"),
            ("recovery = 120", "2: socketio.recovery is neither a duration nor false; write"),
            ("recovery = \"2\"", "2: socketio.recovery has no unit; write"),
            ("recovery = \"2d\"", "2: socketio.recovery is 2d; write \"1ms\" to \"1d\""),
            ("client = \"none.js\"", "2: socketio.client names /none/none.js, which can't be rea"),
            ("client = \"/\"", "2: socketio.client names /, which is not a file; write"),
        ] {
            let (_, problems) = read(Path::new("/none"), keys);
            let found = problems.iter().any(|problem| problem.starts_with(expected));
            assert!(found, "{problems:#?}\nfor {expected}");
        }
    }
}

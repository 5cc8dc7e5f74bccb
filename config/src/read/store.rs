//! `[store]`: where messages are kept.

use std::path::PathBuf;

use super::auth::secret;
use super::cluster::certificate_file;
use super::table::{Field, Table};
use crate::settings::Certificate;
use crate::store::{DATA, JetStreamSettings, Login, StoreKind, StoreSettings};
use crate::value::pem::Holds;
use crate::value::{Wrong, url};

/// Reads the table.
pub(crate) fn read(table: &mut Table<'_>, store: &mut StoreSettings) {
    store.kind = table.read("kind", kind);
    let data = table.field("data");
    store.data = data.as_ref().and_then(|field| field.judge(path));
    let folder = table.folder();
    match store.kind {
        Some(StoreKind::Embedded) if data.is_none() => store.data = Some(folder.join(DATA)),
        Some(StoreKind::Memory | StoreKind::JetStream) => {
            if let Some(data) = data {
                data.report("is a folder that only kind = \"embedded\" writes to; leave it out");
            }
        }
        _ => {}
    }
    let has_jetstream = table.field("jetstream").is_some();
    table.section("jetstream", |table| jetstream(table, &mut store.jetstream));
    if has_jetstream && store.kind.is_none() {
        table.report("store.jetstream is set but store.kind is not; write kind = \"jetstream\"");
    }
}

fn kind(field: &Field<'_>) -> Result<StoreKind, Wrong> {
    match field.text()? {
        "memory" => Ok(StoreKind::Memory),
        "embedded" => Ok(StoreKind::Embedded),
        "jetstream" => Ok(StoreKind::JetStream),
        other => Err(Wrong::new(
            format!("is {other:?}"),
            "write \"memory\", \"embedded\" or \"jetstream\"",
        )),
    }
}

fn path(field: &Field<'_>) -> Result<PathBuf, Wrong> {
    match field.text()? {
        "" => Err(Wrong::new("is empty", "write a folder, such as \"/var/lib/trunkline\"")),
        path => Ok(field.source().folder().join(path)),
    }
}

fn jetstream(table: &mut Table<'_>, settings: &mut JetStreamSettings) {
    table.set("servers", &mut settings.servers, servers);
    table.set("stream", &mut settings.stream, name);
    settings.map_bucket = table.read("map_bucket", name);
    table.set("replicas", &mut settings.replicas, |f| f.integer(1..=5));
    if let Some(login) = login(table) {
        settings.login = login;
    }
    if table.field("ca").is_some() {
        settings.ca = certificate_file(table, "ca", Holds::Certificates);
    }
    let has_certificate = table.field("cert").is_some() || table.field("key").is_some();
    if has_certificate {
        let cert = certificate_file(table, "cert", Holds::Certificates);
        let key = certificate_file(table, "key", Holds::PrivateKey);
        settings.certificate = cert.zip(key).map(|(cert, key)| Certificate { cert, key });
    }
    table.set("monitors", &mut settings.monitors, |f| f.list(url::http));
    table.set("allow_unsafe_sync", &mut settings.allow_unsafe_sync, Field::boolean);
}

/// The one way to log in that is written down.
fn login(table: &mut Table<'_>) -> Option<Login> {
    let token = table.read("token", secret).map(Login::Token);
    let user = table.read("user", |f| Ok(f.text()?.to_owned()));
    let password = table.read("password", secret);
    let credentials = table.read("credentials", path).map(Login::Credentials);
    if user.is_some() != password.is_some() {
        table.report("one of user and password is missing; write both, or neither");
    }
    let user = user.zip(password).map(|(name, password)| Login::User { name, password });
    let mut ways = [token, user, credentials].into_iter().flatten();
    let way = ways.next();
    if ways.next().is_some() {
        table.report("there is more than one way to log in; keep token, user or credentials");
    }
    way
}

fn servers(field: &Field<'_>) -> Result<Vec<String>, Wrong> {
    if field.elements()?.is_empty() {
        return Err(Wrong::new("is empty", "write [\"nats://127.0.0.1:4222\"]"));
    }
    field.list(url::nats)
}

/// The name of a stream, which is also the first token of its subjects, or of a bucket.
fn name(field: &Field<'_>) -> Result<String, Wrong> {
    let name = field.text()?;
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(is_good) {
        return Ok(name.to_owned());
    }
    Err(Wrong::new(
        format!("is {name:?}"),
        "write 1 to 64 letters, digits, '-' or '_', such as \"trunkline\"",
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::cluster;
    use super::super::source::Source;
    use super::*;

    /// A file's settings, and what is wrong with it, as `LINE: message`.
    fn read(text: &str) -> (StoreSettings, Vec<String>) {
        let source = Source::new(Path::new("conf/x.toml"), text.to_owned(), |name| {
            (name == "KEY").then(|| "sixteen bytes ..".to_owned())
        });
        let settings = cluster::read(&source).expect("it is TOML").settings;
        let problems = source.into_problems();
        let said = |it: &crate::Problem| format!("{}: {}", it.line.unwrap_or_default(), it.message);
        let problems = problems.iter().map(said).collect();
        (settings.store, problems)
    }

    #[test]
    fn nothing_is_said_about_the_store_by_default() {
        assert_eq!(read(""), (StoreSettings::default(), Vec::new()));
    }

    #[test]
    fn an_embedded_store_is_beside_the_file_unless_it_is_elsewhere() {
        let (store, problems) = read("[store]\nkind = \"embedded\"");
        assert_eq!((store.kind, problems.len()), (Some(StoreKind::Embedded), 0));
        assert_eq!(store.data.unwrap(), Path::new("conf/trunkline-data"));
        let (store, _) = read("[store]\ndata = \"/var/lib/trunkline\"");
        assert_eq!(store.data.unwrap(), Path::new("/var/lib/trunkline"));
    }

    #[test]
    fn jetstream_has_servers_and_one_way_to_log_in() {
        let (store, problems) = read(
            "[store]\nkind = \"jetstream\"\n[store.jetstream]\nservers = [\"nats://a:4222\", \"tls://b\"]\n\
             replicas = 5\nuser = \"u\"\npassword = \"${KEY}\"",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(store.jetstream.servers, ["nats://a:4222", "tls://b"]);
        let login = Login::User { name: "u".to_owned(), password: "sixteen bytes ..".to_owned() };
        assert_eq!((store.jetstream.replicas, store.jetstream.login), (5, login));
    }

    #[test]
    fn what_contradicts_itself_is_said() {
        for (text, said) in [
            ("[store]\nkind = \"disk\"", "2: store.kind is \"disk\""),
            ("[store]\nkind = \"memory\"\ndata = \"x\"", "3: store.data is a folder"),
            ("[store.jetstream]\nservers = []", "2: store.jetstream.servers is empty"),
            ("[store.jetstream]\nservers = [\"a\"]", "2: store.jetstream.servers[0] is \"a\""),
            ("[store.jetstream]\nreplicas = 6", "2: store.jetstream.replicas"),
            ("[store.jetstream]\nstream = \"a.b\"", "2: store.jetstream.stream is \"a.b\""),
            ("[store.jetstream]\nuser = \"u\"", "1: one of user and password is missing"),
            (
                "[store.jetstream]\ntoken = \"t\"\ncredentials = \"c\"",
                "1: there is more than one way to log in",
            ),
            (
                "[store.jetstream]\nstream = \"t\"",
                "1: store.jetstream is set but store.kind is not",
            ),
        ] {
            let (_, problems) = read(text);
            assert!(problems.iter().any(|it| it.starts_with(said)), "{text}: {problems:?}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let (store, _) = read(
            "[store]\nkind = \"jetstream\"\n[store.jetstream]\nuser = \"u\"\npassword = \"${KEY}\"",
        );
        assert!(!format!("{store:?}").contains("sixteen"));
    }
}

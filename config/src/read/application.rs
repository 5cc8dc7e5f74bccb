//! `[application]` and `[api]`: the ways from the cluster to the application, and back.

use std::time::Duration;

use super::cluster::{MILLI, time};
use super::security::long_secret;
use super::table::{Field, Table};
use crate::settings::{Api, Application, RouterSettings};
use crate::value::{Wrong, address, url};

/// Whoever waits for an acknowledgement has given up by then.
const LONGEST_CALL: Duration = Duration::from_secs(600);

/// Reads `[application]`, and says whether it names a URL, rightly or wrongly.
pub(crate) fn application(table: &mut Table<'_>, application: &mut Application) -> bool {
    let url = table.field("url");
    application.url = url.as_ref().and_then(|field| field.judge(endpoint));
    application.secret = table.read("secret", long_secret);
    table.set("timeout", &mut application.timeout, call_timeout);
    table.set("retries", &mut application.retries, call_retries);
    url.is_some()
}

/// The URL of an endpoint of the application.
pub(crate) fn endpoint(field: &Field<'_>) -> Result<String, Wrong> {
    url::http(field.text()?)
}

/// How long all tries of a call may take together.
pub(crate) fn call_timeout(field: &Field<'_>) -> Result<Duration, Wrong> {
    time(field, MILLI..=LONGEST_CALL)
}

/// How often a call is tried again.
pub(crate) fn call_retries(field: &Field<'_>) -> Result<u32, Wrong> {
    field.integer(0..=10)
}

/// Reads `[api]`.
pub(crate) fn api(table: &mut Table<'_>, router: &RouterSettings, api: &mut Api) {
    let keys = table.field("keys");
    // Wrong keys are keys all the same; what is wrong with them is said once.
    let is_open = keys.as_ref().is_some_and(|f| f.elements().map_or(true, |all| !all.is_empty()));
    if let Some(keys) = keys.and_then(|field| field.judge(self::keys)) {
        api.keys = keys;
    }
    let grpc = table.field("grpc");
    api.grpc = grpc.as_ref().and_then(|field| field.judge(|f| address::listen(f.text()?)));
    let Some(grpc) = grpc else { return };
    if !is_open {
        grpc.report("is set but api.keys is not; write keys = [\"${API_KEY}\"]");
    }
    let is_taken = |taken| api.grpc.is_some_and(|grpc| grpc.port() != 0 && grpc == taken);
    if is_taken(router.listen) || is_taken(router.metrics) {
        grpc.report("is an address of the router's; give each its own");
    }
}

fn keys(field: &Field<'_>) -> Result<Vec<String>, Wrong> {
    let elements = field.elements()?;
    Ok(elements.iter().filter_map(|element| element.judge(long_secret)).collect())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use super::super::cluster;
    use super::super::source::Source;
    use super::*;
    use crate::settings::Settings;

    /// A file's settings, and what is wrong with it, as `LINE: message`.
    fn read(text: &str) -> (Settings, Vec<String>) {
        let source = Source::new(Path::new("x.toml"), text.to_owned(), |name| {
            (name == "KEY").then(|| "sixteen bytes ..".to_owned())
        });
        let settings = cluster::read(&source).expect("it is TOML").settings;
        let problems = source.into_problems();
        let problems = problems.iter().map(|p| p.to_string().replacen("x.toml:", "", 1)).collect();
        (settings, problems)
    }

    #[test]
    fn the_application_is_where_and_as_patient_as_the_file_says() {
        let (settings, problems) = read(
            "[application]\nurl = \"https://a/x\"\nsecret = \"${KEY}\"\ntimeout = \"10m\"\nretries = 0",
        );
        assert!(problems.is_empty(), "{problems:#?}");
        let application = settings.application;
        assert_eq!(application.url.as_deref(), Some("https://a/x"));
        assert_eq!(application.secret.as_deref(), Some("sixteen bytes .."));
        assert_eq!((application.timeout, application.retries), (LONGEST_CALL, 0));
    }

    #[test]
    fn every_key_of_the_api_may_stand_elsewhere() {
        let (settings, problems) =
            read("[api]\nkeys = [\"${KEY}\", \"another 16 bytes\"]\ngrpc = \"127.0.0.1:8090\"");
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(settings.api.keys, ["sixteen bytes ..", "another 16 bytes"]);
        assert_eq!(settings.api.grpc, Some(SocketAddr::from(([127, 0, 0, 1], 8090))));
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        for (text, expected) in [
            ("[application]\nurl = \"a\"", "2: application.url is \"a\", which is not an http or"),
            ("[application]\nsecret = \"short\"", "2: application.secret has fewer than 16 bytes"),
            ("[application]\nsecret = \"${NO}\"", "2: application.secret takes ${NO}, which is n"),
            ("[application]\ntimeout = \"11m\"", "2: application.timeout is 11m; write \"1ms\" to"),
            ("[application]\nretries = -1", "2: application.retries is -1; write a whole number"),
            ("[application]\nurll = 1", "2: unknown key application.urll; write url"),
            ("[api]\nkeys = \"${KEY}\"", "2: api.keys is a string; write a list in [ ]"),
            ("[api]\nkeys = [\n\"${KEY}\",\n\"short\"]", "4: api.keys[1] has fewer than 16 bytes"),
            ("[api]\nkeys = [1]", "2: api.keys[0] is an integer; write a string"),
            ("[api]\ngrpc = \"127.0.0.1:1\"", "2: api.grpc is set but api.keys is not; write keys"),
            ("[api]\nkeys = []\ngrpc = \"127.0.0.1:1\"", "3: api.grpc is set but api.keys is not"),
            ("[api]\nkeys = [\"${KEY}\"]\ngrpc = \"a:1\"", "3: api.grpc is \"a:1\", which is not"),
            ("[api]\nkeys = [\"${KEY}\"]\ngrpc = \"127.0.0.1:9080\"", "3: api.grpc is an address "),
        ] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{problems:#?}\nfor {expected}");
            assert!(problems[0].starts_with(expected), "{problems:#?}\nfor {expected}");
        }
    }

    #[test]
    fn a_wrong_key_is_a_key_all_the_same() {
        let (_, problems) = read("[api]\nkeys = [\"short\"]\ngrpc = \"127.0.0.1:1\"");
        assert_eq!(problems.len(), 1, "{problems:#?}");
    }
}

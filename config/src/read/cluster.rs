//! `cluster.toml`: which keys there are, and which values make sense.
//!
//! The ranges keep out what can only be a mistake: a timeout of nothing, a queue that holds no
//! message, a size for which no machine has the memory. They are no advice.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::source::Source;
use super::table::{Field, Table};
use super::{application, auth, event, security, socketio, store};
use crate::settings::{AllowedOrigins, Certificate, LogFormat, RouterSettings, Settings};
use crate::value::pem::Holds;
use crate::value::{Wrong, address, duration, filter, network, pem, size};

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
/// Beyond this a person would notice it in a conversation that crosses several processes.
const FLUSH_DELAY_MAX: Duration = Duration::from_millis(50);
/// What is replayed to one client goes through the cluster as one message.
const LONGEST_REPLAY: usize = 32 * MIB;
/// A count of things that each take memory.
const MANY: i64 = 10_000_000;
/// A word this often is as much as servers should have to keep.
const HEALTH_MIN: Duration = Duration::from_millis(50);
/// Words of a shard that may be late before it is taken for dead.
const HEALTH_MISSES: u32 = 4;
const DEFAULT_MAP: &str = "shards.toml";

/// What a `cluster.toml` says.
pub(crate) struct ClusterFile {
    /// Everything but the map's path.
    pub(crate) settings: Settings,
    /// Where the shard map is; none if what is written there is wrong.
    pub(crate) map: Option<PathBuf>,
    /// The line that names the shard map, unless it is the default's.
    pub(crate) map_line: Option<usize>,
    /// Whether it says, rightly or wrongly, how the processes know each other.
    pub(crate) secured: bool,
}

/// Reads the file's tree; none if it is not TOML. Problems are left with the source, and what is
/// wrong or not there has its default.
pub(crate) fn read(source: &Source) -> Option<ClusterFile> {
    let tree = source.tree()?;
    let mut root = Table::root(source, &tree);
    let map = root.field("shard_map");
    let map_path = match &map {
        Some(field) => field.judge(path),
        None => Some(source.folder().join(DEFAULT_MAP)),
    };
    let mut settings = Settings::default();
    root.section("router", |table| router(table, &mut settings.router));
    root.section("move", |table| {
        table.set("sessions", &mut settings.moves.sessions, |f| f.integer(1..=MANY));
    });
    if let Some(auth) = root.section("auth", auth::read).flatten() {
        settings.auth = auth;
    }
    let mut secured = false;
    if let Some(cluster) = root.section("cluster", security::read) {
        secured = cluster.secured;
        settings.cluster = cluster.settings;
    }
    root.section("runtime", |table| {
        let delay = &mut settings.runtime.flush_delay;
        table.set("flush_delay", delay, |f| time(f, Duration::ZERO..=FLUSH_DELAY_MAX));
    });
    root.section("limits", |table| limits(table, &mut settings));
    root.section("heartbeat", |table| heartbeat(table, &mut settings));
    root.section("history", |table| history(table, &mut settings));
    root.section("inbox", |table| inbox(table, &mut settings));
    root.section("store", |table| store::read(table, &mut settings.store));
    root.section("presence", |table| presence(table, &mut settings));
    root.section("drain", |table| {
        table.set("timeout", &mut settings.drain.timeout, |f| time(f, Duration::ZERO..=HOUR));
    });
    root.section("health", |table| health(table, &mut settings));
    root.section("socketio", |table| socketio::read(table, &mut settings.socketio));
    let may_call = root
        .section("application", |table| application::application(table, &mut settings.application))
        .unwrap_or_default();
    root.section("api", |t| application::api(t, &settings.router, &mut settings.api));
    if let Some(own) = root.read("event", |f| event::read(f, may_call)) {
        settings.events.own = own;
    }
    if !settings.socketio.default_events {
        settings.events.fallback.clear();
    }
    root.section("log", |table| log(table, &mut settings));
    root.finish();
    Some(ClusterFile { settings, map: map_path, map_line: map.map(|field| field.line()), secured })
}

fn router(table: &mut Table<'_>, router: &mut RouterSettings) {
    table.set("listen", &mut router.listen, |f| address::listen(f.text()?));
    table.set("metrics", &mut router.metrics, |f| address::listen(f.text()?));
    if router.listen == router.metrics && router.listen.port() != 0 {
        table.report("router.listen and router.metrics are the same address; give each its own");
    }
    table.set("workers", &mut router.workers, |f| f.integer(0..=256));
    table.set("echo", &mut router.echo, Field::boolean);
    table.set("allowed_origins", &mut router.allowed_origins, allowed_origins);
    table.set("trusted_proxies", &mut router.trusted_proxies, |f| f.list(network::network));
    table.set("hold", &mut router.hold, |f| time(f, Duration::ZERO..=HOUR));
    table.set("close_rate", &mut router.close_rate, |f| f.integer(1..=MANY));
    router.handover = table.read("handover", path);
    router.tls = table
        .section("tls", |tls| {
            let cert = certificate_file(tls, "cert", Holds::Certificates);
            let key = certificate_file(tls, "key", Holds::PrivateKey);
            Some(Certificate { cert: cert?, key: key? })
        })
        .flatten();
}

/// A required PEM file; its path is relative to the TOML file.
pub(crate) fn certificate_file(
    table: &mut Table<'_>,
    key: &'static str,
    holds: Holds,
) -> Option<PathBuf> {
    let example = match holds {
        Holds::Certificates => "\"cert.pem\"",
        Holds::PrivateKey => "\"key.pem\"",
    };
    table.require(key, example, |f| pem::file(f.text()?, f.source().folder(), holds))
}

/// A list of origins, in which `"*"` stands alone. `"*"` without a list is understood too.
fn allowed_origins(field: &Field<'_>) -> Result<AllowedOrigins, Wrong> {
    if field.text() == Ok("*") {
        return Ok(AllowedOrigins::Any);
    }
    let elements = field.elements()?;
    if elements.iter().any(|element| element.text() == Ok("*")) {
        return if elements.len() == 1 {
            Ok(AllowedOrigins::Any)
        } else {
            Err(Wrong::new(
                "has \"*\" beside other origins",
                "write [\"*\"] alone, or leave it out",
            ))
        };
    }
    let origins = field.list(network::origin)?;
    Ok(if origins.is_empty() { AllowedOrigins::Same } else { AllowedOrigins::Listed(origins) })
}

fn limits(table: &mut Table<'_>, settings: &mut Settings) {
    let limits = &mut settings.limits;
    table.set("message", &mut limits.message, |f| bytes(f, 1..=32 * MIB));
    table.set("rooms_per_session", &mut limits.rooms_per_session, |f| f.integer(1..=MANY));
    table.set("publish_rate", &mut limits.publish_rate, |f| f.integer(1..=MANY));
    table.set("publish_burst", &mut limits.publish_burst, |f| f.integer(1..=MANY));
    table.set("out_queue", &mut limits.out_queue, |f| bytes(f, KIB..=GIB));
    table
        .set("connections_per_worker", &mut limits.connections_per_worker, |f| f.integer(1..=MANY));
    table.set("memory", &mut limits.memory, |f| bytes(f, MIB..=1024 * GIB));
    table.set("header", &mut limits.header, |f| bytes(f, 256..=MIB));
    table.set("header_timeout", &mut limits.header_timeout, |f| time(f, MILLI..=HOUR));
}

fn heartbeat(table: &mut Table<'_>, settings: &mut Settings) {
    table.set("interval", &mut settings.heartbeat.interval, |f| time(f, MILLI..=HOUR));
    table.set("timeout", &mut settings.heartbeat.timeout, |f| time(f, MILLI..=HOUR));
}

fn history(table: &mut Table<'_>, settings: &mut Settings) {
    table.set("messages", &mut settings.history.messages, |f| f.integer(1..=MANY));
    table.set("bytes", &mut settings.history.bytes, |f| bytes(f, 1..=LONGEST_REPLAY));
    table.set("age", &mut settings.history.age, |f| time(f, MILLI..=YEAR));
}

fn inbox(table: &mut Table<'_>, settings: &mut Settings) {
    table.set("messages", &mut settings.inbox.messages, |f| f.integer(1..=MANY));
    table.set("bytes", &mut settings.inbox.bytes, |f| bytes(f, 1..=LONGEST_REPLAY));
    table.set("age", &mut settings.inbox.age, |f| time(f, MILLI..=YEAR));
}

fn presence(table: &mut Table<'_>, settings: &mut Settings) {
    let presence = &mut settings.presence;
    table.set("grace", &mut presence.grace, |f| time(f, MILLI..=HOUR));
    table.set("announce_up_to", &mut presence.announce_up_to, |f| f.integer(0..=MANY));
}

fn health(table: &mut Table<'_>, settings: &mut Settings) {
    let health = &mut settings.health;
    table.set("interval", &mut health.interval, |f| time(f, HEALTH_MIN..=HOUR));
    table.set("timeout", &mut health.timeout, |f| time(f, HEALTH_MIN..=HOUR));
    if health.timeout < health.interval * HEALTH_MISSES {
        table.report(
            "health.timeout is less than four times health.interval; give a shard more time, that one late word is no death",
        );
    }
}

fn log(table: &mut Table<'_>, settings: &mut Settings) {
    table.set("level", &mut settings.log.level, |f| filter::parse(f.text()?));
    table.set("format", &mut settings.log.format, |f| match f.text()? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(Wrong::new(format!("is {other:?}"), "write \"text\" or \"json\"")),
    });
}

fn path(field: &Field<'_>) -> Result<PathBuf, Wrong> {
    match field.text()? {
        "" => Err(Wrong::new("is empty", "write a path, or leave it out")),
        text => Ok(field.source().folder().join(text)),
    }
}

/// A duration within bounds.
pub(crate) fn time(field: &Field<'_>, range: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    within(duration::parse(field.text()?)?, &range, duration::render)
}

/// A size within bounds.
pub(crate) fn bytes(field: &Field<'_>, range: RangeInclusive<usize>) -> Result<usize, Wrong> {
    within(size::parse(field.text()?)?, &range, size::render)
}

fn within<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    render: fn(T) -> String,
) -> Result<T, Wrong> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (from, to) = (render(*range.start()), render(*range.end()));
    Err(Wrong::new(format!("is {}", render(value)), format!("write \"{from}\" to \"{to}\"")))
}

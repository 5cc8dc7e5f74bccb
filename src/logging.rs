//! Sets up the log: to stderr, as text or JSON, by `[log]` or RUST_LOG.

use std::io::IsTerminal;

use anyhow::{Context, anyhow};
use tracing_subscriber::EnvFilter;
use trunkline_config::settings::{LogFormat, LogSettings};

/// Begins to log. RUST_LOG, where it is set, overrides `log.level`.
///
/// # Errors
/// If RUST_LOG is not a filter, or logging was begun before.
pub(crate) fn begin(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter)
            .with_context(|| format!("RUST_LOG is {filter:?}; write a level such as info"))?,
        _ => EnvFilter::try_new(&settings.level).context("log.level is not a filter")?,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(|error| anyhow!("cannot begin to log: {error}"))
}

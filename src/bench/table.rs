//! The result, for people.

use std::fmt;

use trunkline_bench::{Latency, Outcome, Servers};

/// The result, for people.
pub(crate) struct Table<'a>(pub(crate) &'a Outcome);

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { scenario, dialect, clients, rooms, rate, payload, .. } = self.0;
        writeln!(
            out,
            "{scenario}, {dialect}: {clients} clients, {rooms} rooms, {rate} a second, {payload} bytes"
        )?;
        let Outcome { sent, delivered, expected, errors, lost, seconds, .. } = self.0;
        let missing = expected.saturating_sub(*delivered);
        writeln!(out, "\n{:<22} {sent} in {seconds:.1} s", "sent")?;
        writeln!(out, "{:<22} {delivered} of {expected} ({missing} missing)", "delivered")?;
        if *errors > 0 || *lost > 0 {
            let first = self.0.error.as_deref().unwrap_or("-");
            writeln!(out, "{:<22} {errors}, connections lost {lost}; first: {first}", "errors")?;
        }
        writeln!(
            out,
            "\n{:<22} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "ms", "p50", "p90", "p99", "p99.9", "max"
        )?;
        latency(out, "latency", &self.0.latency_ms)?;
        if let Some(acknowledged) = &self.0.acknowledged_ms {
            latency(out, "acknowledgement", acknowledged)?;
        }
        if let Some(server) = &self.0.server {
            servers(out, server, scenario)?;
        }
        let driver = &self.0.driver;
        write!(
            out,
            "\ndriver                 {:.0} % of a core, late by {:.1} ms at p99",
            driver.busy * 100.0,
            driver.lag_p99_ms
        )?;
        if driver.bottleneck {
            write!(
                out,
                "\n\nThe driver was too busy or too late: the latencies are partly its own. Use a lower\n\
                 --rate, more --threads, or a machine with more cores."
            )?;
        }
        Ok(())
    }
}

fn latency(out: &mut fmt::Formatter<'_>, name: &str, latency: &Latency) -> fmt::Result {
    let Latency { p50, p90, p99, p999, max } = latency;
    writeln!(out, "{name:<22} {p50:>8.2} {p90:>8.2} {p99:>8.2} {p999:>8.2} {max:>8.2}")
}

/// Bytes are far below 2^53, where an f64 is still exact.
#[allow(clippy::cast_precision_loss)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn servers(out: &mut fmt::Formatter<'_>, server: &Servers, scenario: &str) -> fmt::Result {
    writeln!(out, "\n{:<22} {:>8} {:>8}", "servers", "CPU s", "MiB")?;
    for process in &server.processes {
        let name = format!("{} {}", process.name, process.pid);
        let mib = mebibytes(process.rss);
        writeln!(out, "{name:<22} {:>8.2} {mib:>8.1}", process.cpu_seconds)?;
    }
    let mib = mebibytes(server.rss_after);
    writeln!(
        out,
        "{:<22} {:>8.2} {mib:>8.1}   {:.0} % in the kernel",
        "together",
        server.cpu_seconds,
        server.system_seconds / server.cpu_seconds.max(0.001) * 100.0
    )?;
    let what = if scenario == "storm" { "clients let in" } else { "deliveries" };
    if scenario != "idle" {
        writeln!(out, "{:<22} {:.0} per CPU-second", what, server.per_cpu_second)?;
    }
    writeln!(out, "{:<22} {:.0} bytes each", "connections", server.per_connection)?;
    if server.gone > 0 {
        writeln!(
            out,
            "{:<22} {} ended meanwhile, whose CPU time is missing",
            "processes", server.gone
        )?;
    }
    Ok(())
}

//! What came of it, for people.

use std::fmt;

use crate::outcome::{Disruption, Figures, Outcome};

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} clients, store {}: {} messages said, at most {:.0} ms late, and {} delivered in {:.0} s\n",
            self.clients, self.store, self.said, self.late_max_ms, self.came, self.seconds
        )?;
        counts(f, &self.disruptions)?;
        writeln!(f)?;
        pauses(f, &self.disruptions)?;
        writeln!(f)?;
        for (reason, count) in &self.reasons {
            writeln!(f, "{count} x {reason}")?;
        }
        let verdict =
            if self.kept { "nobody has noticed more than it may" } else { "SOMEBODY HAS NOTICED" };
        write!(f, "\n{verdict}")
    }
}

fn counts(f: &mut fmt::Formatter<'_>, disruptions: &[Disruption]) -> fmt::Result {
    writeln!(
        f,
        "{:<15}{:>6}{:>13}{:>11}{:>7}{:>10}{:>14}{:>11}{:>8}{:>13}",
        "disruption",
        "times",
        "disconnects",
        "came back",
        "lost",
        "repeated",
        "out of order",
        "announced",
        "errors",
        "unavailable",
    )?;
    for Disruption { kind, times, all, .. } in disruptions {
        writeln!(
            f,
            "{:<15}{times:>6}{:>13}{:>11}{:>7}{:>10}{:>14}{:>11}{:>8}{:>13}",
            kind.name(),
            all.disconnects,
            all.came_back,
            all.lost,
            all.repeated,
            all.out_of_order,
            all.announced,
            all.errors,
            all.unavailable,
        )?;
    }
    Ok(())
}

fn pauses(f: &mut fmt::Formatter<'_>, disruptions: &[Disruption]) -> fmt::Result {
    writeln!(
        f,
        "{:<25}{:>16}{:>16}{:>16}{:>16}",
        "pause, p99 and max in ms", "all", "native", "socketio", "polling"
    )?;
    for Disruption { kind, all, native, socketio, polling, .. } in disruptions {
        let [all, native, socketio, polling] = [all, native, socketio, polling].map(pause);
        writeln!(f, "{:<25}{all:>16}{native:>16}{socketio:>16}{polling:>16}", kind.name())?;
    }
    Ok(())
}

fn pause(figures: &Figures) -> String {
    match (figures.pause_p99_ms, figures.pause_max_ms) {
        (Some(p99), Some(max)) => format!("{p99:.0}, {max:.0}"),
        _ => "-".to_owned(),
    }
}

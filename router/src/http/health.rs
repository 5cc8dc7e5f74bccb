//! `/healthz`: the process answers. `/readyz`: it can serve every key.

use hyper::StatusCode;

use super::{Answer, text};

pub(super) fn alive() -> Answer {
    text(StatusCode::OK, "ok")
}

/// `missing` are the shards that not every worker reaches.
pub(super) fn ready(missing: &[String]) -> Answer {
    if missing.is_empty() {
        text(StatusCode::OK, "ready")
    } else {
        let body = format!("not ready: no trunk to {}", missing.join(", "));
        text(StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

//! `/healthz`: the process answers. `/readyz`: it can serve every key.

use hyper::StatusCode;

use super::{Answer, text};

pub(super) fn alive() -> Answer {
    text(StatusCode::OK, "ok")
}

/// `hindrance` says why it can't, if it can't.
pub(super) fn ready(hindrance: Option<String>) -> Answer {
    match hindrance {
        None => text(StatusCode::OK, "ready"),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}")),
    }
}

//! The chat page, from inside the binary.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use super::Answer;

/// Names and contents, in order of names.
pub(super) type Files = &'static [(&'static str, &'static [u8])];

/// The files of `page/`.
const FILES: Files = include!(concat!(env!("OUT_DIR"), "/page.rs"));

const INDEX: &str = "index.html";

/// Only this origin's files, and only its WebSocket: what others write is shown on this page,
/// and must never run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's file at a path; `/` is the page itself.
pub(super) fn file(path: &str) -> Option<Answer> {
    let name = path.strip_prefix('/')?;
    serve(FILES, if name.is_empty() { INDEX } else { name }, POLICY)
}

/// The file of this name.
pub(super) fn serve(files: Files, name: &str, policy: &'static str) -> Option<Answer> {
    let index = files.binary_search_by(|(file, _)| (*file).cmp(name)).ok()?;
    let (_, content) = files.get(index)?;
    let mut answer = Response::new(Full::new(Bytes::from_static(content)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    // It changes with each release and is small; a stale part would break the rest.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(answer)
}

pub(super) fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_page_and_may_run_only_its_own_scripts() {
        let page = file("/").expect("a page");
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"));
    }

    #[test]
    fn every_file_of_the_page_has_a_known_type() {
        for (name, _) in FILES {
            assert_ne!(content_type(name), "application/octet-stream", "{name}");
            assert!(file(&format!("/{name}")).is_some(), "{name}");
        }
    }

    #[test]
    fn nothing_but_the_pages_files_is_served() {
        for path in ["/../Cargo.toml", "/page/index.html", "//", "/index", "index.html"] {
            assert!(file(path).is_none(), "{path}");
        }
    }
}

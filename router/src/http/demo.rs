//! The demo pages of the Socket.IO client, from inside the binary.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Response, StatusCode};

use super::Answer;
use super::page::{Files, serve};

/// The files of `demo/`.
const FILES: Files = include!(concat!(env!("OUT_DIR"), "/demo.rs"));

const ROOT: &str = "/demo";

/// As the chat page's, and besides: the library may come from its own place, and what people send
/// each other may be shown as a picture.
const POLICY: &str = "default-src 'none'; script-src 'self' https://cdn.socket.io; \
    style-src 'self'; img-src 'self' blob:; connect-src 'self' ws: wss:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The demo's file at a path; one that ends with a slash is an index, and without it leads there.
pub(super) fn file(path: &str) -> Option<Answer> {
    let name = path.strip_prefix(ROOT)?;
    let index = |folder: &str| format!("{folder}index.html");
    match name.strip_prefix('/') {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => {
            serve(FILES, &index(folder), POLICY)
        }
        Some(name) => {
            serve(FILES, name, POLICY).or_else(|| is_folder(name).then(|| slash(path))?)
        }
        None if name.is_empty() => slash(path),
        None => None,
    }
}

fn is_folder(name: &str) -> bool {
    FILES.iter().any(|(file, _)| file.strip_prefix(name) == Some("/index.html"))
}

/// Leads to the same path with a slash, by which the page's own addresses are right.
fn slash(path: &str) -> Option<Answer> {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&format!("{path}/")).ok()?);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

    use super::*;
    use crate::http::page::content_type;

    #[test]
    fn every_demo_is_a_page_that_runs_no_script_of_others() {
        for path in ["/demo/", "/demo/chat/", "/demo/peer/", "/demo/hybrid/"] {
            let page = file(path).expect("a page");
            assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().expect("text");
            assert!(policy.contains("script-src 'self' https://cdn.socket.io;"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
        }
    }

    #[test]
    fn a_demo_without_its_slash_leads_to_it() {
        for path in ["/demo", "/demo/chat"] {
            let answer = file(path).expect("a redirect");
            assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(answer.headers()[LOCATION], format!("{path}/"));
        }
    }

    #[test]
    fn every_file_of_the_demos_has_a_known_type() {
        for (name, _) in FILES {
            assert_ne!(content_type(name), "application/octet-stream", "{name}");
            assert!(file(&format!("/demo/{name}")).is_some(), "{name}");
        }
    }

    #[test]
    fn nothing_but_the_demos_files_is_served() {
        for path in ["/demos", "/demo//", "/demo/../page/chat.js", "/demo/none/", "/demo/cha"] {
            assert!(file(path).is_none(), "{path}");
        }
    }
}

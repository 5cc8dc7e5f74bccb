//! The client library for browsers, beside the endpoint: from a file, or from where its authors
//! publish it.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};

use super::problem;
use crate::http::Answer;

/// Where its authors publish it.
const PUBLISHED: &str = "https://cdn.socket.io/4.8.1/socket.io.min.js";

/// The library, read once; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Library(Option<Bytes>);

/// Whether a name beside the endpoint is the library's.
pub(super) fn is_name(name: &str) -> bool {
    matches!(name, "socket.io.js" | "socket.io.min.js")
}

impl Library {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// The file and why it can't be read.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, (PathBuf, io::Error)> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| (path.to_owned(), error));
        Ok(Self(path.map(read).transpose()?.map(Bytes::from)))
    }

    pub(super) fn answer(&self, method: &Method) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return problem::no_such_method("GET, HEAD");
        }
        let Some(content) = &self.0 else {
            let mut answer = problem::bare(StatusCode::FOUND);
            answer.headers_mut().insert(LOCATION, HeaderValue::from_static(PUBLISHED));
            return answer;
        };
        let mut answer = problem::with_body(200, content.clone());
        let headers = answer.headers_mut();
        let javascript = HeaderValue::from_static("application/javascript; charset=utf-8");
        headers.insert(CONTENT_TYPE, javascript);
        // It changes when the router is started with another one.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer
    }
}

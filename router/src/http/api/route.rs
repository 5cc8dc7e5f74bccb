//! Which method and path is what. `openapi.json` describes exactly these; a test compares.

use hyper::Method;

use super::query::Parameter;
use crate::api::Problem;
use crate::api::problem::code;

pub(super) const BASE: &str = "/api/v1";

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Root,
    Describe,
    Publish,
    Send,
    History,
    Presence,
    Disconnect,
}

impl Operation {
    /// The query's parameters that it knows.
    pub(super) fn parameters(self) -> &'static [Parameter] {
        match self {
            Operation::Publish => &[Parameter::Namespace],
            Operation::History => {
                &[Parameter::Namespace, Parameter::After, Parameter::Before, Parameter::Limit]
            }
            Operation::Presence => &[Parameter::Namespace, Parameter::After, Parameter::Limit],
            Operation::Root | Operation::Describe | Operation::Send | Operation::Disconnect => &[],
        }
    }
}

/// One method and path. A segment in braces stands for any one segment.
struct Route {
    method: Method,
    template: &'static str,
    operation: Operation,
}

impl Route {
    const fn new(method: Method, template: &'static str, operation: Operation) -> Self {
        Self { method, template, operation }
    }

    /// The segment in braces of a path that fits; empty where the template has none.
    fn fit<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(BASE)?;
        let mut name = "";
        let (mut segments, mut wanted) = (rest.split('/'), self.template.split('/'));
        loop {
            match (segments.next(), wanted.next()) {
                (None, None) => return Some(name),
                (Some(segment), Some(wanted)) if wanted.starts_with('{') => name = segment,
                (Some(segment), Some(wanted)) if segment == wanted => {}
                _ => return None,
            }
        }
    }
}

/// Below [`BASE`].
static ROUTES: [Route; 7] = [
    Route::new(Method::GET, "/", Operation::Root),
    Route::new(Method::GET, "/openapi.json", Operation::Describe),
    Route::new(Method::POST, "/rooms/{room}/messages", Operation::Publish),
    Route::new(Method::GET, "/rooms/{room}/history", Operation::History),
    Route::new(Method::GET, "/rooms/{room}/presence", Operation::Presence),
    Route::new(Method::POST, "/users/{user}/messages", Operation::Send),
    Route::new(Method::DELETE, "/users/{user}/connections", Operation::Disconnect),
];

/// What a request is for, and the room or user that its path names, still percent-encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) operation: Operation,
    pub(super) name: &'a str,
}

/// Finds what a request is for.
///
/// # Errors
/// `not_found`, or `method_not_allowed` for a path that has other methods.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Problem> {
    // The answer to HEAD is that to GET without its body, which hyper leaves out.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let path = if path == BASE { "/api/v1/" } else { path };
    let mut exists = false;
    for route in &ROUTES {
        let Some(name) = route.fit(path) else { continue };
        if route.method == *method {
            return Ok(Found { operation: route.operation, name });
        }
        exists = true;
    }
    if exists {
        let why = format!("this path answers {}; {BASE}/openapi.json has all", methods(path));
        Err(Problem::new(code::METHOD, why))
    } else {
        let why = format!("there is nothing here; {BASE}/openapi.json has all there is");
        Err(Problem::new(code::NOT_FOUND, why))
    }
}

/// The methods of a path, as `Allow` lists them (RFC 9110 §10.2.1).
pub(super) fn methods(path: &str) -> String {
    let path = if path == BASE { "/api/v1/" } else { path };
    let mut methods = Vec::new();
    for route in ROUTES.iter().filter(|route| route.fit(path).is_some()) {
        methods.push(route.method.as_str());
        if route.method == Method::GET {
            methods.push("HEAD");
        }
    }
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn found<'a>(method: &Method, path: &'a str) -> Result<(Operation, &'a str), String> {
        find(method, path)
            .map(|found| (found.operation, found.name))
            .map_err(|problem| problem.code.into_owned())
    }

    #[test]
    fn a_path_and_a_method_say_what_is_asked_of_whom() {
        assert_eq!(
            found(&Method::POST, "/api/v1/rooms/caf%C3%A9/messages"),
            Ok((Operation::Publish, "caf%C3%A9"))
        );
        assert_eq!(
            found(&Method::DELETE, "/api/v1/users/alice/connections"),
            Ok((Operation::Disconnect, "alice"))
        );
        assert_eq!(found(&Method::GET, "/api/v1"), Ok((Operation::Root, "")));
        assert_eq!(found(&Method::HEAD, "/api/v1/openapi.json"), Ok((Operation::Describe, "")));
    }

    #[test]
    fn a_path_without_the_method_says_which_it_has() {
        assert_eq!(
            found(&Method::PUT, "/api/v1/rooms/a/history"),
            Err("method_not_allowed".to_owned())
        );
        assert_eq!(methods("/api/v1/rooms/a/history"), "GET, HEAD");
        assert_eq!(methods("/api/v1/rooms/a/messages"), "POST");
    }

    #[test]
    fn nothing_else_is_there() {
        for path in [
            "/api/v1/rooms",
            "/api/v1/rooms/a",
            "/api/v1/rooms/a/b/messages",
            "/api/v1/rooms/a/messages/",
            "/api/v1/users/a/history",
            "/api/v1//rooms/a/messages",
        ] {
            assert_eq!(found(&Method::GET, path), Err("not_found".to_owned()), "{path}");
        }
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: serde_json::Value =
            serde_json::from_str(super::super::DESCRIPTION).expect("JSON");
        let mut described = BTreeSet::new();
        for (path, item) in description["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("methods").keys() {
                if method != "parameters" {
                    described.insert(format!("{} {path}", method.to_uppercase()));
                }
            }
        }
        let routes =
            ROUTES.iter().map(|route| format!("{} {BASE}{}", route.method, route.template));
        assert_eq!(described, routes.collect());
    }

    #[test]
    fn the_description_has_the_parameters_of_every_route() {
        let description: serde_json::Value =
            serde_json::from_str(super::super::DESCRIPTION).expect("JSON");
        for route in &ROUTES {
            let method = route.method.as_str().to_lowercase();
            let described = &description["paths"][format!("{BASE}{}", route.template)][method];
            let names: BTreeSet<_> = described["parameters"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default()
                .iter()
                .map(|parameter| match parameter["$ref"].as_str() {
                    Some(reference) => description
                        .pointer(reference.trim_start_matches('#'))
                        .expect("what is referred to"),
                    None => parameter,
                })
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().expect("a name"))
                .collect();
            let known = route.operation.parameters().iter().map(|parameter| parameter.name());
            assert_eq!(names, known.collect(), "{}", route.template);
        }
    }
}

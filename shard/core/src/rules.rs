//! From a rule and an event to the values that the rule's action needs.
//!
//! What an event carries stays as its sender wrote it: values are picked out as raw JSON and put
//! together anew, never parsed and written again. What is done with them is decided elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use trunkline_config::events::{Args, Piece, Reference, Root, Template, Text};

use crate::binary::write_renumbered;
use crate::dialect::socketio::json_text;
use crate::message::{Arguments, Body};
use crate::name::{Namespace, UserId};
use crate::session_id::SessionId;

/// What a rule can refer to.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) namespace: &'a Namespace,
    pub(crate) user: &'a UserId,
    pub(crate) session: SessionId,
    /// JSON values.
    pub(crate) arguments: Vec<&'a str>,
    pub(crate) attachments: &'a [Bytes],
    /// What the client gave when it connected, as JSON.
    pub(crate) auth: Option<&'a str>,
    /// Why it has gone.
    pub(crate) reason: Option<&'a str>,
}

/// A text refers to something that is not there, or is neither a string nor a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} must be a string or a number")]
pub(crate) struct NoText(String);

impl Event<'_> {
    /// A text with its references replaced.
    ///
    /// # Errors
    /// [`NoText`] names the reference that can't be part of a text.
    pub(crate) fn text(&self, text: &Text) -> Result<Cow<'_, str>, NoText> {
        if let [Piece::Reference(reference)] = &text.0[..] {
            return self.plain(reference);
        }
        let mut out = String::new();
        for piece in &text.0 {
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Reference(reference) => out.push_str(&self.plain(reference)?),
            }
        }
        Ok(out.into())
    }

    /// The string or the number that a reference stands for.
    fn plain(&self, reference: &Reference) -> Result<Cow<'_, str>, NoText> {
        let text = match self.value(reference) {
            Some(Cow::Borrowed(json)) => plain(json),
            Some(Cow::Owned(json)) => plain(&json).map(|text| text.into_owned().into()),
            None => None,
        };
        text.ok_or_else(|| NoText(name_of(reference)))
    }

    /// What a reference stands for, as JSON.
    pub(crate) fn value(&self, reference: &Reference) -> Option<Cow<'_, str>> {
        let Reference { root, path } = reference;
        let root: Cow<'_, str> = match root {
            Root::Argument(number) => Cow::Borrowed(*self.arguments.get(*number)?),
            Root::User => json_text(self.user.as_str()).into(),
            Root::Session => json_text(&self.session.to_string()).into(),
            Root::Namespace => json_text(self.namespace.as_str()).into(),
            Root::Event => json_text(self.name).into(),
            Root::Auth => Cow::Borrowed(self.auth?),
            Root::Reason => json_text(self.reason?).into(),
        };
        match root {
            Cow::Borrowed(json) => {
                path.iter().try_fold(json, |it, key| field(it, key)).map(Into::into)
            }
            // Texts have no fields.
            Cow::Owned(json) => path.is_empty().then_some(Cow::Owned(json)),
        }
    }

    /// The body of a message named `emit`. `skip` of the arguments name the receiver.
    pub(crate) fn body(&self, emit: Arc<str>, args: &Args, skip: usize) -> Body {
        let (json, count) = match args {
            Args::Rest => {
                let rest = self.arguments.get(skip..).unwrap_or_default();
                (rest.join(","), rest.len())
            }
            Args::Listed(templates) => {
                let values = self.listed(templates);
                (values.join(","), values.len())
            }
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let (json, attachments) = self.with_attachments(json);
        Body { event: emit, arguments: Arguments::new(&json, count), attachments }
    }

    /// The JSON with only those attachments that it names, numbered anew.
    fn with_attachments(&self, json: String) -> (String, Vec<Bytes>) {
        if self.attachments.is_empty() {
            return (json, Vec::new());
        }
        let (mut out, mut used) = (Vec::with_capacity(json.len()), Vec::new());
        write_renumbered(&mut out, &json, self.attachments, &mut used);
        // What is copied is UTF-8, and so is what is put between.
        (String::from_utf8(out).unwrap_or(json), used)
    }

    fn listed(&self, templates: &[Template]) -> Vec<Cow<'_, str>> {
        let mut values = Vec::with_capacity(templates.len());
        for template in templates {
            match template {
                Template::Arguments => {
                    values.extend(self.arguments.iter().map(|it| Cow::Borrowed(*it)));
                }
                one => values.push(self.made(one)),
            }
        }
        values
    }

    fn made(&self, template: &Template) -> Cow<'_, str> {
        match template {
            // A text that can't be made is nothing, like a reference to what isn't there.
            Template::Text(text) => match self.text(text) {
                Ok(text) => json_text(&text).into(),
                Err(_) => Cow::Borrowed("null"),
            },
            Template::Integer(number) => number.to_string().into(),
            Template::Float(number) if number.is_finite() => number.to_string().into(),
            Template::Float(_) => Cow::Borrowed("null"),
            Template::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Template::Reference(reference) => {
                self.value(reference).unwrap_or(Cow::Borrowed("null"))
            }
            Template::Arguments => format!("[{}]", self.arguments.join(",")).into(),
            Template::List(items) => format!("[{}]", self.listed(items).join(",")).into(),
            Template::Table(fields) => {
                let field =
                    |(key, value): &(String, _)| format!("{}:{}", json_text(key), self.made(value));
                let fields: Vec<String> = fields.iter().map(field).collect();
                format!("{{{}}}", fields.join(",")).into()
            }
        }
    }
}

/// A field of an object, or an element of an array.
pub(crate) fn field<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    #[derive(Deserialize)]
    struct Fields<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);
    match json.as_bytes().first()? {
        b'{' => serde_json::from_str::<Fields<'a>>(json).ok()?.0.get(key).map(|raw| raw.get()),
        b'[' => {
            let items: Vec<&'a RawValue> = serde_json::from_str(json).ok()?;
            items.get(key.parse::<usize>().ok()?).map(|raw| raw.get())
        }
        _ => None,
    }
}

/// The text of a JSON string, or a number as it is written.
pub(crate) fn plain(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0),
        b'-' | b'0'..=b'9' => Some(json.into()),
        _ => None,
    }
}

/// A reference as it is written in a rule.
fn name_of(reference: &Reference) -> String {
    let Reference { root, path } = reference;
    let root = match root {
        Root::Argument(number) => format!("${number}"),
        Root::User => "$user".to_owned(),
        Root::Session => "$session".to_owned(),
        Root::Namespace => "$namespace".to_owned(),
        Root::Event => "$event".to_owned(),
        Root::Auth => "$auth".to_owned(),
        Root::Reason => "$reason".to_owned(),
    };
    path.iter().fold(root, |name, key| format!("{name}.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(root: Root, path: &[&str]) -> Reference {
        Reference { root, path: path.iter().map(|key| (*key).to_owned()).collect() }
    }

    fn with<T>(arguments: &str, attachments: &[Bytes], check: impl FnOnce(&Event<'_>) -> T) -> T {
        let array = format!("[{arguments}]");
        let values: Vec<&RawValue> = serde_json::from_str(&array).unwrap();
        check(&Event {
            name: &"e".into(),
            namespace: &Namespace::parse("/").unwrap(),
            user: &UserId::parse("alice").unwrap(),
            session: SessionId([0; 24]),
            arguments: values.iter().map(|value| value.get()).collect(),
            attachments,
            auth: Some("{\"name\":\"Al\"}"),
            reason: None,
        })
    }

    #[test]
    fn references_pick_arguments_and_their_fields_as_they_were_written() {
        with("{\"a\": [1, {\"b\": 2.50}]}, \"x\"", &[], |event| {
            let value = |root, path: &[&str]| event.value(&reference(root, path));
            assert_eq!(value(Root::Argument(0), &["a", "1", "b"]).as_deref(), Some("2.50"));
            assert_eq!(value(Root::Argument(1), &[]).as_deref(), Some("\"x\""));
            assert_eq!(value(Root::Argument(1), &["length"]), None);
            assert_eq!(value(Root::Argument(2), &[]), None);
            assert_eq!(value(Root::User, &[]).as_deref(), Some("\"alice\""));
            assert_eq!(value(Root::User, &["x"]), None);
            assert_eq!(value(Root::Auth, &["name"]).as_deref(), Some("\"Al\""));
            assert_eq!(value(Root::Reason, &[]), None);
        });
    }

    #[test]
    fn a_text_takes_strings_and_numbers_and_nothing_else() {
        with("\"a\\n\", 7, true", &[], |event| {
            let text = |number| {
                event.text(&Text(vec![
                    Piece::Literal("t-".to_owned()),
                    Piece::Reference(reference(Root::Argument(number), &[])),
                ]))
            };
            assert_eq!(text(0).as_deref(), Ok("t-a\n"));
            assert_eq!(text(1).as_deref(), Ok("t-7"));
            assert_eq!(text(2).unwrap_err().to_string(), "$2 must be a string or a number");
            assert!(text(3).is_err());
        });
    }

    #[test]
    fn a_body_is_made_of_the_rest_or_of_templates() {
        with("\"to\", {\"m\": 1}, 2", &[], |event| {
            assert_eq!(
                event.body("x".into(), &Args::Rest, 1).arguments,
                Arguments::new("{\"m\": 1},2", 2)
            );
            let table = Template::Table(vec![
                ("from".to_owned(), Template::Reference(reference(Root::User, &[]))),
                ("m".to_owned(), Template::Reference(reference(Root::Argument(1), &["m"]))),
                ("none".to_owned(), Template::Reference(reference(Root::Argument(9), &[]))),
            ]);
            let listed = Args::Listed(vec![table, Template::Arguments, Template::Flag(true)]);
            let body = event.body("x".into(), &listed, 1);
            assert_eq!(body.arguments.count(), 5);
            assert_eq!(
                body.arguments.json(),
                "{\"from\":\"alice\",\"m\":1,\"none\":null},\"to\",{\"m\": 1},2,true"
            );
        });
    }

    #[test]
    fn attachments_that_are_not_picked_are_left_behind() {
        let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let place = |n| format!("{{\"_placeholder\":true,\"num\":{n}}}");
        let arguments = format!("{},{}", place(0), place(1));
        with(&arguments, &attachments, |event| {
            let body = event.body("x".into(), &Args::Rest, 1);
            assert_eq!(body.arguments.json(), place(0));
            assert_eq!(body.attachments, ["b"]);
        });
    }
}

//! The strings of event rules: `"$0.recipientId"`, `"team-${0.id}"`, `"lobby"`.
//!
//! A string that is one reference is that reference, with or without braces; in a longer text
//! references have braces, and `$$` is the sign itself. What a reference stands for is looked up
//! when a rule is carried out; here it is only judged whether there can be anything.

use super::Wrong;
use crate::events::{CONNECT, DISCONNECT, Piece, Reference, Root, Text};

/// What makes a rule be carried out, and with it what there is to refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A client emits an event.
    Emitted,
    /// A client has connected to a namespace.
    Connected,
    /// A client has left a namespace.
    Disconnected,
}

impl Occasion {
    /// The one of rules for this event.
    pub(crate) fn of(event: &str) -> Self {
        match event {
            CONNECT => Self::Connected,
            DISCONNECT => Self::Disconnected,
            _ => Self::Emitted,
        }
    }

    fn roots(self) -> &'static str {
        match self {
            Self::Emitted => "$0, $1, …, $args, $user, $session, $namespace and $event",
            Self::Connected => "$user, $session, $namespace, $event and $auth",
            Self::Disconnected => "$user, $session, $namespace, $event and $reason",
        }
    }

    fn nothing(self, root: &str) -> Wrong {
        let carrier = match self {
            Self::Emitted => "an event",
            Self::Connected => "connect",
            Self::Disconnected => "disconnect",
        };
        let what = format!("refers to ${root}, which {carrier} does not carry");
        Wrong::new(what, format!("there are {}, and $$ for the sign itself", self.roots()))
    }
}

/// What a string says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A text, in which there may be references.
    Text(Text),
    /// One reference and nothing else.
    Reference(Reference),
    /// `$args`: all arguments.
    Arguments,
}

/// Reads a string.
pub(crate) fn parse(written: &str, occasion: Occasion) -> Result<Said, Wrong> {
    match alone(written) {
        Some("args") if occasion == Occasion::Emitted => Ok(Said::Arguments),
        Some(body) => reference(body, occasion).map(Said::Reference),
        None => pieces(written, occasion).map(|pieces| Said::Text(Text(pieces))),
    }
}

/// Reads a string that stands for one text.
pub(crate) fn text(written: &str, occasion: Occasion) -> Result<Text, Wrong> {
    match parse(written, occasion)? {
        Said::Text(text) => Ok(text),
        Said::Reference(reference) => Ok(Text(vec![Piece::Reference(reference)])),
        Said::Arguments => Err(several()),
    }
}

/// Reads a string that must be one reference.
pub(crate) fn single(written: &str, occasion: Occasion) -> Result<Reference, Wrong> {
    match parse(written, occasion)? {
        Said::Reference(reference) => Ok(reference),
        Said::Arguments => Err(several()),
        Said::Text(_) => Err(Wrong::new(
            format!("is {written:?}, which is not a reference"),
            "write one such as \"$1\" or \"$0.query\"",
        )),
    }
}

/// What is wrong with `$args` where one value is needed.
pub(crate) fn several() -> Wrong {
    Wrong::new(
        "refers to $args, which stands for several values",
        "write \"$0\", \"$1\", … here, or \"$args\" as data or as an element of a list in it",
    )
}

/// The inside of a reference that is all there is.
fn alone(written: &str) -> Option<&str> {
    let body = written.strip_prefix('$')?;
    if let Some(inner) = body.strip_prefix('{') {
        return inner.strip_suffix('}').filter(|inner| !inner.contains(['{', '}', '$']));
    }
    let ends = |c: char| "${}".contains(c) || c.is_whitespace();
    (!body.is_empty() && !body.contains(ends)).then_some(body)
}

fn pieces(written: &str, occasion: Occasion) -> Result<Vec<Piece>, Wrong> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (inner, after) = braced.ok_or_else(|| {
            Wrong::new(
                format!("is {written:?}, in which a $ begins no reference"),
                "write \"${0}\" for a reference within a text, and $$ for the sign itself",
            )
        })?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Reference(reference(inner, occasion)?));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// A reference without its sign and braces.
fn reference(body: &str, occasion: Occasion) -> Result<Reference, Wrong> {
    let mut segments = body.split('.');
    let name = segments.next().unwrap_or_default();
    let path: Vec<String> = segments.map(str::to_owned).collect();
    if name == "args" && occasion == Occasion::Emitted {
        return Err(several());
    }
    let root = root(name, occasion).ok_or_else(|| occasion.nothing(name))?;
    if path.iter().any(|field| field.is_empty() || field.contains(['$', '{', '}'])) {
        return Err(Wrong::new(
            format!("refers to ${body}, in which a field has no name"),
            "write names or indices with dots between them, such as \"$0.user.id\"",
        ));
    }
    if !path.is_empty() && !matches!(root, Root::Argument(_) | Root::Auth) {
        return Err(Wrong::new(
            format!("refers to ${body}, but ${name} is a text and has no fields"),
            format!("write ${name}"),
        ));
    }
    Ok(Reference { root, path })
}

fn root(name: &str, occasion: Occasion) -> Option<Root> {
    match (name, occasion) {
        ("user", _) => Some(Root::User),
        ("session", _) => Some(Root::Session),
        ("namespace", _) => Some(Root::Namespace),
        ("event", _) => Some(Root::Event),
        ("auth", Occasion::Connected) => Some(Root::Auth),
        ("reason", Occasion::Disconnected) => Some(Root::Reason),
        (_, Occasion::Emitted) => {
            // One way to write each: no sign, no leading zeros.
            let index: usize = name.parse().ok()?;
            (index.to_string() == name).then_some(Root::Argument(index))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(root: Root, path: &[&str]) -> Reference {
        Reference { root, path: path.iter().map(|field| (*field).to_owned()).collect() }
    }

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    fn wrong(written: &str, occasion: Occasion) -> String {
        parse(written, occasion).unwrap_err().to_string()
    }

    #[test]
    fn a_string_that_is_one_reference_is_that_reference() {
        for (written, reference) in [
            ("$0", of(Root::Argument(0), &[])),
            ("${0}", of(Root::Argument(0), &[])),
            ("$12.to.0.id", of(Root::Argument(12), &["to", "0", "id"])),
            ("$0.a-b", of(Root::Argument(0), &["a-b"])),
            ("${0.first name}", of(Root::Argument(0), &["first name"])),
            ("$user", of(Root::User, &[])),
            ("$session", of(Root::Session, &[])),
            ("$namespace", of(Root::Namespace, &[])),
            ("$event", of(Root::Event, &[])),
        ] {
            assert_eq!(parse(written, Occasion::Emitted), Ok(Said::Reference(reference)));
        }
        assert_eq!(parse("$args", Occasion::Emitted), Ok(Said::Arguments));
    }

    #[test]
    fn a_longer_text_has_references_in_braces() {
        let id = || Piece::Reference(of(Root::Argument(0), &["id"]));
        for (written, pieces) in [
            ("", vec![]),
            ("lobby", vec![literal("lobby")]),
            ("team-${0.id}", vec![literal("team-"), id()]),
            ("${0.id}${0.id}!", vec![id(), id(), literal("!")]),
            ("{0} $$5 $$", vec![literal("{0} $5 $")]),
            ("$$0", vec![literal("$0")]),
        ] {
            assert_eq!(parse(written, Occasion::Emitted), Ok(Said::Text(Text(pieces))));
        }
    }

    #[test]
    fn a_text_that_is_the_first_argument_is_known_as_such_however_it_is_written() {
        for written in ["$0", "${0}"] {
            assert!(text(written, Occasion::Emitted).unwrap().is_first_argument());
        }
        assert!(!text("$0.id", Occasion::Emitted).unwrap().is_first_argument());
    }

    #[test]
    fn a_sign_that_begins_no_reference_is_a_mistake() {
        for written in ["$", "cost: $5", "$0 and more", "${0", "a$", "$user-$session", "$}"] {
            let wrong = wrong(written, Occasion::Emitted);
            assert!(wrong.contains("begins no reference; write"), "{written:?}: {wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_a_mistake_that_says_what_there_is() {
        for written in ["$sender", "$00", "$+1", "$-1", "$auth.token", "$reason", "x${}", "${}"] {
            let wrong = wrong(written, Occasion::Emitted);
            assert!(wrong.contains("an event does not carry; there are $0, $1, …"), "{wrong}");
        }
        let of_connect = wrong("$0", Occasion::Connected);
        assert!(of_connect.starts_with("refers to $0, which connect does not carry; there are $u"));
        assert!(wrong("$args", Occasion::Connected).contains("and $auth"));
        assert!(wrong("$auth", Occasion::Disconnected).contains("and $reason"));
        assert!(parse("$auth.token", Occasion::Connected).is_ok());
        assert!(parse("$reason", Occasion::Disconnected).is_ok());
    }

    #[test]
    fn only_what_has_fields_is_followed_into_them() {
        assert!(wrong("$user.name", Occasion::Emitted).contains("has no fields; write $user"));
        for written in ["$0.", "$0..a", "a${0.}", "a${0.${user}}"] {
            assert!(wrong(written, Occasion::Emitted).contains("has no name; write"), "{written}");
        }
    }

    #[test]
    fn all_arguments_are_no_text_and_have_no_fields() {
        for wrong in [
            text("$args", Occasion::Emitted).unwrap_err(),
            text("a ${args}", Occasion::Emitted).unwrap_err(),
            text("$args.0", Occasion::Emitted).unwrap_err(),
            single("$args", Occasion::Emitted).unwrap_err(),
        ] {
            assert!(wrong.to_string().contains("several values; write"));
        }
    }

    #[test]
    fn where_a_reference_is_needed_a_text_is_a_mistake() {
        assert_eq!(single("$1", Occasion::Emitted), Ok(of(Root::Argument(1), &[])));
        assert!(single("all", Occasion::Emitted).is_err());
        assert!(single("a${1}", Occasion::Emitted).is_err());
    }
}

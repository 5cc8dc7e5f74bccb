//! What a typed line asks for.

/// The commands, as `/help` says them.
pub(super) const HELP: [&str; 7] = [
    "/join ROOM       go to another room",
    "/leave           leave this room",
    "/msg USER TEXT   write to somebody alone",
    "/who             who is in this room",
    "/help            this",
    "/quit            end",
    "anything else is said to the room; begin with // to say something that begins with /",
];

/// What a typed line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Nothing,
    Say(String),
    Join(String),
    Leave,
    Message {
        to: String,
        text: String,
    },
    Who,
    Help,
    Quit,
    /// It is a command, and can't be followed; this says why.
    Wrong(String),
}

impl Line {
    pub(super) fn parse(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Nothing;
        }
        let Some(command) = line.strip_prefix('/') else {
            return Self::Say(line.to_owned());
        };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (word, rest) = split(command);
        match (word, split(rest)) {
            ("join", ("", _)) => Self::Wrong("say which room: /join ROOM".to_owned()),
            ("join", _) => Self::Join(rest.to_owned()),
            ("leave", _) => Self::Leave,
            ("msg", (to, text)) if !text.is_empty() => {
                Self::Message { to: to.to_owned(), text: text.to_owned() }
            }
            ("msg", _) => Self::Wrong("say to whom and what: /msg USER TEXT".to_owned()),
            ("who", _) => Self::Who,
            ("help", _) => Self::Help,
            ("quit", _) => Self::Quit,
            (other, _) => Self::Wrong(format!("there is no /{other}; /help says what there is")),
        }
    }
}

/// The first word and what follows it.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_unless_it_is_a_command() {
        let message = Line::Message { to: "bob".to_owned(), text: "are you  there?".to_owned() };
        let cases = [
            ("  ", Line::Nothing),
            ("hello there ", Line::Say("hello there".to_owned())),
            ("//join is a command", Line::Say("/join is a command".to_owned())),
            ("/join  the den", Line::Join("the den".to_owned())),
            ("/leave", Line::Leave),
            ("/msg bob are you  there?", message),
            ("/who", Line::Who),
            ("/help", Line::Help),
            ("/quit", Line::Quit),
        ];
        for (typed, line) in cases {
            assert_eq!(Line::parse(typed), line, "{typed:?}");
        }
    }

    #[test]
    fn a_command_that_lacks_something_says_what() {
        for (typed, hint) in [("/join ", "/join ROOM"), ("/msg bob", "USER TEXT"), ("/x", "/help")]
        {
            let Line::Wrong(why) = Line::parse(typed) else { panic!("{typed:?} is taken") };
            assert!(why.contains(hint), "{why}");
        }
    }
}

//! What a client says in the address of its WebSocket.

use percent_encoding::percent_decode_str;
use trunkline_config::name::{NameError, check_id, check_user};
use trunkline_proto::trunk::Position;

use super::Refusal;

const DEFAULT_NAMESPACE: &str = "/";

/// The query's parameters, decoded and checked.
#[derive(Debug, PartialEq)]
pub(super) struct Query {
    pub(super) room: Option<String>,
    /// With its leading slash.
    pub(super) namespace: String,
    pub(super) user: Option<String>,
    pub(super) token: Option<String>,
    pub(super) inbox_after: Option<Position>,
}

impl Query {
    /// Parameters of other names are none of ours and left alone.
    ///
    /// # Errors
    /// A [`Refusal`] with 400 that names the parameter.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let [mut room, mut namespace, mut user, mut token, mut inbox] =
            [const { None::<String> }; 5];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "room" => &mut room,
                "ns" => &mut namespace,
                "user" => &mut user,
                "token" => &mut token,
                "inbox" => &mut inbox,
                _ => continue,
            };
            if place.replace(decode(name, value)?).is_some() {
                return Err(Refusal::bad_request(format!("`{name}` is given twice; give it once")));
            }
        }
        checked("room", room.as_deref(), check_id)?;
        checked("user", user.as_deref(), check_user)?;
        let mut namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        if !namespace.starts_with('/') {
            namespace.insert(0, '/');
        }
        checked("ns", Some(&namespace), check_id)?;
        let inbox_after = inbox.map(|inbox| position(&inbox)).transpose()?;
        Ok(Self { room, namespace, user, token, inbox_after })
    }
}

fn decode(name: &str, value: &str) -> Result<String, Refusal> {
    // Forms write a space as `+`, and URLSearchParams does so too.
    let value = value.replace('+', " ");
    match percent_decode_str(&value).decode_utf8() {
        Ok(value) => Ok(value.into_owned()),
        Err(_) => Err(Refusal::bad_request(format!("`{name}` is not UTF-8; encode it as such"))),
    }
}

fn checked(
    name: &str,
    value: Option<&str>,
    check: fn(&str) -> Result<(), NameError>,
) -> Result<(), Refusal> {
    value.map_or(Ok(()), check).map_err(|error| Refusal::bad_request(format!("`{name}`: {error}")))
}

fn position(text: &str) -> Result<Position, Refusal> {
    let bad =
        || Refusal::bad_request("`inbox` must be EPOCH:OFFSET, as a private message has them");
    let (epoch, offset) = text.rsplit_once(':').ok_or_else(bad)?;
    check_id(epoch).map_err(|_| bad())?;
    // `parse` would take a plus sign too.
    if !offset.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let offset = offset.parse().map_err(|_| bad())?;
    Ok(Position { epoch: epoch.to_owned(), offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        Query::parse(query).expect_err("bad").text
    }

    #[test]
    fn an_empty_query_has_the_default_namespace() {
        let query = Query::parse("").expect("good");
        assert_eq!((query.namespace.as_str(), query.room, query.user), ("/", None, None));
    }

    #[test]
    fn parameters_are_percent_decoded() {
        let query = Query::parse("room=caf%C3%A9+1%2B&user=a%26b&ns=game&x=%FF").expect("good");
        assert_eq!(query.room.as_deref(), Some("café 1+"));
        assert_eq!(query.user.as_deref(), Some("a&b"));
        assert_eq!(query.namespace, "/game");
    }

    #[test]
    fn an_inbox_position_is_an_epoch_and_an_offset() {
        let position = Query::parse("inbox=9k2f:58").expect("good").inbox_after;
        assert_eq!(position, Some(Position { epoch: "9k2f".to_owned(), offset: 58 }));
        for bad in ["", "58", "9k2f:", "9k2f:-1", "9k2f:%2B1", ":5", "a:99999999999999999999"] {
            assert!(refusal(&format!("inbox={bad}")).contains("EPOCH:OFFSET"), "{bad}");
        }
    }

    #[test]
    fn a_bad_id_is_named() {
        assert!(refusal("room=").starts_with("`room`"));
        assert!(refusal("room=a%00b").contains("control"));
        assert!(refusal(&format!("user={}", "x".repeat(257))).contains("longer than 256"));
        assert!(refusal("user=~bob").contains('~'));
        assert!(refusal(&format!("ns={}", "x".repeat(256))).starts_with("`ns`"));
        assert!(refusal("user=%FF").contains("UTF-8"));
        assert!(refusal("room=a&room=b").contains("twice"));
    }
}

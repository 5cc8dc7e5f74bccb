//! What Engine.IO's own parameters say. Those that name a session's room and user are read by the
//! handshake, as for every client.

use percent_encoding::percent_decode_str;

/// The parameters as the reference server reads them: one that is given twice has no value that
/// is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) protocol: Option<String>,
    pub(super) transport: Option<String>,
    /// None if it is empty.
    pub(super) sid: Option<String>,
}

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "EIO" => &mut parsed.protocol,
                "transport" => &mut parsed.transport,
                "sid" => &mut parsed.sid,
                _ => continue,
            };
            let value = percent_decode_str(value).decode_utf8_lossy();
            *place = Some(match place.take() {
                None => value.into_owned(),
                Some(before) => format!("{before},{value}"),
            });
        }
        parsed.sid = parsed.sid.filter(|sid| !sid.is_empty());
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_given_twice_is_not_one_of_the_two() {
        let query = Query::parse("EIO=4&transport=polling&sid=&t=abc&transport=websocket&b64");
        assert_eq!(query.protocol.as_deref(), Some("4"));
        assert_eq!(query.transport.as_deref(), Some("polling,websocket"));
        assert_eq!(query.sid, None);
        assert_eq!(Query::parse("sid=a%2Db").sid.as_deref(), Some("a-b"));
    }
}

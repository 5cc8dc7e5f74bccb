//! Who a request speaks for, and what its session is placed by.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use hyper::header::HeaderMap;
use rand::rngs::StdRng;
use rand::{Rng, RngCore};
use trunkline_config::{Digest, HashKey, Settings, ShardKey};
use trunkline_proto::token::{Identity, RoomRight, TokenVerifier};
use trunkline_proto::trunk::{Attach, Dialect, Right, Rights};

use super::query::Query;
use super::{Admission, Refusal, credentials, origin};
use crate::connection::close::CloseReason;
use trunkline_proto::net::Clock;

/// How many random bytes follow the digest in a session's ID.
const RANDOM: usize = 16;
/// How many of them a guest's name shows.
const GUEST: usize = 6;

/// Decides on upgrade requests.
pub(crate) struct Doorkeeper {
    settings: Arc<Settings>,
    /// The same in every map that the cluster goes over to.
    hash_key: HashKey,
    /// None in mode `open`.
    verifier: Option<Arc<TokenVerifier>>,
    clock: Clock,
    entropy: RefCell<StdRng>,
}

impl Doorkeeper {
    pub(crate) fn new(
        settings: Arc<Settings>,
        hash_key: HashKey,
        verifier: Option<Arc<TokenVerifier>>,
        clock: Clock,
        entropy: StdRng,
    ) -> Self {
        Self { settings, hash_key, verifier, clock, entropy: RefCell::new(entropy) }
    }

    /// Whether pages of the request's origin may connect.
    ///
    /// # Errors
    /// A [`Refusal`] with 403.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        origin::check(headers, &self.settings.router.allowed_origins)
    }

    /// What becomes of a request for a session. A Socket.IO client that gives no token may still
    /// do so when it connects to a namespace; until then it is a guest.
    ///
    /// # Errors
    /// A [`Refusal`]: 403 for the Origin, 400 for the query, and for a Socket.IO client's token.
    pub(crate) fn admit<B>(
        &self,
        request: &Request<B>,
        peer: IpAddr,
        dialect: Dialect,
    ) -> Result<Admission, Refusal> {
        let headers = request.headers();
        self.check_origin(headers)?;
        let mut query = Query::parse(request.uri().query().unwrap_or_default())?;
        let identity = match &self.verifier {
            None => None,
            Some(verifier) => {
                let token = query.token.as_deref().or_else(|| credentials::bearer(headers));
                match token.map(|token| verifier.verify(token, (self.clock)())) {
                    Some(Ok(identity)) => Some(identity),
                    // A client of Socket.IO that is upgraded and closed before its handshake waits
                    // for that until its own time is over; a refusal it reports at once.
                    Some(Err(error)) if dialect == Dialect::SocketIo => {
                        return Err(Refusal::bad_token(&error));
                    }
                    Some(Err(error)) => {
                        return Ok(Admission::Close(CloseReason::bad_token(&error)));
                    }
                    None if dialect == Dialect::SocketIo => None,
                    None => return Ok(Admission::Close(CloseReason::NO_TOKEN)),
                }
            }
        };
        if self.verifier.is_some() {
            // A token's subject speaks, whatever the query says, and without one nobody does.
            query.user = None;
        }
        let mut attach = self.begin(query, identity);
        attach.dialect = dialect.into();
        let trusted = &self.settings.router.trusted_proxies;
        tracing::debug!(client = %credentials::client_address(headers, peer, trusted),
            user = %attach.user, "admitted");
        Ok(Admission::Attach(Box::new(attach)))
    }

    /// What a client names its session by.
    pub(crate) fn seal(&self, session: &[u8]) -> Option<String> {
        session.try_into().ok().map(|session| self.hash_key.seal(session))
    }

    /// The session that a client names.
    pub(crate) fn unseal(&self, sid: &str) -> Option<Bytes> {
        self.hash_key.unseal(sid).map(|session| Bytes::copy_from_slice(&session))
    }

    fn begin(&self, query: Query, identity: Option<Identity>) -> Attach {
        let Query { room, namespace, user, inbox_after, .. } = query;
        let authenticated = identity.is_some();
        let (user, expires_ms, rights) = match identity {
            Some(Identity { user, expires_ms, rights }) => (Some(user), expires_ms, rights),
            None => (user, 0, None),
        };
        let mut random = [0; RANDOM];
        let anonymous = {
            let mut entropy = self.entropy.borrow_mut();
            entropy.fill_bytes(&mut random);
            entropy.random()
        };
        let key = match (&room, &user) {
            (Some(room), _) => ShardKey::Room { namespace: &namespace, room },
            (None, Some(user)) => ShardKey::User(user),
            (None, None) => ShardKey::Anonymous(anonymous),
        };
        Attach {
            session: session(key.digest(&self.hash_key), &random),
            guest: user.is_none(),
            user: user.unwrap_or_else(|| guest(&random)),
            namespace,
            expires_ms,
            rights: rights.map(wire_rights),
            inbox_after,
            authenticated,
            ..Attach::default()
        }
    }
}

fn session(digest: Digest, random: &[u8; RANDOM]) -> Bytes {
    let mut session = digest.0.to_be_bytes().to_vec();
    session.extend_from_slice(random);
    session.into()
}

fn guest(random: &[u8; RANDOM]) -> String {
    let mut name = "guest-".to_owned();
    for byte in &random[..GUEST] {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

fn wire_rights(rights: Vec<RoomRight>) -> Rights {
    let wire = |right: RoomRight| {
        let RoomRight { pattern, join, publish, history } = right;
        Right { pattern, join, publish, history }
    };
    Rights { rights: rights.into_iter().map(wire).collect() }
}

//! Who a request speaks for, and which shard its session belongs to.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use rand::rngs::StdRng;
use rand::{Rng, RngCore};
use trunkline_config::{Digest, Settings, ShardKey, ShardMap};
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
    map: Arc<ShardMap>,
    /// None in mode `open`.
    verifier: Option<Arc<TokenVerifier>>,
    clock: Clock,
    entropy: RefCell<StdRng>,
}

impl Doorkeeper {
    pub(crate) fn new(
        settings: Arc<Settings>,
        map: Arc<ShardMap>,
        verifier: Option<Arc<TokenVerifier>>,
        clock: Clock,
        entropy: StdRng,
    ) -> Self {
        Self { settings, map, verifier, clock, entropy: RefCell::new(entropy) }
    }

    /// What becomes of a request for `/ws`.
    ///
    /// # Errors
    /// A [`Refusal`]: 403 for the Origin, 400 for the query.
    pub(crate) fn admit<B>(
        &self,
        request: &Request<B>,
        peer: IpAddr,
    ) -> Result<Admission, Refusal> {
        let headers = request.headers();
        origin::check(headers, &self.settings.router.allowed_origins)?;
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        let identity = match &self.verifier {
            None => None,
            Some(verifier) => {
                let token = query.token.as_deref().or_else(|| credentials::bearer(headers));
                let Some(token) = token else { return Ok(Admission::Close(CloseReason::NO_TOKEN)) };
                match verifier.verify(token, (self.clock)()) {
                    Ok(identity) => Some(identity),
                    Err(error) => return Ok(Admission::Close(CloseReason::bad_token(&error))),
                }
            }
        };
        let (shard, attach) = self.place(query, identity);
        let trusted = &self.settings.router.trusted_proxies;
        tracing::debug!(client = %credentials::client_address(headers, peer, trusted),
            user = %attach.user, "admitted");
        Ok(Admission::Attach { shard, attach: Box::new(attach) })
    }

    fn place(&self, query: Query, identity: Option<Identity>) -> (u16, Attach) {
        let Query { room, namespace, user, inbox_after, .. } = query;
        let authenticated = identity.is_some();
        let (user, expires_ms, rights) = match identity {
            // A token's subject speaks, whatever the query says.
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
        let digest = self.map.digest(&key);
        let attach = Attach {
            session: session(digest, &random),
            dialect: Dialect::Native.into(),
            user: user.unwrap_or_else(|| guest(&random)),
            namespace,
            expires_ms,
            rights: rights.map(wire_rights),
            inbox_after,
            authenticated,
            ..Attach::default()
        };
        (self.map.placement().owner(digest), attach)
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

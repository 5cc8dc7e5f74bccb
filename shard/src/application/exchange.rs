//! One request to the application and its answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use trunkline_proto::net::Clock;
use trunkline_proto::transport::causes;

use super::HttpClient;
use super::signature::Signer;

/// The largest answer, in bytes.
pub(super) const ANSWER: usize = 1024 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("trunkline/", env!("CARGO_PKG_VERSION")));
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What all requests have in common.
pub(super) struct Exchange {
    pub(super) client: HttpClient,
    /// None leaves requests unsigned.
    pub(super) signer: Option<Signer>,
    pub(super) clock: Clock,
}

/// Why there was no good answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Asking again would change nothing.
    Final(String),
    /// Asking again may help.
    Passing(String),
}

impl Exchange {
    /// Asks once. Redirects are not followed: what is signed is for the one who was meant.
    pub(super) async fn once(&self, uri: &Uri, id: &str, body: Bytes) -> Result<Bytes, Fault> {
        let request = self.request(uri, id, body)?;
        let answer =
            self.client.request(request).await.map_err(|error| Fault::Passing(causes(&error)))?;
        check(answer.status())?;
        match Limited::new(answer.into_body(), ANSWER).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Fault::Final(format!("its answer has more than {ANSWER} bytes")))
            }
            Err(error) => Err(Fault::Passing(error.to_string())),
        }
    }

    fn request(&self, uri: &Uri, id: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Fault> {
        // The time of this try: the application refuses what is stale.
        let timestamp = ((self.clock)() / 1000).to_string();
        let mut request = Request::post(uri)
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .header(USER_AGENT, AGENT)
            .header(ID, id)
            .header(TIMESTAMP, &timestamp);
        if let Some(signer) = &self.signer {
            request = request.header(SIGNATURE, signer.sign(id, &timestamp, &body));
        }
        request.body(Full::new(body)).map_err(|error| Fault::Final(error.to_string()))
    }
}

/// A good answer is any 2xx. What the application says is wrong with the request stays wrong,
/// unless it took too long or there was too much.
fn check(status: StatusCode) -> Result<(), Fault> {
    let why = || format!("it answered {status}");
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Fault::Passing(why())),
        _ if status.is_client_error() => Err(Fault::Final(why())),
        _ => Err(Fault::Passing(why())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_ask_again() {
        let again = |status: u16| match check(StatusCode::from_u16(status).unwrap()) {
            Ok(()) => None,
            Err(Fault::Final(_)) => Some(false),
            Err(Fault::Passing(_)) => Some(true),
        };
        for good in [200, 201, 204, 299] {
            assert_eq!(again(good), None);
        }
        for refused in [400, 401, 404, 409, 422] {
            assert_eq!(again(refused), Some(false));
        }
        for passing in [301, 307, 408, 429, 500, 502, 503, 599] {
            assert_eq!(again(passing), Some(true));
        }
    }
}

//! Reading the body of a POST: never more than is allowed, nor for longer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    TooLarge,
    /// It ended before its end.
    Broken,
    TooSlow,
}

/// How long reading takes at most.
pub(super) const LONGEST: Duration = PATIENCE;

/// The body, if it has at most `most` bytes.
pub(super) async fn read(mut body: Incoming, most: usize) -> Result<Bytes, NoBody> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > most) {
        return Err(NoBody::TooLarge);
    }
    let reading = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(NoBody::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    timeout(PATIENCE, reading).await.unwrap_or(Err(NoBody::TooSlow))
}

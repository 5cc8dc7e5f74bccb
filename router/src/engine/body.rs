//! Reading the body of a POST: never more than is allowed, nor for longer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};

/// How long a body may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    TooLarge,
    /// It ended before its end.
    Broken,
}

/// A body as it comes.
pub(super) struct Body {
    coming: Incoming,
    bytes: BytesMut,
    /// How many bytes it may have.
    most: usize,
}

impl Body {
    /// # Errors
    /// [`NoBody::TooLarge`] when it is announced to be.
    pub(super) fn begin(coming: Incoming, most: usize) -> Result<Self, NoBody> {
        let announced = coming.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > most) {
            return Err(NoBody::TooLarge);
        }
        Ok(Self { coming, bytes: BytesMut::new(), most })
    }

    /// Ready with all of it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, NoBody>> {
        while !self.coming.is_end_stream() {
            let Some(frame) = ready!(Pin::new(&mut self.coming).poll_frame(cx)) else { break };
            let Ok(frame) = frame else { return Poll::Ready(Err(NoBody::Broken)) };
            let Ok(data) = frame.into_data() else { continue };
            if self.bytes.len() + data.len() > self.most {
                return Poll::Ready(Err(NoBody::TooLarge));
            }
            self.bytes.extend_from_slice(&data);
        }
        Poll::Ready(Ok(std::mem::take(&mut self.bytes).freeze()))
    }
}

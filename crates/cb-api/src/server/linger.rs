//! A body that nobody reads to its end, because the request was refused before. The client must get to read the answer first: in
//! HTTP/1.1 a connection that is closed with unread bytes is reset, and in HTTP/2 some clients throw the answer away when the stream is
//! reset behind it. So the rest is read and forgotten beside the answer, within bounds; then HTTP/2 resets with `NO_ERROR` and
//! HTTP/1.1 closes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, SizeHint};

const MOST: usize = 16 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(5);

/// A request's body, whose rest is read when it is dropped.
pub(super) struct Lingering<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    /// None once it has ended.
    inner: Option<B>,
    /// The client sends nothing until it is asked (`Expect: 100-continue`), and nobody has asked yet.
    waits: bool,
}

impl<B> Lingering<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    pub fn new(inner: B, waits: bool) -> Self {
        Self { inner: Some(inner), waits }
    }
}

impl<B> HttpBody for Lingering<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.waits = false;
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B> Drop for Lingering<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        if self.is_end_stream() || self.waits {
            return;
        }
        // Without a runtime the connection is gone, too.
        if let (Some(rest), Ok(runtime)) = (self.inner.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, drain(rest)));
        }
    }
}

async fn drain<B: HttpBody<Data = Bytes> + Unpin>(mut body: B) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > MOST {
            break;
        }
    }
}

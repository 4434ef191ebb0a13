//! A connection on which nothing moves is closed: one that never says anything, one that has fallen silent,
//! one that does not read its answer. The HTTP library has bounds for a head that has begun; this is for
//! the rest.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The first byte must come by then.
const FIRST: Duration = Duration::from_secs(15);
/// Longer than any request may take, and than a stream's pings are apart.
const SILENCE: Duration = Duration::from_secs(75);

/// A connection that ends when no byte has moved for too long.
pub(super) struct Watched<S> {
    inner: S,
    until: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, until: Box::pin(tokio::time::sleep(FIRST)) }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.until.as_mut().reset(Instant::now() + SILENCE);
            return moved;
        }
        match self.until.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.judge(cx, moved)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush with nothing to send is ready at once and is no sign of life.
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending => self.judge(cx, Poll::Pending),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_shutdown(cx) {
            Poll::Pending => self.judge(cx, Poll::Pending),
            ready @ Poll::Ready(_) => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::{FIRST, SILENCE, Watched};

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection_at_first_and_later() {
        let began = Instant::now();
        let (_other, ours) = tokio::io::duplex(16);
        let error = Watched::new(ours).read_u8().await.expect_err("silent from the start");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::TimedOut, FIRST.as_secs()));

        let (mut other, ours) = tokio::io::duplex(16);
        let mut ours = Watched::new(ours);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            other.write_u8(7).await.expect("writes");
            assert_eq!(ours.read_u8().await.expect("reads"), 7);
        }
        let began = Instant::now();
        assert_eq!(ours.read_u8().await.expect_err("fallen silent").kind(), ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), SILENCE.as_secs());

        // The other end does not read: the pipe is full.
        let (_other, ours) = tokio::io::duplex(16);
        let error = Watched::new(ours).write_all(&[0; 64]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

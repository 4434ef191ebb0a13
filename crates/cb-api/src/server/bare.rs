//! The answers that the HTTP library writes by itself, to a head that it cannot read (400, 414, 431), have
//! no header of ours. They are recognized on their way out and given them: no response may be without. [`super::frames`] does it for
//! HTTP/2.
//!
//! The client may still be sending. A connection that is closed with unread bytes is reset, and the answer is lost, so what follows the
//! answer is read and forgotten within bounds, as [`super::linger`] does for bodies.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use cb_core::OsEntropy;
use cb_core::config::Hsts;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::frames::{Frames, Next};
use crate::headers::{self, Nonce};

/// The library's own heads are shorter than this.
const LONGEST: usize = 256;
/// What is read behind an answer to a head.
const REST_MOST: usize = 4 * 1024 * 1024;
const REST_LONGEST: Duration = Duration::from_secs(5);

/// A connection whose bare answers are dressed.
pub(super) struct Dressed<S> {
    inner: S,
    /// None on plain HTTP.
    hsts: Option<Hsts>,
    /// In HTTP/2.
    frames: Option<Frames>,
    /// Accepted and not yet written.
    pending: Vec<u8>,
    /// How much of `pending` is written.
    written: usize,
    /// A bare answer was written, so the rest of the request is unread.
    answered: bool,
    /// While it is read.
    rest: Option<Rest>,
}

struct Rest {
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl<S> Dressed<S> {
    pub fn new(inner: S, hsts: Option<Hsts>, h2: bool) -> Self {
        Self {
            inner,
            hsts,
            frames: h2.then(Frames::default),
            pending: Vec::new(),
            written: 0,
            answered: false,
            rest: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Dressed<S> {
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.pending[self.written..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        self.pending.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Frame by frame; what is taken and cannot go out yet waits in `pending`.
    fn poll_write_frames(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(Ok(0)) };
        match frames.look(buf, self.hsts) {
            Next::Pass(n) => {
                let went = ready!(Pin::new(&mut self.inner).poll_write(cx, &buf[..n]))?;
                if went == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                frames.passed(&buf[..n]);
                self.pending.extend_from_slice(&buf[went..n]);
                Poll::Ready(Ok(n))
            }
            Next::Instead(n, instead) => {
                self.pending = instead;
                match self.poll_pending(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(n)),
                }
            }
        }
    }
}

/// The whole answer, if `head` is one that the library made: ours always name their request.
fn dress(head: &[u8], hsts: Option<Hsts>) -> Option<Vec<u8>> {
    if head.len() > LONGEST || !head.starts_with(b"HTTP/1.1 4") || !head.ends_with(b"\r\n\r\n") {
        return None;
    }
    let text = std::str::from_utf8(head).ok()?;
    let (first, rest) = text.split_once("\r\n")?;
    let own = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        ["x-request-id", "content-type"].iter().any(|n| name.eq_ignore_ascii_case(n))
    };
    if rest.split("\r\n").any(own) || rest.matches("\r\n\r\n").count() > 1 {
        return None;
    }
    let status = first.get(9..12)?;
    let title = first.get(13..).unwrap_or_default();
    let body = format!(
        r#"{{"type":"/problems/malformed","title":"{title}","status":{status},"detail":"The request's head cannot be read; see RFC 9112","request_id":""}}"#
    );
    let mut extra = HeaderMap::new();
    headers::put(&mut extra, &Nonce::new(&OsEntropy), hsts);
    let mut out = format!("{first}\r\n");
    for line in rest.trim_end_matches("\r\n").split("\r\n") {
        if !line.to_ascii_lowercase().starts_with("content-length:") {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    for (name, value) in &extra {
        for part in [name.as_str(), ": ", value.to_str().ok()?, "\r\n"] {
            out.push_str(part);
        }
    }
    out.push_str("content-type: application/problem+json\r\ncontent-length: ");
    out.push_str(&body.len().to_string());
    out.push_str("\r\n\r\n");
    out.push_str(&body);
    Some(out.into_bytes())
}

impl<S: AsyncRead + Unpin> AsyncRead for Dressed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Dressed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        if self.frames.is_some() && !buf.is_empty() {
            return self.poll_write_frames(cx, buf);
        }
        let Some(full) = dress(buf, self.hsts) else { return Pin::new(&mut self.inner).poll_write(cx, buf) };
        self.pending = full;
        self.answered = true;
        // Taken whole either way; what is left goes out with the next flush.
        match self.poll_pending(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(buf.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        if !self.answered {
            return Pin::new(&mut self.inner).poll_shutdown(cx);
        }
        let this = &mut *self;
        if this.rest.is_none() {
            // The client hears the end of the answer and stops.
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let rest = this.rest.get_or_insert_with(|| Rest {
            left: REST_MOST,
            until: Box::pin(tokio::time::sleep(REST_LONGEST)),
        });
        let mut piece = [0; 8 * 1024];
        while rest.left > 0 && rest.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    rest.left = rest.left.saturating_sub(buf.filled().len());
                }
                // It has ended, or is gone.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::dress;

    #[test]
    fn only_the_librarys_own_answers_are_changed() {
        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let text = String::from_utf8(dress(bare, None).expect("dressed")).expect("text");
        assert_eq!(text.matches("content-length:").count(), 1, "{text}");
        assert!(text.contains("x-frame-options: DENY") && text.contains(r#""status":400"#), "{text}");
        for ours in [
            "HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\n\r\n{}",
            "anything at all",
        ] {
            assert!(dress(ours.as_bytes(), None).is_none(), "{ours}");
        }
    }
}

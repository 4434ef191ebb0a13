//! The same for HTTP/2: a request whose head is larger than the library takes is answered with a bare `HEADERS` frame.
//!
//! Frames (RFC 9113, section 4.1) are followed on their way out. A bare answer is known by its length: ours always have a content
//! policy. Its fields stay as they are, so that both ends keep the same compression state, and ours come behind them as literals that
//! enter no table (RFC 7541, section 6.2.2).

use cb_core::OsEntropy;
use cb_core::config::Hsts;
use http::HeaderMap;

use crate::headers::{self, Nonce};

const HEAD: usize = 9;
/// The library's own answers are one to six bytes.
const LONGEST: usize = 24;
const HEADERS: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// What is to be done with the bytes that come next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many go out as they are; [`Frames::passed`] must be told when they are taken.
    Pass(usize),
    /// So many are taken, and these go out instead; nothing yet, when a frame is not whole.
    Instead(usize, Vec<u8>),
}

/// Where the stream of frames stands.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes until the next frame.
    left: usize,
    /// The beginning of a frame that may be a bare answer; not sent yet.
    held: Vec<u8>,
}

impl Frames {
    /// Looks at what is to be written.
    pub fn look(&mut self, bytes: &[u8], hsts: Option<Hsts>) -> Next {
        let until = self.until(bytes);
        // The frames before a bare one, the last of them whole or not.
        if self.held.is_empty() && until > 0 {
            return Next::Pass(until.min(bytes.len()));
        }
        let wanted = if self.held.len() < HEAD { HEAD } else { HEAD + length(&self.held) };
        let taken = (wanted - self.held.len()).min(bytes.len());
        self.held.extend_from_slice(&bytes[..taken]);
        if self.held.len() < HEAD || (is_bare(&self.held) && self.held.len() < HEAD + length(&self.held)) {
            return Next::Instead(taken, Vec::new());
        }
        let held = std::mem::take(&mut self.held);
        if is_bare(&held) {
            return Next::Instead(taken, dressed(&held, hsts));
        }
        // A head that came in pieces.
        self.left = length(&held);
        Next::Instead(taken, held)
    }

    /// What [`Frames::look`] has let pass is taken.
    pub fn passed(&mut self, bytes: &[u8]) {
        self.left = self.until(bytes).saturating_sub(bytes.len());
    }

    /// Where the first frame begins that may be a bare answer, or whose head is not whole.
    fn until(&self, bytes: &[u8]) -> usize {
        let mut at = self.left;
        while at + HEAD <= bytes.len() && !is_bare(&bytes[at..]) {
            at += HEAD + length(&bytes[at..]);
        }
        at
    }
}

fn length(head: &[u8]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

fn is_bare(head: &[u8]) -> bool {
    let whole = END_STREAM | END_HEADERS;
    head[3] == HEADERS && head[4] & whole == whole && length(head) <= LONGEST
}

fn dressed(frame: &[u8], hsts: Option<Hsts>) -> Vec<u8> {
    let mut extra = HeaderMap::new();
    headers::put(&mut extra, &Nonce::new(&OsEntropy), hsts);
    let mut out = frame.to_vec();
    for (name, value) in &extra {
        out.push(0);
        for text in [name.as_str().as_bytes(), value.as_bytes()] {
            integer(&mut out, text.len());
            out.extend_from_slice(text);
        }
    }
    // A few hundred bytes, far below the least that a frame may have.
    let length = u32::try_from(out.len() - HEAD).unwrap_or_default().to_be_bytes();
    out[..3].copy_from_slice(&length[1..]);
    out
}

/// A length with a prefix of seven bits (RFC 7541, section 5.1).
fn integer(out: &mut Vec<u8>, value: usize) {
    let Some(mut rest) = value.checked_sub(127) else {
        out.push(u8::try_from(value).unwrap_or_default());
        return;
    };
    out.push(127);
    while rest >= 128 {
        out.push(0x80 | u8::try_from(rest & 127).unwrap_or_default());
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::{Frames, Next};

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).expect("short");
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// What comes out when the writer gives pieces of `size`.
    fn through(bytes: &[u8], size: usize) -> Vec<u8> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(size) {
            let mut rest = piece;
            while !rest.is_empty() {
                let taken = match frames.look(rest, None) {
                    Next::Pass(n) => {
                        frames.passed(&rest[..n]);
                        out.extend_from_slice(&rest[..n]);
                        n
                    }
                    Next::Instead(n, instead) => {
                        out.extend(instead);
                        n
                    }
                };
                assert!(taken > 0);
                rest = &rest[taken..];
            }
        }
        out
    }

    #[test]
    fn only_a_bare_answer_is_changed_however_the_frames_are_cut() {
        let ours =
            [frame(4, 0, &[0; 24]), frame(1, 4, &[7; 200]), frame(0, 1, &[1, 4, 5]), frame(6, 0, &[9; 8])]
                .concat();
        let bare = frame(1, 5, &[0x48, 3, b'4', b'3', b'1']);
        let bytes = [ours.as_slice(), &bare, &ours, &bare].concat();
        for size in [1, 2, 8, 9, 10, 13, 50, 4096] {
            assert_eq!(through(&ours, size), ours, "{size}");
            let out = through(&bytes, size);
            assert!(out.starts_with(&ours), "{size}");
            let found = out.windows(15).filter(|w| *w == b"x-frame-options").count();
            assert_eq!(found, 2, "{size}");
            // The first answer: its length is right, and the next frame follows it.
            let at = ours.len();
            let length = usize::from(out[at + 1]) << 8 | usize::from(out[at + 2]);
            assert_eq!(&out[at + 9..at + 14], &bare[9..], "{size}");
            assert!(out[at + 9 + length..].starts_with(&ours), "{size}");
        }
    }
}

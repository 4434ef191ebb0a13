//! Long answers are compressed with gzip: the map of 10,000 assets is 1.9 MB of JSON.
//!
//! The length of a compressed answer tells about its content. Who can make a browser send text of their choice, and see the length of
//! the answer that repeats the text beside a secret, can guess the secret (BREACH, CVE-2013-3587). So an answer that may
//! show a secret is never compressed: those to writes, those of `/auth/`, those on the list of [`idempotency`](crate::idempotency), and those below.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use crate::idempotency::{ONCE, shows_secrets};

/// Shorter answers fit into one packet as they are.
const LEAST: u64 = 1_400;

/// Whether an answer to this may be compressed.
pub fn may_be_compressed(method: &Method, path: &str) -> bool {
    let below = |root: &str| {
        let rest = path.strip_prefix("/api/v1").and_then(|p| p.strip_prefix(root));
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    method == Method::GET
        && (path.starts_with("/api/") || path == "/metrics")
        && !shows_secrets(path)
        && !ONCE.iter().any(|root| below(root))
}

/// An answer that carries it shows no secret.
#[derive(Clone, Copy)]
struct Harmless;

pub(crate) async fn mark(request: Request, next: Next) -> Response {
    let harmless = may_be_compressed(request.method(), request.uri().path());
    let mut response = next.run(request).await;
    if harmless {
        response.extensions_mut().insert(Harmless);
    }
    response
}

#[derive(Clone, Copy)]
pub(crate) struct Long(SizeAbove);

impl Predicate for Long {
    fn should_compress<B: axum::body::HttpBody>(&self, response: &http::Response<B>) -> bool {
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let text = kind.starts_with("application/json")
            || kind.starts_with("text/csv")
            || kind.starts_with("text/plain");
        // An ETag names one form of an answer, byte by byte.
        let named = response.headers().contains_key(header::ETAG);
        response.extensions().get::<Harmless>().is_some()
            && text
            && !named
            && self.0.should_compress(response)
    }
}

pub(crate) fn layer() -> CompressionLayer<Long> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Long(SizeAbove::new(LEAST)))
}

//! The security headers of every response, each exactly once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_core::Entropy;
use cb_core::config::Hsts;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// What the page's script and style tags must carry to run (CSP Level 3); fresh for each response.
#[derive(Debug, Clone)]
pub struct Nonce(pub String);

impl Nonce {
    /// 144 random bits, base64.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0u8; 18];
        entropy.fill(&mut bytes);
        Self(STANDARD.encode(bytes))
    }

    fn policy(&self) -> String {
        let nonce = &self.0;
        format!(
            "default-src 'self'; script-src 'self' 'unsafe-inline' 'strict-dynamic' 'nonce-{nonce}'; \
             style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; \
             font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-src 'none'; frame-ancestors 'none'"
        )
    }
}

/// Sets them all. `Strict-Transport-Security` goes over TLS only (RFC 6797, section 7.2): `hsts` is `None`
/// on plain HTTP. `Cache-Control: no-store`, unless the handler decided otherwise.
pub fn put(headers: &mut HeaderMap, nonce: &Nonce, hsts: Option<Hsts>) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "strict-origin-when-cross-origin");
    set(
        PERMISSIONS,
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), magnetometer=(), gyroscope=(), accelerometer=()",
    );
    set(COOP, "same-origin");
    set(CORP, "same-origin");
    match hsts {
        Some(Hsts::On) => set(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        Some(Hsts::Reset) => set(header::STRICT_TRANSPORT_SECURITY, "max-age=0"),
        Some(Hsts::Off) | None => {}
    }
    // Cannot fail: the policy and base64 are ASCII.
    if let Ok(policy) = HeaderValue::try_from(nonce.policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

//! What may become of a request that did not succeed, in words for an administrator. No URL is in them:
//! its path may hold a secret.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use cb_core::connection::words;

use super::trust::WrongCertificate;
use crate::judge::Refused;
use crate::resolve::ResolveError;

#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Nothing was sent.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// The caller asks for what this client does not do; nothing was sent.
    #[error("the request cannot be sent: {0}")]
    BadRequest(String),
    #[error("{0}")]
    Resolve(ResolveError),
    #[error("the server could not connect: {0}")]
    Connect(String),
    #[error("the server could not connect securely: {0}")]
    Tls(String),
    /// Names what was shown, for somebody to compare with the device and to pin.
    #[error("the server could not connect securely: {0}")]
    WrongCertificate(WrongCertificate),
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer is too large: {0}")]
    TooLarge(String),
    #[error("more than {0} redirects")]
    TooManyRedirects(u8),
    #[error("the answer cannot be used: {0}")]
    BadResponse(String),
    /// Somebody else answered than was judged; a fault of ours.
    #[error("the answer came from {}, which is not an address that the server had checked", show(*.0))]
    WrongPeer(Option<SocketAddr>),
}

impl OutboundError {
    /// Whether nobody knows now where the name leads. It may be saved all the same: each request resolves and judges it again.
    pub fn is_unresolved(&self) -> bool {
        match self {
            Self::Resolve(error) => match error {
                ResolveError::Unknown(_) | ResolveError::TimedOut(_) | ResolveError::Failed(..) => true,
                ResolveError::TooMany(_) => false,
            },
            _ => false,
        }
    }
}

fn show(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "an unknown address".to_owned(), |p| p.to_string())
}

/// Finds the cause among the layers of the client's error.
pub(super) fn classify(error: reqwest::Error) -> OutboundError {
    if error.is_timeout() {
        return OutboundError::TimedOut;
    }
    let error = error.without_url();
    let mut innermost = error.to_string();
    let mut next: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(layer) = next {
        innermost = layer.downcast_ref::<io::Error>().map_or_else(|| layer.to_string(), words);
        let inside = layer.downcast_ref::<io::Error>().and_then(|e| e.get_ref());
        let tls = inside
            .and_then(|e| e.downcast_ref::<rustls::Error>())
            .or_else(|| layer.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls {
            return tls_error(tls);
        }
        if layer.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
            return OutboundError::TooLarge("its header is too large".to_owned());
        }
        next = match inside {
            Some(inside) => Some(inside as &(dyn Error + 'static)),
            None => layer.source(),
        };
    }
    if error.is_connect() {
        OutboundError::Connect(innermost)
    } else if error.is_builder() {
        OutboundError::BadRequest(innermost)
    } else {
        OutboundError::BadResponse(innermost)
    }
}

/// Of a TLS handshake that failed.
pub(crate) fn handshake_error(error: &io::Error) -> OutboundError {
    match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(tls) => tls_error(tls),
        None => OutboundError::Tls(words(error)),
    }
}

fn tls_error(error: &rustls::Error) -> OutboundError {
    if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error
        && let Some(wrong) = other.0.downcast_ref::<WrongCertificate>()
    {
        return OutboundError::WrongCertificate(wrong.clone());
    }
    OutboundError::Tls(error.to_string())
}

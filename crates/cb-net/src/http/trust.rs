//! Whom an outbound HTTPS connection trusts.
//!
//! By default the roots of the system: a homelab's own authority is installed there, and the
//! system keeps them up to date. Mozilla's, compiled in, only where the system has none (a bare
//! container image), so that a notification is not lost for lack of a package.
//!
//! There is no "skip verification". A device with a certificate that nobody signed is trusted by the
//! fingerprint of exactly that certificate.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

/// How the server must prove who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tls {
    /// By a certificate for its name that the system's roots signed.
    #[default]
    System,
    /// By this one certificate, whatever name and dates are in it.
    Pinned(Pin),
}

/// SHA-256 of a certificate's DER, as browsers and `openssl x509 -fingerprint -sha256` show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pin {
    type Err = &'static str;

    /// Reads 64 hexadecimal digits, with or without colons.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "Enter the 64 hexadecimal digits of the fingerprint, with or without colons.";
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16))
            .map(to_byte)
            .collect::<Option<_>>()
            .ok_or(WRONG)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        if rest.is_empty() { bytes.try_into().map(Self).map_err(|_| WRONG) } else { Err(WRONG) }
    }
}

fn to_byte(digit: Option<u32>) -> Option<u8> {
    digit.and_then(|d| u8::try_from(d).ok())
}

/// The server showed another certificate than the pinned one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate has the fingerprint {presented}, not the expected fingerprint {pinned}")]
pub struct WrongCertificate {
    pub pinned: Pin,
    pub presented: Pin,
}

/// Verifiers are made once; reading the system's roots takes some milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Verifiers(OnceLock<Result<Arc<WebPkiServerVerifier>, String>>);

impl Verifiers {
    /// A configuration for one connection: without resumption, so that every connection is verified.
    pub(crate) fn config(&self, tls: Tls) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match tls {
            Tls::System => self.0.get_or_init(|| system(&provider)).clone()?,
            Tls::Pinned(pin) => Arc::new(Pinned { pin, provider: provider.clone() }),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, ignored) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        tracing::warn!(ignored, errors = ?found.errors, "the system has no root certificates; the server uses Mozilla's instead");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| e.to_string())
}

/// Takes one certificate and no other. The handshake's signature is verified as always: a fingerprint
/// is no secret, only the key proves that the certificate is the server's own.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = Pin::of(end_entity);
        if presented == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        let wrong = WrongCertificate { pinned: self.pin, presented };
        Err(CertificateError::Other(OtherError(Arc::new(wrong))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! TLS: who does the certificate say it is? Any certificate is accepted, because nothing secret is said over this
//! connection: it is looked at, not trusted.

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::exchange::{Answer, Ask, Line};
use crate::report::IdentityKind;

#[derive(Debug)]
struct Onlooker(Arc<CryptoProvider>);

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // That the key is really there must hold: it becomes an identity.
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

static CONFIG: LazyLock<Option<Arc<ClientConfig>>> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Onlooker(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Some(Arc::new(config))
});

/// A TLS connection and what its certificate says.
pub(crate) async fn connect(ask: &Ask<'_>) -> Option<(TlsStream<impl Line + use<>>, Answer)> {
    let config = CONFIG.as_ref()?;
    let line = ask.connect().await?;
    let name = ServerName::IpAddress(ask.peer.ip().into());
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name, line);
    let stream = tokio::time::timeout(ask.timeout * 2, handshake).await.ok()?.ok()?;
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|v| v.as_str());
    let mut answer = Answer::new("tls", "tls").maybe("version", version);
    if let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) {
        answer = describe(answer, certificate);
    }
    Some((stream, answer))
}

fn describe(answer: Answer, certificate: &[u8]) -> Answer {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return answer };
    let key = cb_core::hex(&Sha256::digest(certificate.public_key().raw));
    let first = |mut attributes: Box<dyn Iterator<Item = String> + '_>| attributes.next();
    let subject = certificate.subject();
    let common =
        first(Box::new(subject.iter_common_name().filter_map(|a| a.as_str().ok().map(str::to_owned))));
    let organization =
        first(Box::new(subject.iter_organization().filter_map(|a| a.as_str().ok().map(str::to_owned))));
    let issuer = first(Box::new(
        certificate
            .issuer()
            .iter_common_name()
            .chain(certificate.issuer().iter_organization())
            .filter_map(|a| a.as_str().ok().map(str::to_owned)),
    ));
    let names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| {
            let dns = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            };
            extension.value.general_names.iter().filter_map(dns).take(8).collect()
        })
        .unwrap_or_default();
    answer
        .maybe("subject", common.or_else(|| names.first().cloned()))
        .maybe("organization", organization)
        .maybe("issuer", issuer)
        .field("names", names.join(" "))
        .identity(IdentityKind::TlsKey, key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_certificate_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = describe(Answer::default(), &bytes);
        }
    }
}

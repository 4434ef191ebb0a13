//! A certificate that nobody signed is trusted by its fingerprint, and only by that.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cb_net::http::{Limits, OutboundError, Pin, Tls};
use cb_net::judge::{Policy, Refused};
use cb_net::outbound::Outbound;
use rcgen::{CertifiedKey, KeyPair};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::stub::{self, NameServer, get, limits, ok, redirect};

#[derive(Debug)]
struct Shows(Arc<rustls::sign::CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Shows `certificate` and signs with `key`.
pub fn acceptor(
    certificate: &CertifiedKey<KeyPair>,
    key: &KeyPair,
    version: &'static rustls::SupportedProtocolVersion,
) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
    let shown = rustls::sign::CertifiedKey::new(vec![certificate.cert.der().clone()], key);
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shows(Arc::new(shown))));
    TlsAcceptor::from(Arc::new(config))
}

/// A web server of such an acceptor.
pub async fn server(
    certificate: &CertifiedKey<KeyPair>,
    key: &KeyPair,
    version: &'static rustls::SupportedProtocolVersion,
) -> SocketAddr {
    let acceptor = acceptor(certificate, key, version);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let heard = Mutex::new(Vec::new());
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let answer = |request: &str| {
                    if request.starts_with("GET /open ") {
                        redirect(302, "http://127.0.0.1/")
                    } else {
                        ok("sealed")
                    }
                };
                stub::serve(stream, &heard, &answer).await;
            }
        }
    });
    address
}

pub fn self_signed() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["printer.test".to_owned()]).expect("a certificate")
}

async fn ask(outbound: &Outbound, address: SocketAddr) -> Result<Vec<u8>, OutboundError> {
    let request = get(&format!("https://{address}/"));
    outbound.send(Policy::Lan, request, limits()).await.map(http::Response::into_body)
}

#[tokio::test]
async fn only_the_pinned_certificate_is_trusted_and_only_with_its_key() {
    let dns = NameServer::start(&[]).await;
    let outbound = stub::outbound("127.0.0.1", &dns);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let ours = self_signed();
        let pin = Pin::of(ours.cert.der());
        let pinned = outbound.trusting(Tls::Pinned(pin));
        let honest = server(&ours, &ours.signing_key, version).await;
        // The name in it is another one: the fingerprint is what counts.
        assert_eq!(ask(&pinned, honest).await.expect("trusted"), b"sealed");

        let error = ask(&outbound, honest).await.expect_err("nobody signed it");
        assert!(matches!(error, OutboundError::Tls(_)), "{error}");

        let other = self_signed();
        let swapped = server(&other, &other.signing_key, version).await;
        let error = ask(&pinned, swapped).await.expect_err("another certificate");
        let OutboundError::WrongCertificate(wrong) = &error else { panic!("{error}") };
        assert_eq!((wrong.pinned, wrong.presented), (pin, Pin::of(other.cert.der())));
        assert!(error.to_string().contains(&wrong.presented.to_string()), "{error}");

        let copied = server(&ours, &other.signing_key, version).await;
        let error = ask(&pinned, copied).await.expect_err("a copied certificate without its key");
        assert!(matches!(error, OutboundError::Tls(_)), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_out_of_https_is_refused() {
    let ours = self_signed();
    let address = server(&ours, &ours.signing_key, &rustls::version::TLS13).await;
    let dns = NameServer::start(&[]).await;
    let pinned = stub::outbound("127.0.0.1", &dns).trusting(Tls::Pinned(Pin::of(ours.cert.der())));
    let request = get(&format!("https://{address}/open"));
    let following = Limits { redirects: 1, ..limits() };
    let error = pinned.send(Policy::Lan, request, following).await.expect_err("refused");
    assert!(matches!(error, OutboundError::Refused(Refused::Downgrade)), "{error}");
}

#[test]
fn a_fingerprint_is_read_as_tools_write_it() {
    let pin = Pin::of(b"x");
    let text = pin.to_string();
    assert_eq!(text.len(), 95);
    assert_eq!(text.parse(), Ok(pin));
    assert_eq!(text.replace(':', "").to_lowercase().parse(), Ok(pin));
    for wrong in ["", "AB", &text[3..], &format!("{text}:00"), &text.replacen(':', "", 1)[..64], "zz"] {
        assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
    }
}

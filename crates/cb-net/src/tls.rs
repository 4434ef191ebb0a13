//! The server's side of TLS: which certificate is shown, and how a new one takes its place while
//! connections go on.
//!
//! TLS 1.2 is the least and 1.3 preferred, over `ring`; ALPN offers `h2`, then `http/1.1`. The certificate
//! is the user's (`CB_TLS_CERT`, `CB_TLS_KEY`) or comes from the [local CA](crate::ca).

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use cb_core::clock::Time;
use cb_core::config::{ConfigError, TlsFiles};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::ca::{Facts, LocalCa};
use crate::names::Names;

/// The certificate of the moment.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

enum Source {
    Local { ca: Box<LocalCa>, facts: Facts },
    Mounted { files: TlsFiles, stamp: Stamp },
}

/// Tells one state of the two mounted files from the next.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// What a [`Identity::refresh`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    Unchanged,
    Replaced,
}

/// Who the server is to a TLS client, and where that comes from.
pub struct Identity {
    shown: Arc<Shown>,
    source: Mutex<Source>,
}

impl Identity {
    /// The mounted certificate if one is configured, else a leaf of the local CA for `names`.
    pub fn open(
        data_dir: &Path,
        mounted: Option<&TlsFiles>,
        names: &Names,
        now: Time,
    ) -> Result<Self, ConfigError> {
        let (key, source) = if let Some(files) = mounted {
            let stamp = stamp(files);
            (load_mounted(files)?, Source::Mounted { files: files.clone(), stamp })
        } else {
            let ca = LocalCa::open(data_dir, names, now)?;
            let (key, facts) = load_leaf(&ca, names, now)?;
            (key, Source::Local { ca: Box::new(ca), facts })
        };
        Ok(Self { shown: Arc::new(Shown(RwLock::new(Arc::new(key)))), source: Mutex::new(source) })
    }

    /// The root to download, PEM; none with a mounted certificate, whose root is the user's affair.
    pub fn root(&self) -> Option<String> {
        match &*self.source.lock().unwrap_or_else(PoisonError::into_inner) {
            Source::Local { ca, .. } => Some(ca.root().to_owned()),
            Source::Mounted { .. } => None,
        }
    }

    pub fn server_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Picks up changed files, changed names and a near expiry; to be called every minute or so, off the
    /// async threads. After an error the certificate shown stays what it was.
    pub fn refresh(&self, names: &Names, now: Time) -> Result<Refreshed, ConfigError> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = match &mut *source {
            Source::Mounted { files, stamp: seen } => {
                let current = stamp(files);
                if *seen == current {
                    return Ok(Refreshed::Unchanged);
                }
                let key = load_mounted(files)?;
                // Only now: half-written files are looked at again.
                *seen = current;
                key
            }
            Source::Local { facts, .. } if facts.serves(names, now) => return Ok(Refreshed::Unchanged),
            Source::Local { ca, facts } => {
                let (key, new) = load_leaf(ca, names, now)?;
                *facts = new;
                key
            }
        };
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(Refreshed::Replaced)
    }
}

fn load_leaf(ca: &LocalCa, names: &Names, now: Time) -> Result<(CertifiedKey, Facts), ConfigError> {
    let leaf = ca.leaf(names, now)?;
    let key = certified(leaf.chain.as_bytes(), leaf.key.as_bytes()).map_err(|flaw| {
        ConfigError::new(
            "CB_DATA_DIR",
            format!("tls/leaf.pem and tls/leaf.key cannot be used ({})", flaw.reason()),
            "Delete both files; the next start creates new ones",
        )
    })?;
    Ok((key, leaf.facts))
}

fn load_mounted(files: &TlsFiles) -> Result<CertifiedKey, ConfigError> {
    let read = |setting: &str, path: &Path| {
        fs::read(path).map_err(|e| {
            ConfigError::new(
                setting,
                format!("{} cannot be read ({e})", path.display()),
                "Set it to a PEM file that the user that runs the server can read",
            )
        })
    };
    let (cert, key) = (read("CB_TLS_CERT", &files.cert)?, read("CB_TLS_KEY", &files.key)?);
    certified(&cert, &key).map_err(|flaw| match flaw {
        Flaw::Cert(why) => ConfigError::new(
            "CB_TLS_CERT",
            format!("{} does not contain a usable certificate ({why})", files.cert.display()),
            "Set it to a PEM file with the server's certificate first and the intermediate certificates after it",
        ),
        Flaw::Key(why) => ConfigError::new(
            "CB_TLS_KEY",
            format!("{} does not contain a usable private key ({why})", files.key.display()),
            "Set it to an unencrypted PEM key (PKCS#8, PKCS#1 or SEC1)",
        ),
        Flaw::Pair(why) => ConfigError::new(
            "CB_TLS_KEY",
            format!("the key does not belong to the certificate in CB_TLS_CERT ({why})"),
            "Set it to the key with which the certificate was created",
        ),
    })
}

enum Flaw {
    Cert(String),
    Key(String),
    Pair(String),
}

impl Flaw {
    fn reason(&self) -> &str {
        let (Self::Cert(why) | Self::Key(why) | Self::Pair(why)) = self;
        why
    }
}

fn certified(cert: &[u8], key: &[u8]) -> Result<CertifiedKey, Flaw> {
    let chain = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Flaw::Cert(e.to_string()))?;
    let Some(first) = chain.first() else {
        return Err(Flaw::Cert("the file contains no certificate".to_owned()));
    };
    if Facts::read(first).is_none() {
        return Err(Flaw::Cert("the first certificate is not X.509".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| Flaw::Key(e.to_string()))?;
    let key = ring::sign::any_supported_type(&key).map_err(|e| Flaw::Key(e.to_string()))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        // "Unknown" is a key kind whose public half cannot be derived; the handshake will tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
        Err(e) => Err(Flaw::Pair(e.to_string())),
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.cert, &files.key].map(|path| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use cb_core::clock::Time;
    use cb_core::config::TlsFiles;
    use chrono::Duration;

    use super::{Identity, Refreshed, Shown};
    use crate::names::Names;

    fn now() -> Time {
        cb_core::clock::built() + Duration::days(10)
    }

    fn names(dns: &[&str]) -> Names {
        Names {
            dns: dns.iter().map(|n| (*n).to_owned()).collect(),
            addresses: vec![[127, 0, 0, 1].into(), "fd00::7".parse().expect("an address")],
            ..Names::default()
        }
    }

    fn shown(shown: &Shown) -> Vec<u8> {
        shown.0.read().expect("not poisoned").cert[0].to_vec()
    }

    #[test]
    fn a_leaf_survives_a_restart_and_is_replaced_when_names_or_time_say_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = |n: &Names, at| Identity::open(dir.path(), None, n, at).expect("opens");
        let lab = names(&["lab", "localhost"]);
        let first = open(&lab, now());
        let again = open(&lab, now() + Duration::days(300));
        assert_eq!(shown(&first.shown), shown(&again.shown));
        assert_eq!(first.root(), again.root());

        assert_eq!(again.refresh(&lab, now() + Duration::days(360)).expect("works"), Refreshed::Unchanged);
        assert_eq!(again.refresh(&lab, now() + Duration::days(370)).expect("works"), Refreshed::Replaced);
        let renamed = names(&["lab", "localhost", "attic"]);
        assert_eq!(again.refresh(&renamed, now() + Duration::days(370)).expect("works"), Refreshed::Replaced);
        assert_ne!(shown(&first.shown), shown(&again.shown));
        assert_eq!(first.root(), again.root());

        // Made while the clock was ahead: nobody would take it yet.
        assert_eq!(again.refresh(&renamed, now() + Duration::days(3)).expect("works"), Refreshed::Replaced);
        assert_eq!(again.refresh(&renamed, now() + Duration::days(3)).expect("works"), Refreshed::Unchanged);
        assert_eq!(again.refresh(&renamed, now() + Duration::days(2)).expect("works"), Refreshed::Unchanged);
        assert_eq!(first.root(), again.root());

        for (file, mode) in [("ca.key", 0o600), ("leaf.key", 0o600), ("ca.pem", 0o600), ("leaf.pem", 0o600)] {
            let meta = fs::metadata(dir.path().join("tls").join(file)).expect("is there");
            assert_eq!(meta.permissions().mode() & 0o777, mode, "{file}");
        }
    }

    #[test]
    fn a_damaged_ca_says_what_to_do_and_is_never_replaced_silently() {
        let dir = tempfile::tempdir().expect("a folder");
        let lab = names(&["lab"]);
        drop(Identity::open(dir.path(), None, &lab, now()).expect("opens"));
        fs::write(dir.path().join("tls/ca.key"), "nonsense").expect("writes");
        let error = Identity::open(dir.path(), None, &lab, now()).err().expect("refused").to_string();
        assert!(error.starts_with("CB_DATA_DIR: ") && error.contains("rm -r"), "{error}");
        fs::remove_file(dir.path().join("tls/ca.key")).expect("removes");
        assert!(Identity::open(dir.path(), None, &lab, now()).is_err());
    }

    #[test]
    fn mounted_files_are_judged_by_name_and_reloaded_when_they_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let lab = names(&["lab"]);
        drop(Identity::open(dir.path(), None, &lab, now()).expect("opens"));
        let tls = dir.path().join("tls");
        let files = TlsFiles { cert: tls.join("leaf.pem"), key: tls.join("leaf.key") };
        let identity = Identity::open(dir.path(), Some(&files), &lab, now()).expect("opens");
        assert!(identity.root().is_none());
        assert_eq!(identity.refresh(&lab, now()).expect("works"), Refreshed::Unchanged);

        let error = |files: &TlsFiles| {
            Identity::open(dir.path(), Some(files), &lab, now()).err().expect("refused").to_string()
        };
        let gone = TlsFiles { cert: tls.join("none.pem"), key: files.key.clone() };
        assert!(error(&gone).starts_with("CB_TLS_CERT: "));
        let swapped = TlsFiles { cert: files.key.clone(), key: files.key.clone() };
        assert!(error(&swapped).contains("the file contains no certificate"));
        let no_key = TlsFiles { cert: files.cert.clone(), key: files.cert.clone() };
        assert!(error(&no_key).starts_with("CB_TLS_KEY: "));
        let stranger = TlsFiles { cert: files.cert.clone(), key: tls.join("ca.key") };
        assert!(error(&stranger).contains("does not belong"));

        // A renewal that is half there is refused, then taken once it is whole.
        let before = shown(&identity.shown);
        let other = tempfile::tempdir().expect("a folder");
        drop(Identity::open(other.path(), None, &names(&["a-much-longer-name"]), now()).expect("opens"));
        fs::copy(other.path().join("tls/leaf.pem"), &files.cert).expect("copies");
        assert!(identity.refresh(&lab, now()).is_err());
        assert_eq!(before, shown(&identity.shown));
        fs::copy(other.path().join("tls/leaf.key"), &files.key).expect("copies");
        assert_eq!(identity.refresh(&lab, now()).expect("works"), Refreshed::Replaced);
        assert_ne!(before, shown(&identity.shown));
    }
}

//! The local certificate authority: made once, kept under `DATA/tls`, trusted by whoever downloads its
//! root. It signs one leaf at a time, for this machine's own names.
//!
//! Files: all of them are 0600. Keys are ECDSA
//! P-256. The root lives ten years, a leaf 396 days (browsers refuse more than 398), and a leaf
//! never outlives its root (RFC 5280). Wherever its making is interrupted, the next start goes on with what is there.
//!
//! A leaf keeps its key while only its names change, and names that go away change nothing. While the clock says a time before this
//! was built, nothing is made and what is there is used as it is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use cb_core::clock::{Time, built};
use cb_core::config::ConfigError;
use chrono::{DateTime, Duration};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::names::Names;

const ROOT_LIFE: Duration = Duration::days(3650);
const LEAF_LIFE: Duration = Duration::days(395);
const SKEW: Duration = Duration::days(1);
/// A certificate with less time left than this is replaced.
pub const RENEW_BEFORE: Duration = Duration::days(30);

/// A leaf certificate with its key, PEM, and what decides when it is replaced.
pub struct Leaf {
    pub chain: String,
    pub key: String,
    pub facts: Facts,
}

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    not_before: Time,
    pub not_after: Time,
    dns: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    issuer: Vec<u8>,
}

impl Facts {
    /// Whether it still serves `names` at `now`. A clock that was not set yet says nothing against it.
    pub fn serves(&self, names: &Names, now: Time) -> bool {
        now < built() || (self.is_valid(now) && self.names(names))
    }

    fn is_valid(&self, now: Time) -> bool {
        // One that begins later was made while the clock was ahead, and nobody takes it yet.
        self.not_before <= now && self.not_after - now > RENEW_BEFORE
    }

    /// Whether it is for all of `names`. It may be for more: machines lose an address and get it back.
    fn names(&self, names: &Names) -> bool {
        names.dns.iter().all(|name| self.dns.contains(name))
            && names.addresses.iter().all(|ip| self.addresses.contains(ip))
    }

    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, cert) = X509Certificate::from_der(der).ok()?;
        let (mut dns, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        if let Ok(Some(san)) = cert.subject_alternative_name() {
            for name in &san.value.general_names {
                match name {
                    GeneralName::DNSName(name) => {
                        dns.insert((*name).to_owned());
                    }
                    GeneralName::IPAddress(bytes) => {
                        addresses.insert(
                            <[u8; 4]>::try_from(*bytes)
                                .map(IpAddr::from)
                                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                                .ok()?,
                        );
                    }
                    _ => {}
                }
            }
        }
        Some(Self {
            not_before: DateTime::from_timestamp(cert.validity().not_before.timestamp(), 0)?,
            not_after: DateTime::from_timestamp(cert.validity().not_after.timestamp(), 0)?,
            dns,
            addresses,
            issuer: cert.issuer().as_raw().to_vec(),
        })
    }
}

/// The authority. Its key never leaves this value and its file.
pub struct LocalCa {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    root: String,
    subject: Vec<u8>,
    not_after: Time,
}

impl LocalCa {
    /// The authority under `data_dir/tls`, made now if there is none or if it is about to expire.
    pub fn open(data_dir: &Path, names: &Names, now: Time) -> Result<Self, ConfigError> {
        let dir = data_dir.join("tls");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| unwritable(&dir, &e))?;
        let (cert, key, next) = (dir.join("ca.pem"), dir.join("ca.key"), dir.join("ca.pem.new"));
        // Two files cannot come at once. Whoever was interrupted between them has left the second one ready.
        if let (Some(root), Some(secret)) = (read(&next)?, read(&key)?)
            && Self::load(dir.clone(), root, &secret).is_some()
        {
            rename(&next, &cert)?;
        }
        match (read(&cert)?, read(&key)?) {
            (Some(root), Some(key)) => {
                let ca = Self::load(dir.clone(), root, &key).ok_or_else(|| damaged(&dir))?;
                if now < built() || ca.not_after - now > RENEW_BEFORE {
                    return Ok(ca);
                }
                tracing::warn!(
                    "the server's certificate authority expires soon, so the server creates a new one, which clients must trust again"
                );
            }
            (None, None) => {}
            // An earlier version was interrupted. Nobody has seen this authority.
            (None, Some(_)) if !dir.join("leaf.pem").exists() => {}
            _ => return Err(damaged(&dir)),
        }
        plausible(now)?;
        let (root, secret) = make_root(names, now).map_err(|e| crypto(&e))?;
        write(&next, root.as_bytes())?;
        write(&key, secret.as_bytes())?;
        rename(&next, &cert)?;
        Self::load(dir.clone(), root, &secret).ok_or_else(|| damaged(&dir))
    }

    fn load(dir: PathBuf, root: String, key: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(root.as_bytes()).ok()?;
        let key = KeyPair::from_pem(key).ok()?;
        let (subject, not_after) = {
            let (_, cert) = X509Certificate::from_der(&der).ok()?;
            if !is_of(&cert, &key) {
                return None;
            }
            let not_after = DateTime::from_timestamp(cert.validity().not_after.timestamp(), 0)?;
            (cert.subject().as_raw().to_vec(), not_after)
        };
        let issuer = Issuer::from_ca_cert_der(&der, key).ok()?;
        Some(Self { dir, issuer, root, subject, not_after })
    }

    /// The root certificate, PEM: what a client must trust.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The stored leaf if it still serves `names`, else a new one.
    pub fn leaf(&self, names: &Names, now: Time) -> Result<Leaf, ConfigError> {
        let (cert, key) = (self.dir.join("leaf.pem"), self.dir.join("leaf.key"));
        let mut kept = None;
        if let (Some(chain), Some(key)) = (read(&cert)?, read(&key)?)
            && let Some((facts, pair)) = one_pair(&chain, &key)
            && facts.issuer == self.subject
        {
            if facts.serves(names, now) {
                return Ok(Leaf { chain, key, facts });
            }
            // Only its names have changed: whoever has taken note of its key finds it again.
            kept = facts.is_valid(now).then_some(pair);
        }
        plausible(now)?;
        let leaf = self.issue(names, now, kept)?;
        write(&key, leaf.key.as_bytes())?;
        write(&cert, leaf.chain.as_bytes())?;
        tracing::info!(names = ?names.dns, until = %leaf.facts.not_after, "created a certificate for this machine");
        Ok(leaf)
    }

    fn issue(&self, names: &Names, now: Time, kept: Option<KeyPair>) -> Result<Leaf, ConfigError> {
        let key = kept.map_or_else(KeyPair::generate, Ok).map_err(|e| crypto(&e))?;
        let mut params = CertificateParams::default();
        validity(&mut params, now, (now + LEAF_LIFE).min(self.not_after));
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, names.dns.first().map_or("circuit-breaker", String::as_str));
        for name in &names.dns {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into().map_err(|e| crypto(&e))?));
        }
        params.subject_alt_names.extend(names.addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(&key, &self.issuer).map_err(|e| crypto(&e))?;
        let facts = Facts::read(cert.der()).ok_or_else(|| damaged(&self.dir))?;
        Ok(Leaf { chain: cert.pem(), key: key.serialize_pem(), facts })
    }
}

/// What the leaf says, if `key` is its own: whoever was interrupted has left a new key beside an old leaf.
fn one_pair(chain: &str, key: &str) -> Option<(Facts, KeyPair)> {
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).ok()?;
    let (_, cert) = X509Certificate::from_der(&der).ok()?;
    let pair = KeyPair::from_pem(key).ok()?;
    if is_of(&cert, &pair) { Some((Facts::read(&der)?, pair)) } else { None }
}

fn is_of(cert: &X509Certificate<'_>, key: &KeyPair) -> bool {
    cert.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

fn make_root(names: &Names, now: Time) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    validity(&mut params, now, now + ROOT_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    // The digits keep two authorities of one machine apart in a browser's list.
    let mark = cb_core::hex(&params.key_identifier(&key)[..4]);
    let host = names.dns.first().map_or("this machine", String::as_str);
    params.distinguished_name.push(DnType::OrganizationName, "Circuit Breaker");
    params.distinguished_name.push(DnType::CommonName, format!("Circuit Breaker on {host} ({mark})"));
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

/// From a little before `now`, for other clocks differ, and never from before the build.
fn validity(params: &mut CertificateParams, now: Time, until: Time) {
    let from = (now - SKEW).max(built());
    let date = |at: Time| {
        rcgen::date_time_ymd(1970, 1, 1) + StdDuration::from_secs(u64::try_from(at.timestamp()).unwrap_or(0))
    };
    params.not_before = date(from);
    params.not_after = date(until);
}

/// No certificate and no key is made while the clock cannot be right.
fn plausible(now: Time) -> Result<(), ConfigError> {
    if now >= built() {
        return Ok(());
    }
    Err(ConfigError::new(
        "The clock",
        format!(
            "it shows {}, but this version was built later ({})",
            now.format("%F %R"),
            built().format("%F %R")
        ),
        "Set the clock with a time server (timedatectl set-ntp true) or by hand (date -s)",
    ))
}

fn read(file: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ConfigError::new(
            "CB_DATA_DIR",
            format!("{} cannot be read ({e})", file.display()),
            format!(
                "Allow the user that runs the server to read it: chown USER {}, where USER is that user",
                file.display()
            ),
        )),
    }
}

/// Whole or not at all, also when the power fails, and for the owner alone.
fn write(file: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    let attempt = || -> io::Result<()> {
        // Left over from a crash, perhaps with another mode.
        match fs::remove_file(&draft) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&draft, file)
    };
    attempt().map_err(|e| unwritable(file, &e))
}

fn rename(from: &Path, to: &Path) -> Result<(), ConfigError> {
    fs::rename(from, to).map_err(|e| unwritable(to, &e))
}

fn unwritable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::new(
        "CB_DATA_DIR",
        format!("{} cannot be written ({error})", path.display()),
        "Choose a folder that the user that runs the server can write to, on a disk with free space",
    )
}

fn damaged(dir: &Path) -> ConfigError {
    ConfigError::new(
        "CB_DATA_DIR",
        format!("the certificate authority in {} is incomplete or damaged", dir.display()),
        format!(
            "Restore ca.pem and ca.key from a backup. Or run rm -r {}; the next start then creates a new certificate authority, which clients must trust again",
            dir.display()
        ),
    )
}

fn crypto(error: &rcgen::Error) -> ConfigError {
    ConfigError::new(
        "CB_DATA_DIR",
        format!("the server cannot create its certificate ({error})"),
        "Set CB_TLS_CERT and CB_TLS_KEY to use your own certificate",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn names(name: &str) -> Names {
        Names { dns: vec![name.to_owned()], ..Names::default() }
    }

    fn day(n: i64) -> Time {
        built() + Duration::days(n + 1)
    }

    fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(data.join("tls")).expect("made");
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        entries
            .map(|entry| entry.expect("an entry"))
            .map(|entry| (name(&entry), fs::read(entry.path()).expect("read")))
            .collect()
    }

    fn folder(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("tls")).expect("made");
        for (name, bytes) in files {
            fs::write(dir.path().join("tls").join(name), bytes).expect("written");
        }
        dir
    }

    /// What a process leaves that is killed after each step from `old` to `new`.
    fn interrupted(
        old: &BTreeMap<String, Vec<u8>>,
        new: &BTreeMap<String, Vec<u8>>,
    ) -> Vec<BTreeMap<String, Vec<u8>>> {
        let mut left = old.clone();
        let mut states = Vec::new();
        let mut step = |name: &str, bytes: &[u8]| {
            left.insert(name.to_owned(), bytes.to_vec());
            states.push(left.clone());
        };
        for (name, of) in [
            ("ca.pem.new", "ca.pem"),
            ("ca.key", "ca.key"),
            ("leaf.key", "leaf.key"),
            ("leaf.pem", "leaf.pem"),
        ] {
            step(&format!("{name}.draft"), b"half");
            step(name, &new[of]);
        }
        states
    }

    #[test]
    fn a_leaf_keeps_its_key_while_only_its_names_change_and_stays_when_one_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let ca = LocalCa::open(dir.path(), &names("here"), day(0)).expect("opens");
        let with = |addresses: &[[u8; 4]]| Names {
            dns: vec!["here".to_owned()],
            addresses: addresses.iter().map(|ip| IpAddr::from(*ip)).collect(),
            ..Names::default()
        };
        let (lan, both) = (with(&[[192, 168, 1, 20]]), with(&[[192, 168, 1, 20], [10, 8, 0, 2]]));
        let first = ca.leaf(&lan, day(0)).expect("issued");
        let more = ca.leaf(&both, day(1)).expect("issued");
        assert_ne!(more.chain, first.chain, "a name has come");
        assert_eq!(more.key, first.key);
        let less = ca.leaf(&lan, day(2)).expect("read");
        assert_eq!((less.chain, &less.key), (more.chain.clone(), &first.key), "a name has gone");
        // At its end it is made anew, with a new key.
        assert_ne!(ca.leaf(&lan, day(380)).expect("issued").key, first.key);
        // And not at all while the clock has not been set.
        assert!(more.facts.serves(&with(&[[10, 9, 9, 9]]), DateTime::UNIX_EPOCH));
    }

    #[test]
    fn nothing_is_made_before_the_build_and_what_is_there_is_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let unset = DateTime::UNIX_EPOCH + Duration::minutes(1);
        let here = names("here");
        let error = LocalCa::open(dir.path(), &here, unset).err().expect("refused").to_string();
        assert!(error.contains("1970-01-01") && error.contains("timedatectl"), "{error}");
        assert!(files(dir.path()).is_empty());
        let ca = LocalCa::open(dir.path(), &here, day(0)).expect("opens");
        assert!(ca.leaf(&here, unset).is_err() && !dir.path().join("tls/leaf.key").exists());
        let leaf = ca.leaf(&here, built()).expect("issued");
        assert!(leaf.facts.not_before >= built());
        let before = files(dir.path());
        let again = LocalCa::open(dir.path(), &names("there"), unset).expect("opens");
        assert_eq!(again.leaf(&names("there"), unset).expect("read").chain, leaf.chain);
        assert_eq!(files(dir.path()), before);
    }

    #[test]
    fn an_interrupted_start_is_gone_on_with() {
        let alone = folder(&BTreeMap::from([("ca.key".to_owned(), Vec::new())]));
        assert!(LocalCa::open(alone.path(), &names("here"), day(0)).is_ok());
        let (first, renewed) = (tempfile::tempdir().expect("a folder"), day(3_640));
        let made = |data: &Path, names: &Names, now| {
            let ca = LocalCa::open(data, names, now).expect("opens");
            let leaf = ca.leaf(names, now).expect("issued");
            assert!(one_pair(&leaf.chain, &leaf.key).is_some());
        };
        made(first.path(), &names("here"), day(0));
        let old = files(first.path());
        made(first.path(), &names("there"), renewed);
        let new = files(first.path());
        assert!(!new.contains_key("ca.pem.new") && new["ca.key"] != old["ca.key"]);
        for (before, after, now) in [(&BTreeMap::new(), &old, day(0)), (&old, &new, renewed)] {
            for left in interrupted(before, after) {
                let dir = folder(&left);
                made(dir.path(), &names("here"), now);
                made(dir.path(), &names("there"), now);
            }
        }
    }
}

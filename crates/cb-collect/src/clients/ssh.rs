//! SSH: signs in with a key or a password, and out again. Nothing is sent before the host key is the trusted one.

use std::sync::{Arc, Mutex, PoisonError};

use cb_core::Secret;
use cb_net::judge::Policy;
use russh::client::{self, AuthResult};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::Kdf;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};

use super::{Device, Failure, Outcome, PATIENCE, Proof};

/// How the user proves who they are.
pub enum Login<'a> {
    Password(&'a Secret),
    Key { private: &'a Secret, passphrase: Option<&'a Secret> },
}

/// Signs in as `user`. Without a trusted host key, or with another, it ends before a secret is sent and says which was shown.
pub async fn prove(device: Device<'_>, user: &str, login: Login<'_>, trusted: Option<&str>) -> Outcome {
    let key = match &login {
        Login::Password(_) => None,
        Login::Key { private, passphrase } => Some(
            read_key(private, *passphrase)
                .await
                .map_err(|why| Failure::new(format!("Nothing was sent. {why}")))?,
        ),
    };
    let stream = match device.outbound.connect(Policy::Lan, device.host, device.port, PATIENCE).await {
        Ok(stream) => stream,
        Err(error) => return Err(device.failed(error).await),
    };
    let seen = Seen::default();
    let check = Check { trusted: trusted.map(str::to_owned), seen: seen.clone() };
    let config = Arc::new(client::Config { inactivity_timeout: Some(PATIENCE), ..client::Config::default() });
    let mut session = match client::connect_stream(config, stream, check).await {
        Ok(session) => session,
        Err(error) => return Err(refused(device, trusted, &seen, &error)),
    };
    let answer = match (key, login) {
        (Some(key), _) => {
            // Never SHA-1: a server that says nothing of its hashes knows the newer ones (RFC 8332).
            let hash = session.best_supported_rsa_hash().await.ok().flatten().flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), Some(hash.unwrap_or(HashAlg::Sha512)));
            session.authenticate_publickey(user, key).await
        }
        (None, Login::Password(password)) => session.authenticate_password(user, password.expose()).await,
        (None, Login::Key { .. }) => return Err(Failure::new("The key cannot be read.")),
    };
    let outcome = match answer {
        Ok(AuthResult::Success) => Ok(Proof::default().with("Server", &seen.version())),
        Ok(AuthResult::Failure { partial_success: true, .. }) => {
            Err(Failure::new(format!("{} accepts it for {user} and asks for a second factor.", device.host)))
        }
        Ok(AuthResult::Failure { remaining_methods, .. }) => {
            let ways: Vec<String> =
                remaining_methods.iter().map(|way| format!("{way:?}").to_lowercase()).collect();
            Err(Failure::new(format!(
                "{} refuses {user} with it. It takes: {}.",
                device.host,
                if ways.is_empty() { "nothing".to_owned() } else { ways.join(", ") }
            )))
        }
        Err(error) => Err(Failure::new(format!("{} has ended the session: {error}.", device.host))),
    };
    // Whether it hears our good-bye changes nothing.
    let _ = session.disconnect(russh::Disconnect::ByApplication, "", "en").await;
    outcome
}

/// A private key, or in words why it is none. Deriving the key of a locked one takes long on purpose, so not on this thread.
pub async fn read_key(private: &Secret, passphrase: Option<&Secret>) -> Result<PrivateKey, String> {
    let (private, passphrase) = (private.clone(), passphrase.cloned());
    let read = tokio::task::spawn_blocking(move || decode(private.expose().trim(), passphrase.as_ref()));
    read.await.unwrap_or_else(|_| Err("The server could not read this key.".to_owned()))
}

/// What unlocking may cost; ssh-keygen writes 24.
const ROUNDS_MOST: u32 = 1_000;

/// Only OpenSSH's own form may be locked: of the others anybody could write one that takes days or all memory to unlock.
fn decode(text: &str, passphrase: Option<&Secret>) -> Result<PrivateKey, String> {
    let strange =
        || "This is not a readable private key. Paste the whole file, from BEGIN to END.".to_owned();
    if !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let anew = "Convert the key with “ssh-keygen -p -f FILE”.";
        if text.starts_with("PuTTY-") {
            return Err(
                "This key is in PuTTY format. Convert it with “puttygen FILE -O private-openssh”.".to_owned()
            );
        }
        if text.contains("ENCRYPTED") {
            return Err(format!("This key uses an old form of encryption. {anew}"));
        }
        return match (decode_secret_key(text, None), passphrase) {
            (Ok(_), Some(_)) => Err("This key is not encrypted. Leave the passphrase empty.".to_owned()),
            (Ok(key), None) => Ok(key),
            (Err(_), _) => Err(strange()),
        };
    }
    let key = PrivateKey::from_openssh(text).map_err(|_| strange())?;
    match (key.kdf(), passphrase) {
        (Kdf::None, None) => Ok(key),
        (Kdf::None, Some(_)) => Err("This key is not encrypted. Leave the passphrase empty.".to_owned()),
        (_, None) => Err("This key is encrypted. Enter its passphrase.".to_owned()),
        (Kdf::Bcrypt { rounds, .. }, Some(_)) if *rounds > ROUNDS_MOST => Err(format!(
            "This key takes {rounds} rounds to unlock. Reduce them with “ssh-keygen -p -a 24 -f FILE”."
        )),
        (_, Some(passphrase)) => key
            .decrypt(passphrase.expose())
            .map_err(|_| "This passphrase does not decrypt the key.".to_owned()),
    }
}

fn refused(device: Device<'_>, trusted: Option<&str>, seen: &Seen, error: &russh::Error) -> Failure {
    let host = device.host;
    match (seen.fingerprint(), trusted) {
        (Some(presented), None) => Failure {
            presented: Some(presented),
            ..Failure::new(format!(
                "Nothing was sent, because you have not trusted a host key yet. Run ssh-keygen -lf on {host}, compare the fingerprints, and then trust this host key."
            ))
        },
        (Some(presented), Some(trusted)) if presented != trusted => Failure {
            presented: Some(presented),
            ..Failure::new(format!(
                "Nothing was sent: {host} shows a host key that is not the trusted one. The host was reinstalled, or someone intercepts the connection."
            ))
        },
        _ => Failure::new(format!(
            "{host} on port {} does not support a compatible version of SSH: {error}.",
            device.port
        )),
    }
}

/// What the server showed.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Option<String>, String)>>);

impl Seen {
    fn fingerprint(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn version(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

struct Check {
    trusted: Option<String>,
    seen: Seen,
}

impl client::Handler for Check {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let same = self.trusted.as_ref() == Some(&fingerprint);
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(fingerprint);
        Ok(same)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        _: &russh::Names,
        session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        let version = String::from_utf8_lossy(session.remote_sshid()).into_owned();
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).1 = version;
        Ok(())
    }
}

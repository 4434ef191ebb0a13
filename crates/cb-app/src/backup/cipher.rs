//! The encryption of an archive: the format of `age` (age-encryption.org/v1), so that its own tools open it too.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile, Recipient, scrypt, x25519};
use cb_core::Secret;

use super::{BackupError, refused};

/// The least that OWASP advises for scrypt: 128 MiB, some tenths of a second.
const WORK: u8 = 17;
/// The most that is accepted of an archive that another tool wrote: 1 GiB.
const WORK_MOST: u8 = 20;
const BEGINS: &[u8] = b"age-encryption.org/";

/// Who can open a new archive.
#[derive(Clone)]
pub enum Protection {
    /// Whoever has the file.
    Plain,
    Passphrase(Secret),
    Recipients(Vec<x25519::Recipient>),
}

impl Protection {
    /// For the owners of these keys, each written as `age1…`.
    pub fn to(recipients: &[String]) -> Result<Self, BackupError> {
        let parsed = recipients.iter().map(|text| {
            text.parse::<x25519::Recipient>().map_err(|why| {
                refused(format!(
                    "`{text}` is not a recipient ({why}). Give the public key that age-keygen printed; it begins with age1"
                ))
            })
        });
        Ok(Self::Recipients(parsed.collect::<Result<_, _>>()?))
    }

    pub fn encrypts(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// What opens it again, as far as this process can.
    pub(super) fn keys(&self) -> Option<Keys> {
        match self {
            Self::Plain => Some(Keys::default()),
            Self::Passphrase(passphrase) => {
                Some(Keys { passphrase: Some(passphrase.clone()), identity: None })
            }
            Self::Recipients(_) => None,
        }
    }

    pub(super) fn wrap(
        &self,
        mut out: impl Write,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let recipients: Vec<Box<dyn Recipient>> = match self {
            Self::Plain => return body(&mut out),
            Self::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(secret(passphrase));
                recipient.set_work_factor(WORK);
                vec![Box::new(recipient)]
            }
            Self::Recipients(all) => all.iter().map(|one| Box::new(one.clone()) as _).collect(),
        };
        let encryptor =
            Encryptor::with_recipients(recipients.iter().map(|one| &**one)).map_err(io::Error::other)?;
        let mut out = encryptor.wrap_output(out)?;
        body(&mut out)?;
        out.finish()?;
        Ok(())
    }
}

/// What an archive can be opened with.
#[derive(Clone, Default)]
pub struct Keys {
    pub passphrase: Option<Secret>,
    /// A file of identities, as `age-keygen` writes it.
    pub identity: Option<PathBuf>,
}

/// Whether these are the first bytes of an encrypted archive.
pub(super) fn begins(with: &[u8]) -> bool {
    with.starts_with(BEGINS)
}

impl Keys {
    /// What is inside of `input`, and whether it was encrypted.
    pub(super) fn open<'a>(
        &self,
        mut input: impl Read + 'a,
    ) -> Result<(Box<dyn Read + 'a>, bool), BackupError> {
        let mut head = Vec::new();
        input
            .by_ref()
            .take(BEGINS.len() as u64)
            .read_to_end(&mut head)
            .map_err(|e| refused(format!("The archive cannot be read ({e})")))?;
        let encrypted = head == BEGINS;
        let input = io::Cursor::new(head).chain(input);
        if !encrypted {
            return Ok((Box::new(input), false));
        }
        let decryptor = Decryptor::new(input).map_err(|e| shut(&e))?;
        let opened = if decryptor.is_scrypt() {
            let passphrase = self.passphrase.as_ref().ok_or_else(|| {
                refused("The archive is encrypted with a passphrase. Give the passphrase with --passphrase-file FILE or CB_BACKUP_PASSPHRASE_FILE")
            })?;
            let mut identity = scrypt::Identity::new(secret(passphrase));
            identity.set_max_work_factor(WORK_MOST);
            decryptor.decrypt(std::iter::once(&identity as &dyn Identity))
        } else {
            let identities = self.identities()?;
            decryptor.decrypt(identities.iter().map(|one| &**one))
        };
        let opened = opened.map_err(|e| shut(&e))?;
        Ok((Box::new(opened), true))
    }

    fn identities(&self) -> Result<Vec<Box<dyn Identity>>, BackupError> {
        let Some(file) = &self.identity else {
            return Err(refused(
                "The archive is encrypted for the owner of a key. Give the file with that key: --identity FILE",
            ));
        };
        let shown = file.display();
        let open = std::fs::File::open(file).map_err(|e| {
            refused(format!("The identity file {shown} cannot be read ({e}). Give the name of the file that age-keygen wrote"))
        })?;
        let read = IdentityFile::from_buffer(io::BufReader::new(open)).map_err(|e| {
            refused(format!(
                "{shown} does not contain an identity ({e}). Give the name of the file that age-keygen wrote"
            ))
        })?;
        read.into_identities().map_err(|e| refused(format!("The identity file {shown} cannot be used ({e})")))
    }
}

fn shut(error: &DecryptError) -> BackupError {
    refused(match error {
        DecryptError::NoMatchingKeys => {
            "The archive is encrypted for the owner of another key. Give the file with that key: --identity FILE".to_owned()
        }
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            "The passphrase does not open the archive. Give the passphrase with which the archive was written".to_owned()
        }
        DecryptError::Io(e) => format!("The archive is damaged: it ends in the middle of its header ({e}). Use another copy of it"),
        other => format!("The archive cannot be opened: {other} Use another copy of it, or an older backup"),
    })
}

fn secret(text: &Secret) -> SecretString {
    SecretString::from(text.expose().to_owned())
}

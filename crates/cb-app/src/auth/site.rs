//! Under which name the browser has reached this server: what passkeys are bound to, and where a provider sends people back.

use cb_core::{Error, Result};
use url::Url;
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder};

/// An origin of ours. The edge has seen that the host is one of this server's own.
#[derive(Debug, Clone)]
pub struct Site(Url);

impl Site {
    /// `host` is the request's, with its port.
    pub fn at(host: &str) -> Result<Self> {
        Url::parse(&format!("https://{host}/")).map(Self).map_err(Error::internal)
    }

    /// Passkeys are bound to a domain name (WebAuthn Level 3, 4: RP ID); an address is none.
    pub fn has_passkeys(&self) -> bool {
        self.0.domain().is_some()
    }

    /// What the passkeys made here are bound to.
    pub(crate) fn rp_id(&self) -> Result<&str> {
        self.0.domain().ok_or_else(|| {
            Error::Conflict(
                "passkeys need a name: open this server by one of its names, not by an address".to_owned(),
            )
        })
    }

    pub(crate) fn webauthn(&self) -> Result<Webauthn> {
        WebauthnBuilder::new(self.rp_id()?, &self.0)
            .and_then(|b| b.rp_name("Circuit Breaker").build())
            .map_err(Error::internal)
    }
}

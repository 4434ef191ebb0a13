//! Under which name the browser has reached this server: what passkeys are bound to, and where a provider sends people back.

use cb_core::origin::{Origin, Origins};
use cb_core::{Error, Result};
use url::Url;
use webauthn_rs::prelude::{Webauthn, WebauthnBuilder};

/// The configured origin of ours that a browser has reached; none when it has reached us by another way.
#[derive(Debug, Clone)]
pub struct Site {
    origin: Option<Origin>,
    /// What the browser has named instead.
    asked: String,
}

impl Site {
    /// `page` is the request's `Origin`, which a browser sends with every write; without it `host` decides. Both only select one of
    /// `own`.
    pub fn of(own: &Origins, host: &str, page: Option<&[u8]>) -> Self {
        let origin = match page {
            Some(page) => own.of_page(page),
            None => own.of_host(host),
        };
        let asked =
            page.map_or_else(|| format!("https://{host}"), |p| String::from_utf8_lossy(p).into_owned());
        Self { origin: origin.cloned(), asked: asked.chars().take(100).collect() }
    }

    fn url(&self) -> Result<&Url> {
        self.origin.as_ref().map(Origin::url).ok_or_else(|| {
            Error::Conflict(format!(
                "This page was opened at {asked}, which is not one of the configured origins of the server. Set CB_NAMES={asked} (or CB_PUBLIC_URL, if links should use it) and restart the server.",
                asked = self.asked
            ))
        })
    }

    /// Passkeys are bound to a domain name (WebAuthn Level 3, 4: RP ID); an address is none.
    pub fn has_passkeys(&self) -> bool {
        self.rp_id().is_ok()
    }

    /// What the passkeys made here are bound to.
    pub(crate) fn rp_id(&self) -> Result<&str> {
        self.url()?.domain().ok_or_else(|| {
            Error::Conflict(
                "Passkeys need a name. Open this server by one of its names, and not by an address."
                    .to_owned(),
            )
        })
    }

    pub(crate) fn webauthn(&self) -> Result<Webauthn> {
        WebauthnBuilder::new(self.rp_id()?, self.url()?)
            .and_then(|b| b.rp_name("Circuit Breaker").build())
            .map_err(Error::internal)
    }

    /// The whole address of one of our paths.
    pub(crate) fn address(&self, path: &str) -> Result<Url> {
        self.url()?.join(path).map_err(Error::internal)
    }
}

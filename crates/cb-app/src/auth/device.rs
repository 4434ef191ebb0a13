//! Browsers that have signed in before (the OWASP scheme of device cookies). Each has a budget of guesses of its own, so that
//! strangers who guess at an account do not keep its owner out, and a stranger's guesses can be counted for all strangers together.
//!
//! A browser has one cookie for each account. It is renewed at each sign-in, it proves nothing about who somebody is, and it opens
//! nothing.

use std::time::Duration;

use cb_core::Secret;
pub use cb_vault::token::DEVICE_LIVES;

use crate::app::App;

/// How the names of these cookies begin; the rest stands for the account.
pub const COOKIE_PREFIX: &str = "__Host-cb_device_";
/// Cookies of one request that are looked at.
const LOOKED_AT: usize = 16;

/// A cookie for the browser that has just signed in.
pub struct DeviceCookie {
    pub name: String,
    pub value: Secret,
    pub max_age: Duration,
}

/// The device cookies that a request brought.
#[derive(Debug, Clone, Default)]
pub struct Devices(Vec<(String, String)>);

impl Devices {
    /// Names with their values.
    pub fn brought<'a>(cookies: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let ours = cookies.filter(|(name, _)| name.starts_with(COOKIE_PREFIX)).take(LOOKED_AT);
        Self(ours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// What tells this browser from others, if the holder of `account` has signed in with it.
    pub(crate) fn known(&self, app: &App, account: &str) -> Option<String> {
        let wanted = name(app, account);
        let mut found = self.0.iter().filter(|(name, _)| *name == wanted);
        found.find_map(|(_, value)| app.signer().read_device(account, value, app.now()))
    }
}

pub(super) fn cookie(app: &App, account: &str) -> DeviceCookie {
    let value = app.signer().device(account, &app.entropy().token(), app.now());
    DeviceCookie { name: name(app, account), value: Secret::new(value), max_age: DEVICE_LIVES }
}

fn name(app: &App, account: &str) -> String {
    format!("{COOKIE_PREFIX}{}", app.signer().alias(&format!("device\n{account}")))
}

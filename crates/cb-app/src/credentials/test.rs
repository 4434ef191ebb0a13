//! Tries a credential at a device.
//!
//! Whoever may not write credentials learns from it whether the credential works there, and nothing else: a failure has one
//! sentence and comes at one time, so that nobody maps a network with it.

use cb_core::audit::Action;
use std::time::Duration;

use cb_collect::clients::http::Authorization;
use cb_collect::clients::snmp::{self, Auth, Privacy};
use cb_collect::clients::{self, Device, Failure, Proof, http, mail, ssh};
use cb_core::error::Violations;
use cb_core::form::Public;
use cb_core::ids::CredentialId;
use cb_core::{Error, Permission, Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

use super::kinds::Kind;
use super::uses::{self, Opened, UsedBy, covered, hosts_of};
use super::{find, kind_of};
use crate::ctx::Ctx;
use crate::input;

/// For everything that is asked of the device.
const LONGEST: Duration = Duration::from_secs(8);
/// When a failure is told to those who may not know more of it: later than any test ends.
const TOLD_AT: Duration = Duration::from_secs(9);
/// What they are told.
const FAILED: &str =
    "The credential did not work there. Ask an administrator to run the test, which shows them the reason.";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CredentialTestIn)]
pub struct TestIn {
    /// A host to which the credential may be sent.
    #[schema(example = "10.0.0.5")]
    pub host: String,
    /// A port to which the credential may be sent; the first allowed port if absent.
    pub port: Option<u16>,
    /// The path to request over HTTP; `/` if absent.
    pub path: Option<String>,
}

/// One fact that the device reported about itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialTestFact)]
pub struct Fact {
    #[schema(value_type = String)]
    pub name: &'static str,
    pub value: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialTest)]
pub struct TestOut {
    pub ok: bool,
    /// The reason for a failure; without `credentials:write` always the same.
    #[schema(required)]
    pub reason: Option<String>,
    /// What the device said; empty without `credentials:write`.
    pub detail: Vec<Fact>,
    /// The fingerprint that the device presented and that is not trusted yet; null without `credentials:write`.
    #[schema(required)]
    pub presented: Option<String>,
}

/// Where to, looked at.
struct There {
    host: String,
    port: u16,
    path: String,
}

pub async fn run(ctx: &Ctx, id: CredentialId, given: TestIn) -> Result<TestOut> {
    ctx.authorize(Permission::CredentialsRead)?;
    let row = find(ctx.store().reader(), id).await?;
    let kind = kind_of(&row)?;
    if !kind.is_tested() {
        return Err(Error::Conflict(
            "This kind of credential cannot be tested here. The server tests it where it is used.".to_owned(),
        ));
    }
    let mut wrong = Violations::new();
    wrong.require(given.port != Some(0), "port", input::NO_PORT);
    let usual = || kind.ports(&Public::new()).first().copied().unwrap_or_default();
    let port = given.port.or(hosts_of(&row)?.port_at(&given.host)).unwrap_or_else(usual);
    let host = covered(&row, &given.host, port)?;
    let path = given.path.unwrap_or_else(|| "/".to_owned());
    let clean = path.starts_with('/') && !path.starts_with("//") && path.len() <= 512;
    let clean = clean && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    wrong.require(
        clean,
        "path",
        "Enter a path that begins with / and has at most 512 characters without spaces.",
    );
    wrong.require(
        path == "/" || kind.takes_path(),
        "path",
        "Leave this field empty. This kind of credential does not use it.",
    );
    wrong.into_result()?;
    let there = There { host, port, path };

    let key = format!("credential-test:{}", ctx.principal().id().unwrap_or_default());
    ctx.app().throttle().enter([&key]).await?;
    // In a task of its own: whoever hangs up has used it all the same, and the log says so.
    let (tell, told) = oneshot::channel();
    let task = ctx.clone();
    ctx.app().spawn(async move {
        let out = carry_out(&task, id, kind, there).await;
        if matches!(&out, Ok(out) if out.ok) {
            task.app().throttle().spare(&key).await;
        }
        // Nobody listens any more.
        let _ = tell.send(out);
    });
    told.await.map_err(|_| Error::Unavailable("The server is stopping.".to_owned()))?
}

async fn carry_out(ctx: &Ctx, id: CredentialId, kind: Kind, there: There) -> Result<TestOut> {
    let may_know = ctx.principal().permits(Permission::CredentialsWrite);
    let told_at = sleep(TOLD_AT);
    let by = UsedBy::principal(ctx.principal(), "test");
    let opened = uses::open(ctx.app(), id, kind, &there.host, there.port, by).await?;
    let outcome = timeout(LONGEST, prove(ctx, &opened, &there)).await.unwrap_or_else(|_| {
        let (host, port) = (&there.host, there.port);
        let reason = format!("{host} on port {port} takes too long to answer.");
        Err(Failure { reason, presented: None })
    });
    let ok = outcome.is_ok();
    if !may_know && !ok {
        // Before the log of uses knows, for they may read it.
        told_at.await;
    }
    opened.ended(ctx.app(), ok).await?;
    ctx.write(Permission::CredentialsRead, Action::CredentialTested, async |tx| {
        let row = find(tx.conn(), id).await?;
        tx.about("credential", row.id);
        // Not the reason: it has what the device says.
        tx.detail(json!({ "name": row.name, "host": there.host, "port": there.port, "ok": ok }));
        Ok(())
    })
    .await?;
    Ok(match outcome {
        Ok(_) if !may_know => TestOut { ok, reason: None, detail: Vec::new(), presented: None },
        Err(_) if !may_know => {
            TestOut { ok, reason: Some(FAILED.to_owned()), detail: Vec::new(), presented: None }
        }
        Ok(proof) => {
            let detail = proof.facts.into_iter().map(|(name, value)| Fact { name, value }).collect();
            TestOut { ok, reason: None, detail, presented: None }
        }
        Err(Failure { reason, presented }) => {
            TestOut { ok, reason: Some(reason), detail: Vec::new(), presented }
        }
    })
}

async fn prove(ctx: &Ctx, opened: &Opened, there: &There) -> clients::Outcome {
    let outbound = ctx.app().outbound().trusting(opened.tls());
    let device = Device { outbound: &outbound, host: &opened.host, port: opened.port };
    let none = Secret::new(String::new());
    let secret = |name: &str| opened.secret(name).unwrap_or(&none);
    let public = |name: &str| opened.public.get(name).map_or("", String::as_str);
    let mut id = [0; 4];
    ctx.app().entropy().fill(&mut id);
    let basic = Authorization::Basic { user: public("user"), password: secret("password") };
    match opened.kind {
        Kind::SnmpV2c => snmp::prove_v2c(device, id, secret("community")).await,
        Kind::SnmpV3 => {
            let user = snmp::User {
                name: public("user"),
                context: public("context"),
                auth: auth(public("auth")).map(|auth| (auth, secret("auth_password"))),
                privacy: privacy(public("privacy")).map(|way| (way, secret("privacy_password"))),
            };
            snmp::prove_v3(device, id, &user).await
        }
        Kind::SshKey | Kind::SshPassword => {
            let login = match opened.kind {
                Kind::SshKey => ssh::Login::Key {
                    private: secret("private_key"),
                    passphrase: opened.secret("passphrase"),
                },
                _ => ssh::Login::Password(secret("password")),
            };
            ssh::prove(device, public("user"), login, opened.host_key_sha256.as_deref()).await
        }
        Kind::Basic => http::prove(device, public("transport"), &there.path, basic).await,
        Kind::Bearer => {
            let bearer = Authorization::Bearer(secret("token"));
            http::prove(device, public("transport"), &there.path, bearer).await
        }
        Kind::ProxmoxToken => {
            let token =
                Authorization::Proxmox { token_id: public("token_id"), secret: secret("token_secret") };
            http::prove_proxmox(device, token).await
        }
        Kind::Redfish => http::prove_redfish(device, basic).await,
        Kind::Smtp => mail::prove(device, public("user"), secret("password")).await,
        // They have no port to be tried at, so nobody comes here with one.
        Kind::WebhookSecret | Kind::OidcClient => Ok(Proof::default()),
    }
}

fn auth(word: &str) -> Option<Auth> {
    Some(match word {
        "md5" => Auth::Md5,
        "sha1" => Auth::Sha1,
        "sha224" => Auth::Sha224,
        "sha256" => Auth::Sha256,
        "sha384" => Auth::Sha384,
        "sha512" => Auth::Sha512,
        _ => return None,
    })
}

fn privacy(word: &str) -> Option<Privacy> {
    Some(match word {
        "des" => Privacy::Des,
        "aes128" => Privacy::Aes128,
        "aes192" => Privacy::Aes192,
        "aes256" => Privacy::Aes256,
        _ => return None,
    })
}

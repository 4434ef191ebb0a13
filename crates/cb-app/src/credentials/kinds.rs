//! The kinds of credentials: one table. A kind is its fields, what it may be tested with, and the rules between its fields.
//!
//! To add one: a variant, its line in [`Kind::ALL`] and its [`Facts`]; how it proves itself to a device stands in
//! `cb_collect::clients`.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CredentialKind)]
pub enum Kind {
    #[serde(rename = "snmp_v2c")]
    SnmpV2c,
    #[serde(rename = "snmp_v3")]
    SnmpV3,
    SshKey,
    SshPassword,
    Basic,
    Bearer,
    ProxmoxToken,
    Redfish,
    Smtp,
    WebhookSecret,
    OidcClient,
}

/// What identifies a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CredentialPin)]
pub enum Pinned {
    Certificate,
    HostKey,
}

struct Facts {
    title: &'static str,
    form: Form,
    pin: Option<Pinned>,
    /// Where the secret may be sent unless other ports are typed. The first is where it is tested; see `tested`.
    ports: &'static [u16],
    /// Whether it can be tested by itself.
    tested: bool,
    /// Whether a test may name a path.
    path: bool,
}

const USER: Field = Field::line("user", "Username");
const PASSWORD: Field = Field::line("password", "Password").most(1024);
const TRANSPORT: Field = Field::choice("transport", "Sent over", &["https", "http"])
    .help("HTTP does not encrypt the secret. Anyone on the network can read it.");
const HTTPS: &[u16] = &[443];
const HTTP: &[u16] = &[80];
pub const AUTH: &[&str] = &["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
pub const PRIVACY: &[&str] = &["none", "des", "aes128", "aes192", "aes256"];

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::SnmpV2c,
        Kind::SnmpV3,
        Kind::SshKey,
        Kind::SshPassword,
        Kind::Basic,
        Kind::Bearer,
        Kind::ProxmoxToken,
        Kind::Redfish,
        Kind::Smtp,
        Kind::WebhookSecret,
        Kind::OidcClient,
    ];

    fn facts(self) -> Facts {
        match self {
            Kind::SnmpV2c => {
                Facts::new("SNMP v2c", vec![], vec![Field::line("community", "Community")]).at(&[161])
            }
            Kind::SnmpV3 => Facts::new(
                "SNMP v3",
                vec![
                    USER.most(32),
                    Field::choice("auth", "Authentication", AUTH),
                    Field::choice("privacy", "Encryption", PRIVACY),
                    Field::line("context", "Context").most(32).optional(),
                ],
                vec![
                    Field::line("auth_password", "Authentication password")
                        .optional()
                        .help("At least 8 characters. Needed if you choose an authentication."),
                    Field::line("privacy_password", "Encryption password")
                        .optional()
                        .help("At least 8 characters. Needed if you choose an encryption."),
                ],
            )
            .at(&[161]),
            Kind::SshKey => Facts::new(
                "SSH key",
                vec![USER],
                vec![
                    Field::line("private_key", "Private key")
                        .lines()
                        .most(16 << 10)
                        .help("The whole file that ssh-keygen writes, from BEGIN to END."),
                    Field::line("passphrase", "Passphrase").most(1024).optional(),
                ],
            )
            .at(&[22])
            .pinned(Pinned::HostKey),
            Kind::SshPassword => {
                Facts::new("SSH password", vec![USER], vec![PASSWORD]).at(&[22]).pinned(Pinned::HostKey)
            }
            Kind::Basic => Facts::new("Username and password (HTTP)", vec![USER, TRANSPORT], vec![PASSWORD])
                .at(HTTPS)
                .pinned(Pinned::Certificate)
                .with_path(),
            Kind::Bearer => Facts::new(
                "Bearer token (HTTP)",
                vec![TRANSPORT],
                vec![Field::line("token", "Token").most(8 << 10)],
            )
            .at(HTTPS)
            .pinned(Pinned::Certificate)
            .with_path(),
            Kind::ProxmoxToken => Facts::new(
                "Proxmox API token",
                vec![Field::line("token_id", "Token ID").help("As Proxmox shows it: user@realm!name.")],
                vec![Field::line("token_secret", "Secret")],
            )
            .at(&[8006])
            .pinned(Pinned::Certificate),
            Kind::Redfish => {
                Facts::new("Redfish (BMC)", vec![USER], vec![PASSWORD]).at(HTTPS).pinned(Pinned::Certificate)
            }
            Kind::Smtp => Facts::new("Mail server (SMTP)", vec![USER], vec![PASSWORD])
                .at(&[587, 465])
                .pinned(Pinned::Certificate),
            Kind::WebhookSecret => Facts::new(
                "Webhook signing secret",
                vec![],
                vec![
                    Field::line("key", "Secret")
                        .help("At least 16 characters. It signs requests and is never sent."),
                ],
            ),
            Kind::OidcClient => Facts::new(
                "OpenID Connect client",
                vec![Field::line("client_id", "Client ID")],
                vec![Field::line("client_secret", "Client secret").most(1024)],
            )
            .sent_to(HTTPS),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::SnmpV2c => "snmp_v2c",
            Kind::SnmpV3 => "snmp_v3",
            Kind::SshKey => "ssh_key",
            Kind::SshPassword => "ssh_password",
            Kind::Basic => "basic",
            Kind::Bearer => "bearer",
            Kind::ProxmoxToken => "proxmox_token",
            Kind::Redfish => "redfish",
            Kind::Smtp => "smtp",
            Kind::WebhookSecret => "webhook_secret",
            Kind::OidcClient => "oidc_client",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    pub fn pin(self) -> Option<Pinned> {
        self.facts().pin
    }

    /// Where the secret may be sent unless other ports are typed; for a kind that can be tested, the first is where.
    pub fn ports(self, public: &Public) -> &'static [u16] {
        match self.facts().ports {
            HTTPS if chosen(public, "transport") == "http" => HTTP,
            ports => ports,
        }
    }

    pub fn is_tested(self) -> bool {
        self.facts().tested
    }

    pub fn takes_path(self) -> bool {
        self.facts().path
    }

    /// Public fields as given, with the first choice where none was made; what is wrong is noted under `public.…`.
    pub fn public(self, wrong: &mut Violations, given: &Public) -> Public {
        let out = self.facts().form.read(self.as_str(), wrong, given);
        if self == Kind::ProxmoxToken
            && let Some(id) = out.get("token_id")
        {
            let parts = id.split_once('!').and_then(|(user, name)| Some((user.split_once('@')?, name)));
            let whole = parts.is_some_and(|((user, realm), name)| {
                !user.is_empty() && !realm.is_empty() && !name.is_empty()
            });
            let plain = id.bytes().all(|b| b.is_ascii_graphic() && b != b'=');
            wrong.require(
                whole && plain,
                "public.token_id",
                "Enter the token ID in the form root@pam!monitoring.",
            );
        }
        if self == Kind::Basic {
            // RFC 7617, 2: the first colon ends the user name.
            wrong.require(
                out.get("user").is_none_or(|user| !user.contains(':')),
                "public.user",
                "Enter a username without a colon.",
            );
        }
        if self == Kind::SnmpV3 {
            wrong.require(
                chosen(&out, "auth") != "none" || chosen(&out, "privacy") == "none",
                "public.auth",
                "Choose an authentication method. SNMP does not encrypt without one.",
            );
        }
        out
    }

    /// Judges the secret fields for these public ones; what is wrong is noted under `secret.…`.
    pub fn judge_secret(self, wrong: &mut Violations, public: &Public, given: &Secrets) {
        self.facts().form.judge_secret(self.as_str(), wrong, given);
        let mut long_enough = |name: &'static str, least: usize, wanted: bool| {
            let length = given.get(name).map(|text| text.expose().len());
            let field = format!("secret.{name}");
            match length {
                None if wanted => wrong.add(field, "This field is required."),
                Some(_) if !wanted => {
                    wrong.add(field, "Leave this field empty. The chosen method does not use it.");
                }
                Some(length) if length < least => {
                    wrong.add(field, format!("Use at least {least} characters."));
                }
                _ => {}
            }
        };
        match self {
            // RFC 3414, 11.2.
            Kind::SnmpV3 => {
                long_enough("auth_password", 8, chosen(public, "auth") != "none");
                long_enough("privacy_password", 8, chosen(public, "privacy") != "none");
            }
            Kind::WebhookSecret => long_enough("key", 16, true),
            Kind::Bearer | Kind::ProxmoxToken => {
                let name = if self == Kind::Bearer { "token" } else { "token_secret" };
                let sendable = given
                    .get(name)
                    .is_none_or(|text| text.expose().bytes().all(|byte| byte.is_ascii_graphic()));
                wrong.require(
                    sendable,
                    &format!("secret.{name}"),
                    "Use only ASCII letters, digits and symbols, without spaces.",
                );
            }
            _ => {}
        }
    }

    /// Whether there is anything secret at all.
    pub fn has_secret(self, public: &Public) -> bool {
        self != Kind::SnmpV3 || chosen(public, "auth") != "none"
    }

    /// The first field that says how the secret travels and is not as it was.
    pub fn rebound(self, before: &Public, after: &Public) -> Option<&'static str> {
        self.facts().form.rebound(before, after)
    }

    pub fn described(self) -> KindOut {
        let facts = self.facts();
        KindOut {
            kind: self,
            title: facts.title,
            public: facts.form.public_schema(),
            secret: facts.form.secret_schema(),
            pin: facts.pin,
            default_port: facts.ports.first().copied().filter(|_| facts.tested),
            testable: facts.tested,
            takes_path: facts.path,
        }
    }
}

/// The choice that was made; every stored row has one.
pub fn chosen<'a>(public: &'a Public, name: &str) -> &'a str {
    public.get(name).map_or("none", String::as_str)
}

impl Facts {
    fn new(title: &'static str, public: Vec<Field>, secret: Vec<Field>) -> Self {
        Self { title, form: Form::new(public, secret), pin: None, ports: &[], tested: false, path: false }
    }

    fn at(mut self, ports: &'static [u16]) -> Self {
        self.tested = true;
        self.sent_to(ports)
    }

    fn sent_to(mut self, ports: &'static [u16]) -> Self {
        self.ports = ports;
        self
    }

    fn pinned(mut self, pin: Pinned) -> Self {
        self.pin = Some(pin);
        self
    }

    fn with_path(mut self) -> Self {
        self.path = true;
        self
    }
}

/// A kind with everything that a form needs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialKindDescription)]
pub struct KindOut {
    pub kind: Kind,
    #[schema(value_type = String)]
    pub title: &'static str,
    /// A JSON schema. `x-order` is the order of the fields. `x-lines` marks a text with several lines. A change of a
    /// field with `x-binds-secret` must include the secret again.
    #[schema(value_type = Object)]
    pub public: Value,
    #[schema(value_type = Object)]
    pub secret: Value,
    #[schema(required)]
    pub pin: Option<Pinned>,
    #[schema(required)]
    pub default_port: Option<u16>,
    pub testable: bool,
    pub takes_path: bool,
}

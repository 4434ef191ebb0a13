//! The kinds of channels: one table. A kind is its fields with their rules, where its service stands, and how it is spoken with.

use cb_core::Secret;
use cb_core::error::{Violations, sentence};
use cb_core::form::{Form, Public, Secrets};
use cb_net::judge::{Destination, Policy};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::request::{Outgoing, Said};
use super::{Telling, discord, email, gotify, matrix, ntfy, pushover, slack, teams, telegram, webhook};
use crate::Answer;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ChannelKind)]
pub enum Kind {
    Email,
    Ntfy,
    Gotify,
    Discord,
    Slack,
    Teams,
    Telegram,
    Matrix,
    Pushover,
    Webhook,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Email,
        Kind::Ntfy,
        Kind::Gotify,
        Kind::Discord,
        Kind::Slack,
        Kind::Teams,
        Kind::Telegram,
        Kind::Matrix,
        Kind::Pushover,
        Kind::Webhook,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Ntfy => "ntfy",
            Kind::Gotify => "gotify",
            Kind::Discord => "discord",
            Kind::Slack => "slack",
            Kind::Teams => "teams",
            Kind::Telegram => "telegram",
            Kind::Matrix => "matrix",
            Kind::Pushover => "pushover",
            Kind::Webhook => "webhook",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    pub(super) fn service(self) -> &'static Service {
        match self {
            Kind::Email => &email::SERVICE,
            Kind::Ntfy => &ntfy::SERVICE,
            Kind::Gotify => &gotify::SERVICE,
            Kind::Discord => &discord::SERVICE,
            Kind::Slack => &slack::SERVICE,
            Kind::Teams => &teams::SERVICE,
            Kind::Telegram => &telegram::SERVICE,
            Kind::Matrix => &matrix::SERVICE,
            Kind::Pushover => &pushover::SERVICE,
            Kind::Webhook => &webhook::SERVICE,
        }
    }

    pub fn title(self) -> &'static str {
        self.service().title
    }

    pub fn form(self) -> Form {
        (self.service().form)()
    }

    /// Whether the user runs it, and may pin its certificate; nobody pins what changes every few weeks.
    pub fn takes_pin(self) -> bool {
        self.service().policy == Policy::Lan
    }

    /// Public fields as given, judged each for itself; what is wrong is noted under `public.…`.
    pub fn read(self, wrong: &mut Violations, given: &Public) -> Public {
        let public = self.form().read(self.as_str(), wrong, given);
        if let Way::Http(Http { stands: Stands::Public(field), .. }) = self.service().way
            && let Some(url) = public.get(field)
            && let Err(reason) = judge_url(url)
        {
            wrong.add(format!("public.{field}"), reason);
        }
        public
    }

    /// Judges the secret fields, and how they go together with the public ones.
    pub fn judge(self, wrong: &mut Violations, public: &Public, secrets: &Secrets) {
        let service = self.service();
        self.form().judge_secret(self.as_str(), wrong, secrets);
        if let Way::Http(Http { stands: Stands::Secret(field), .. }) = service.way
            && let Some(url) = secrets.get(field)
        {
            let read = Destination::read(url.expose()).is_ok();
            let sealed = service.policy == Policy::Lan || url.expose().starts_with("https://");
            // Not the reason: it may have a part of the secret in it.
            let reason = match service.policy {
                Policy::Public => "Enter the whole address that the service shows, including https://.",
                Policy::Lan => "Enter a whole address, including http:// or https://, without spaces.",
            };
            wrong.require(read && sealed, &format!("secret.{field}"), reason);
        }
        (service.judge)(wrong, public, secrets);
    }

    /// The first field that says where or how the secret travels and is not as it was: whoever changes it must know the secret.
    pub fn rebound(self, before: &Public, after: &Public) -> Option<&'static str> {
        self.form().rebound(before, after)
    }

    /// Whom it is sent to, as far as anybody may know: no path, for that may be the secret.
    pub fn where_to(self, public: &Public, secrets: &Secrets) -> Option<String> {
        let Way::Http(http) = &self.service().way else { return email::where_to(public) };
        let origin = Url::parse(http.stands.address(public, secrets)?).ok()?.origin();
        origin.is_tuple().then(|| origin.ascii_serialization())
    }
}

/// What a kind is: a line of the table.
pub(super) struct Service {
    pub(super) title: &'static str,
    pub(super) policy: Policy,
    pub(super) form: fn() -> Form,
    /// The rules of single fields beyond their form, and between fields.
    pub(super) judge: fn(&mut Violations, &Public, &Secrets),
    pub(super) way: Way,
}

/// How it is spoken with.
pub(super) enum Way {
    Http(Http),
    Mail,
}

pub(super) struct Http {
    pub(super) stands: Stands,
    /// What is asked of it.
    pub(super) request: fn(&Telling<'_>) -> Outgoing,
    /// What its answer means beyond its status.
    pub(super) judged: fn(&mut Answer, &Said<'_>),
    /// What a test asks besides.
    pub(super) look: Option<Look>,
}

/// A question that changes nothing, for whoever tests a channel.
pub(super) struct Look {
    pub(super) request: fn(&Telling<'_>) -> Outgoing,
    /// What its answer tells them.
    pub(super) note: fn(&Said<'_>) -> Option<&'static str>,
}

/// Where a service stands.
pub(super) enum Stands {
    /// Hosted, at one place for everybody.
    At(&'static str),
    /// Where this public field says.
    Public(&'static str),
    /// Where this secret field says: whoever knows the address may write.
    Secret(&'static str),
}

impl Stands {
    /// The field that says it.
    pub(super) fn field(&self) -> Option<String> {
        match self {
            Stands::At(_) => None,
            Stands::Public(field) => Some(format!("public.{field}")),
            Stands::Secret(field) => Some(format!("secret.{field}")),
        }
    }

    /// The address itself; none where a field is missing.
    pub(super) fn address<'a>(&self, public: &'a Public, secrets: &'a Secrets) -> Option<&'a str> {
        match self {
            Stands::At(base) => Some(base),
            Stands::Public(field) => public.get(*field).map(String::as_str),
            Stands::Secret(field) => secrets.get(*field).map(Secret::expose),
        }
    }
}

/// The address of a server: all that is sent is put below it.
fn judge_url(url: &str) -> Result<(), String> {
    Destination::read(url).map_err(sentence)?;
    if url.contains(['?', '#']) {
        return Err("Enter only the address of the server, without ? or #.".to_owned());
    }
    Ok(())
}

/// For a kind without rules of its own.
pub(super) fn no_rules(_: &mut Violations, _: &Public, _: &Secrets) {}

/// A secret that goes into a header or an address as it is.
pub(super) fn require_token(wrong: &mut Violations, secrets: &Secrets, field: &str) {
    let sendable =
        secrets.get(field).is_none_or(|text| text.expose().bytes().all(|byte| byte.is_ascii_graphic()));
    wrong.require(
        sendable,
        &format!("secret.{field}"),
        "Use only ASCII letters, digits and symbols, without spaces.",
    );
}

#[cfg(test)]
mod tests {
    use cb_core::error::{Error, Violations};
    use cb_core::form::{Public, Secrets};
    use cb_core::{FieldError, Secret};
    use cb_net::judge::Policy;

    use super::{Http, Kind, Stands, Way};

    fn fields(fields: &[(&str, &str)]) -> Public {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn secrets(given: &[(&str, &str)]) -> Secrets {
        given.iter().map(|(name, text)| ((*name).to_owned(), Secret::new((*text).to_owned()))).collect()
    }

    fn wrong(kind: Kind, public: &[(&str, &str)], secret: &[(&str, &str)]) -> Vec<String> {
        let mut wrong = Violations::new();
        let public = kind.read(&mut wrong, &fields(public));
        kind.judge(&mut wrong, &public, &secrets(secret));
        match wrong.into_result() {
            Err(Error::Invalid(all)) => {
                all.into_iter().map(|FieldError { field, reason }| format!("{field}: {reason}")).collect()
            }
            _ => Vec::new(),
        }
    }

    type Given = Vec<(&'static str, &'static str)>;

    /// What each kind takes.
    fn good(kind: Kind) -> (Given, Given) {
        match kind {
            Kind::Email => (
                vec![
                    ("host", "mail.lan"),
                    ("port", "587"),
                    ("security", "starttls"),
                    ("from", "cb@attic.lan"),
                    ("to", "maria@attic.lan, jo@attic.lan"),
                    ("user", "cb"),
                ],
                vec![("password", "hunter2")],
            ),
            Kind::Ntfy => {
                (vec![("server", "https://ntfy.sh"), ("topic", "attic-x7")], vec![("token", "tk_1")])
            }
            Kind::Gotify => (vec![("server", "http://10.0.0.5:8080/gotify")], vec![("token", "AbC")]),
            Kind::Discord => (vec![], vec![("url", "https://discord.com/api/webhooks/1/abc")]),
            Kind::Slack => (vec![], vec![("url", "https://hooks.slack.com/services/T/B/x")]),
            Kind::Teams => (vec![], vec![("url", "https://prod-1.westeurope.logic.azure.com:443/w?sig=x")]),
            Kind::Telegram => (vec![("chat_id", "-100123")], vec![("token", "123:ABC_def-x")]),
            Kind::Matrix => (
                vec![("server", "https://matrix.lan"), ("room", "!abc:matrix.lan")],
                vec![("token", "syt_x")],
            ),
            Kind::Pushover => (
                vec![],
                vec![("token", "azGDORePK8gMaC0QOYAMyEEuzJnyUi"), ("user", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG")],
            ),
            Kind::Webhook => (vec![], vec![("url", "http://ha.lan:8123/api/webhook/x")]),
        }
    }

    #[test]
    fn every_kind_is_read_as_it_is_written_and_takes_what_it_asks_for() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.as_str());
            let (public, secret) = good(kind);
            assert_eq!(wrong(kind, &public, &secret), Vec::<String>::new(), "{kind:?}");
            let to = kind.where_to(&fields(&public), &secrets(&secret)).expect("somewhere");
            assert!(to.contains("://") && to.matches('/').count() == 2, "{kind:?}: {to}");
        }
    }

    #[test]
    fn a_hosted_service_is_reached_on_the_internet_only() {
        for kind in Kind::ALL {
            let service = kind.service();
            if let Way::Http(Http { stands: Stands::At(base), .. }) = service.way {
                assert!(base.starts_with("https://"), "{kind:?}");
                assert_eq!(service.policy, Policy::Public, "{kind:?}");
            }
        }
    }

    /// Whoever may change where a secret goes without knowing it could have it sent to himself.
    #[test]
    fn every_public_field_that_says_where_a_secret_goes_binds_it() {
        for kind in Kind::ALL {
            let (public, secret) = good(kind);
            let (public, secret) = (fields(&public), secrets(&secret));
            let before = kind.where_to(&public, &secret);
            let others = ["http://elsewhere.lan:81", "elsewhere.lan", "2525", "none", "tls"];
            for (name, other) in public.keys().flat_map(|name| others.map(|other| (name, other))) {
                let mut after = public.clone();
                after.insert(name.clone(), other.to_owned());
                if kind.where_to(&after, &secret) != before {
                    assert_eq!(kind.rebound(&public, &after), Some(name.as_str()), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn what_no_service_takes_is_told_at_its_field_without_the_secret() {
        let case = |kind: Kind, part: &str, name: &'static str, text: &'static str| {
            let (mut public, mut secret) = good(kind);
            let list = if part == "public" { &mut public } else { &mut secret };
            list.retain(|(known, _)| *known != name);
            list.push((name, text));
            let told = wrong(kind, &public, &secret);
            assert!(
                told.iter().any(|told| told.starts_with(&format!("{part}.{name}: "))),
                "{kind:?} {name}={text}: {told:?}"
            );
            if part == "secret" && !text.is_empty() {
                assert!(!told.concat().contains(text), "{told:?}");
            }
        };
        for (name, text) in [
            ("host", "mail.lan:587"),
            ("host", "a b"),
            ("port", "0"),
            ("port", "65536"),
            ("port", "smtp"),
            ("security", "ssl"),
            ("from", "nobody"),
            ("from", "a@b\r\nBcc: c@d"),
            ("greeting", "127.0.0.1"),
            ("greeting", "breaker.lan:25"),
            ("greeting", "my_breaker"),
            ("to", ""),
            ("to", "maria@attic.lan, nobody"),
            ("to", "a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c"),
        ] {
            case(Kind::Email, "public", name, text);
        }
        case(Kind::Ntfy, "public", "topic", "a/b");
        case(Kind::Ntfy, "public", "server", "ntfy.sh");
        case(Kind::Ntfy, "public", "server", "https://ntfy.sh/attic");
        case(Kind::Ntfy, "public", "server", "ftp://ntfy.sh");
        case(Kind::Ntfy, "public", "server", "https://ntfy.sh/?a=b");
        case(Kind::Ntfy, "public", "server", "https://maria:x@ntfy.sh/");
        case(Kind::Ntfy, "secret", "token", "tk 1");
        case(Kind::Gotify, "public", "server", "http://2130706433/");
        case(Kind::Gotify, "secret", "token", "a\u{e4}");
        for kind in [Kind::Discord, Kind::Slack, Kind::Teams] {
            case(kind, "secret", "url", "geheim:2/3");
        }
        for kind in [Kind::Discord, Kind::Teams] {
            case(kind, "secret", "url", "http://discord.com/api/webhooks/1/geheim");
        }
        case(Kind::Slack, "secret", "url", "http://hooks.slack.com/services/T/B/geheim");
        case(Kind::Slack, "secret", "url", "http://HOOKS.slack-gov.com./services/T/B/geheim");
        case(Kind::Telegram, "public", "chat_id", "maria");
        case(Kind::Telegram, "secret", "token", "123:ABC/../x");
        case(Kind::Telegram, "secret", "token", "botABC");
        case(Kind::Matrix, "public", "room", "#attic:matrix.lan");
        case(Kind::Pushover, "secret", "token", "short");
        case(Kind::Pushover, "secret", "user", "with-sign-30-characters-long--");
        case(Kind::Webhook, "secret", "url", "geheim.lan/x");
        case(Kind::Webhook, "secret", "token", "a b");
    }

    #[test]
    fn a_password_has_a_user_and_is_never_sent_in_clear_by_mail() {
        let (public, _) = good(Kind::Email);
        assert_eq!(
            wrong(Kind::Email, &public, &[]),
            ["secret.password: Enter the password for this username."]
        );
        let without = |name: &str, more: &[(&'static str, &'static str)]| {
            let kept = public.iter().filter(|(known, _)| *known != name);
            kept.chain(more).copied().collect::<Vec<_>>()
        };
        assert_eq!(
            wrong(Kind::Email, &without("user", &[]), &[("password", "x")]),
            ["public.user: Enter the username for this password."]
        );
        assert_eq!(wrong(Kind::Email, &without("user", &[]), &[]), Vec::<String>::new());
        let plain = without("security", &[("security", "none")]);
        assert_eq!(
            wrong(Kind::Email, &plain, &[("password", "x")]),
            ["public.security: Choose STARTTLS or TLS. The server never sends a password unencrypted."]
        );
        let ntfy = [("server", "https://ntfy.lan"), ("topic", "t"), ("user", "maria")];
        assert_eq!(wrong(Kind::Ntfy, &ntfy, &[]), ["secret.password: Enter the password for this username."]);
        assert_eq!(
            wrong(Kind::Ntfy, &ntfy, &[("password", "x"), ("token", "y")]),
            ["secret.token: Enter either an access token or a username, but not both."]
        );
        assert_eq!(
            wrong(Kind::Ntfy, &ntfy[..2], &[("password", "x")]),
            ["public.user: Enter the username for this password."]
        );
        // A username that is refused is there.
        let refused = ["public.user: Enter one line without control characters."];
        let user = [("user", "ma\u{7}ria")];
        assert_eq!(wrong(Kind::Email, &without("user", &user), &[("password", "x")]), refused);
        let ntfy = [ntfy[0], ntfy[1], user[0]];
        assert_eq!(wrong(Kind::Ntfy, &ntfy, &[("password", "x")]), refused);
    }
}

//! Channels: the services that people read. One file each, which knows the service's own words: its fields, the shape of its
//! request, its limits, and what its answer means.
//!
//! Owns: the [`Kind`]s (`kinds.rs`), the one way to send ([`Sender::send`]) and to look beforehand where that leads ([`Sender::check`]).
//! Invariants: whatever a device said about itself is hostile, so every service escapes it in its own way and cuts it to its
//! own limit; no secret is in an [`Answer`] (`hidden.rs`); a hosted service is reached on the Internet only.
//!
//! To add one: a file here with its `SERVICE`, a variant of [`Kind`] and its line in `ALL`, `as_str` and `service`; a wire test
//! in `tests/channels/`. Forms, pages and deliveries follow from the table.

mod discord;
mod email;
mod gotify;
mod hidden;
mod kinds;
mod matrix;
mod ntfy;
mod pushover;
mod request;
mod slack;
mod teams;
mod telegram;
mod text;
mod webhook;

use std::time::Duration;

use cb_core::error::sentence;
use cb_core::form::{Public, Secrets};
use cb_core::{Notice, NoticeKind, Secret};
use cb_net::http::{Limits, OutboundError, Pin, Tls};
use cb_net::outbound::{Approved, Outbound};
use url::Url;

use crate::{Answer, End};
pub use email::Letter;
use hidden::Hidden;
pub use kinds::Kind;
use kinds::{Http, Look, Service, Stands, Way, no_rules, require_token};
use request::Said;

/// A channel that somebody set up, opened.
pub struct Channel<'a> {
    pub kind: Kind,
    pub public: &'a Public,
    pub secrets: &'a Secrets,
    pub pin: Option<Pin>,
}

/// What a service's file makes its request of.
struct Telling<'a> {
    /// Where the service stands.
    url: Url,
    public: &'a Public,
    secrets: &'a Secrets,
    notice: &'a Notice,
    /// Where people find us.
    home: Option<&'a Url>,
    /// The page of ours that shows more.
    link: Option<&'a str>,
}

impl Telling<'_> {
    fn public(&self, name: &str) -> Option<&str> {
        self.public.get(name).map(String::as_str)
    }

    fn secret(&self, name: &str) -> Option<&str> {
        self.secrets.get(name).map(Secret::expose)
    }

    /// The address of something below where the service stands.
    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// Sends by any channel.
#[derive(Debug, Clone)]
pub struct Sender {
    outbound: Outbound,
    /// Instead of where the hosted services stand.
    hosted: Option<Url>,
}

const LIMITS: Limits = Limits {
    total: Duration::from_secs(15),
    connect: Duration::from_secs(5),
    body: 64 << 10,
    headers: 16 << 10,
    redirects: 0,
};

impl Sender {
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, hosted: None }
    }

    /// With another place for the services that have one for everybody, to try them without the Internet.
    pub fn with_hosted(outbound: Outbound, base: Url) -> Self {
        Self { outbound, hosted: Some(base) }
    }

    /// Judges where a channel leads, and sends nothing: the field that says so, and what is wrong with it.
    pub async fn check(&self, channel: &Channel<'_>) -> Result<(), (String, String)> {
        let service = channel.kind.service();
        let Way::Http(http) = &service.way else { return email::check(&self.outbound, channel.public).await };
        let Some(field) = http.stands.field() else { return Ok(()) };
        let Some(url) = http.stands.address(channel.public, channel.secrets) else {
            return Err((field, "This field is required.".to_owned()));
        };
        let judged = self.outbound.check(service.policy, url).await;
        may_lead(judged).map_err(|reason| (field, reason))
    }

    fn outbound_of(&self, channel: &Channel<'_>) -> Outbound {
        match channel.pin {
            Some(pin) => self.outbound.trusting(Tls::Pinned(pin)),
            None => self.outbound.clone(),
        }
    }

    /// One try to hand in a letter at the mail server of a channel, which ends within half a minute. The channel's own recipients get
    /// nothing.
    pub async fn write(&self, channel: &Channel<'_>, letter: &Letter<'_>) -> Answer {
        if !matches!(channel.kind.service().way, Way::Mail) {
            return Answer::failed(End::Refused, "only an email channel can send an email");
        }
        let mut hidden = Hidden::of(channel.secrets);
        hidden.also(email::signs_in_with(channel.public, channel.secrets));
        let mut answer =
            email::write(&self.outbound_of(channel), channel.public, channel.secrets, letter).await;
        hidden.keep(&mut answer, "");
        answer
    }

    /// One try, which ends within half a minute whatever the other side does. `home` is where people find us.
    pub async fn send(&self, channel: &Channel<'_>, notice: &Notice, home: Option<&Url>) -> Answer {
        let service = channel.kind.service();
        let link = crate::webhook::link(notice, home);
        let link = link.as_deref();
        let outbound = self.outbound_of(channel);
        let mut hidden = Hidden::of(channel.secrets);
        let Way::Http(http) = &service.way else {
            hidden.also(email::signs_in_with(channel.public, channel.secrets));
            let mut answer = email::send(&outbound, channel.public, channel.secrets, notice, link).await;
            hidden.keep(&mut answer, "");
            return answer;
        };
        let hosted = self.hosted.clone().filter(|_| matches!(http.stands, Stands::At(_)));
        let typed = http.stands.address(channel.public, channel.secrets);
        let Some(url) = hosted.or_else(|| Url::parse(typed?).ok()) else {
            return Answer::failed(End::Refused, "the address of the channel cannot be read; enter it again");
        };
        let telling = Telling { url, public: channel.public, secrets: channel.secrets, notice, home, link };
        let outgoing = (http.request)(&telling);
        hidden.also(outgoing.proofs());
        let Some(request) = outgoing.into_request() else {
            return Answer::failed(
                End::Refused,
                "a field of the channel has a character that cannot be sent; enter it again",
            );
        };
        let answered = outbound.send(service.policy, request, LIMITS).await;
        let heard = answered.as_ref().ok().map(|response| (response.status(), response.body().clone()));
        let mut answer = Answer::of(answered);
        if let Some((status, body)) = &heard {
            (http.judged)(&mut answer, &Said::of(service.title, *status, body));
        }
        if let Some(look) =
            http.look.as_ref().filter(|_| answer.end == End::Delivered && notice.kind == NoticeKind::Test)
        {
            look_closer(&outbound, service, look, &telling, &mut answer).await;
        }
        let whole = heard.map(|(_, body)| String::from_utf8_lossy(&body).into_owned());
        hidden.keep(&mut answer, whole.as_deref().unwrap_or_default());
        answer
    }
}

/// What somebody who tests a channel should know besides; what cannot be found out is not told.
async fn look_closer(
    outbound: &Outbound,
    service: &Service,
    look: &Look,
    telling: &Telling<'_>,
    answer: &mut Answer,
) {
    let Some(request) = (look.request)(telling).into_request() else { return };
    let limits = Limits { total: Duration::from_secs(5), ..LIMITS };
    if let Ok(response) = outbound.send(service.policy, request, limits).await
        && let Some(note) = (look.note)(&Said::of(service.title, response.status(), response.body()))
    {
        answer.also(note);
    }
}

/// Why a channel must not lead there, for the field that says so. A name that does not resolve now may be entered before it exists:
/// what it leads to is judged when something is sent.
fn may_lead(judged: Result<Approved, OutboundError>) -> Result<(), String> {
    match judged {
        Ok(_) => Ok(()),
        Err(error) if error.is_unresolved() => Ok(()),
        Err(OutboundError::Refused(refused)) => Err(sentence(refused)),
        Err(other) => Err(sentence(other)),
    }
}

//! The way to the other servers: NATS core, which only carries.
//!
//! One session after another, each with a connection of its own. A session is up when it has heard itself: then the password,
//! the permissions, the subscription and the way there and back are right. It ends when it has not heard itself for
//! [`DEAF`], when the connection ends, or when NATS does not take what we send. Whatever was said between two sessions is
//! missed.
//!
//! Who has only the password of NATS can make a server read afresh, and no more often than it does while NATS is away ([`Owed`]).

use std::error::Error as _;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Message, Subscriber};
use cb_core::config::ConfigError;
use cb_core::{Entropy, Secret};
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use url::Url;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::digest::unhex;
use crate::hub::{Hub, Outbox, Told};
use crate::state::{Board, Which};
use crate::unreached::NATS;
use crate::wire::{self, Judged, Note, Parcel, Peers, Said, Seal};

/// For a connection with all that belongs to it.
const CONNECT: Duration = Duration::from_secs(3);
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// Without hearing our own: the way is broken, whatever the socket says.
const DEAF: Duration = Duration::from_secs(5);
/// Longest that handing over a message may take.
const SEND: Duration = Duration::from_secs(1);
/// How often listeners read afresh while nothing is heard.
const AWAY: Duration = Duration::from_secs(3);
/// What was missed is told at most so often.
const TELL: Duration = Duration::from_millis(200);
/// Between two messages of ours: what is said meanwhile goes in one. The first one after a pause goes at once.
const GATHER: Duration = Duration::from_millis(10);
/// Beats out of turn, for servers that are new here, between two in their turn.
const GREETINGS: u32 = 16;
/// Messages that wait for us in the client.
const INBOX: usize = 8192;

/// Whom we connect to. The URL has no password: the client shows it in its log.
pub(crate) struct Address {
    url: String,
    user: Option<(String, String)>,
    token: Option<String>,
}

impl Address {
    pub fn parse(url: &Secret) -> Result<Self, ConfigError> {
        let mut url = Url::parse(url.expose()).map_err(|_| NATS.wrong("it is not a URL"))?;
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (name, password) = (plain(url.username()), url.password().map(plain));
        let bare = url.set_username("").and_then(|()| url.set_password(None));
        bare.map_err(|()| NATS.wrong("it has no host"))?;
        let (user, token) = match password {
            Some(password) => (Some((name, password)), None),
            None => (None, (!name.is_empty()).then_some(name)),
        };
        Ok(Self { url: url.into(), user, token })
    }
}

pub(crate) struct NatsLink {
    pub address: Address,
    /// What all servers of this cluster listen to; the last part of a subject is who speaks.
    pub prefix: String,
    pub seal: Seal,
    /// This run of this server.
    pub me: Uuid,
    pub hub: Arc<Hub>,
    pub outbox: Arc<Outbox>,
    pub board: Board,
    pub entropy: Arc<dyn Entropy>,
}

/// What is to be told: that something was missed.
struct Owed {
    told: Instant,
    /// Something that a server of this cluster has said.
    missed: u64,
    /// Messages that may be anybody's. They are told no more often than absence is: a flood of them is no flood of reading.
    strange: u64,
}

impl Owed {
    /// When it is to be told at the latest.
    fn due(&self) -> Option<Instant> {
        match (self.missed, self.strange) {
            (0, 0) => None,
            (0, _) => Some(self.told + AWAY),
            _ => Some(self.told + TELL),
        }
    }
}

/// What this process has sent and heard, over all sessions.
struct Numbers {
    /// Of the last message of ours.
    sent: u64,
    /// Of the last one of ours that came back.
    back: u64,
    peers: Peers,
}

impl NatsLink {
    /// For as long as the server runs.
    pub async fn keep(self, mut queue: mpsc::Receiver<(u64, Said)>) {
        let mut backoff = Backoff::new(self.entropy.clone());
        let mut owed = Owed { told: Instant::now(), missed: 0, strange: 0 };
        let mut numbers = Numbers { sent: 0, back: 0, peers: Peers::new(self.me) };
        loop {
            let ended = self.session(&mut queue, &mut backoff, &mut numbers, &mut owed).await;
            if self.hub.hears() {
                self.hub.set_hearing(false);
                self.tell(&mut owed);
            }
            self.board.down(Which::Nats, ended);
            let again = Instant::now() + backoff.next();
            self.while_away(&mut owed, sleep_until(again)).await;
        }
    }

    fn tell(&self, owed: &mut Owed) {
        let count = owed.missed.saturating_add(owed.strange).max(1);
        *owed = Owed { told: Instant::now(), missed: 0, strange: 0 };
        self.hub.missed(count);
    }

    fn tell_if_due(&self, owed: &mut Owed) {
        if owed.due().is_some_and(|due| due <= Instant::now()) {
            self.tell(owed);
        }
    }

    /// Does something, and says meanwhile to everybody here to read afresh.
    async fn while_away<T>(&self, owed: &mut Owed, what: impl Future<Output = T>) -> T {
        tokio::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return done,
                () = sleep_until(owed.told + AWAY) => self.tell(owed),
            }
        }
    }

    /// Answers why it ended, in plain words.
    async fn session(
        &self,
        queue: &mut mpsc::Receiver<(u64, Said)>,
        backoff: &mut Backoff,
        numbers: &mut Numbers,
        owed: &mut Owed,
    ) -> String {
        let (lost, mut events) = mpsc::channel(16);
        let opened = self.while_away(owed, timeout(CONNECT, self.open(lost))).await;
        let (client, mut inbox) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(why)) => return why,
            Err(_) => return NATS.is_silent(),
        };
        // Whatever waits was said to nobody.
        while queue.try_recv().is_ok() {}
        numbers.peers.hear_anew(Instant::now());
        let mut heard_myself = Instant::now();
        let (mut parcel, mut sent) = (Parcel::new(client.server_info().max_payload), Instant::now());
        let (mut beat, mut greetings) = (every(BEAT), 0);
        loop {
            let due = owed.due();
            tokio::select! {
                message = inbox.next() => {
                    let Some(message) = message else { return NATS.hung_up() };
                    match self.hear(&message, numbers, owed) {
                        From::Me => {
                            heard_myself = Instant::now();
                            if !self.hub.hears() {
                                // From here on nothing is lost unnoticed; what was before is unknown.
                                self.hub.set_hearing(true);
                                self.board.up(Which::Nats);
                                backoff.reset();
                                owed.missed += 1;
                                self.tell_if_due(owed);
                            }
                        }
                        From::New if greetings < GREETINGS => {
                            greetings += 1;
                            self.beat(numbers);
                        }
                        From::New | From::Other => {}
                    }
                }
                said = queue.recv() => {
                    let Some((seq, said)) = said else { return "The server is stopping.".to_owned() };
                    let bye = said == Said::Bye;
                    if let Some(surplus) = parcel.put(Note { seq, said }) {
                        if let Err(why) = self.send(&client, numbers, parcel.take()).await {
                            return why;
                        }
                        parcel.put(surplus);
                        sent = Instant::now();
                    }
                    if bye {
                        if let Err(why) = self.send(&client, numbers, parcel.take()).await {
                            return why;
                        }
                        sent = Instant::now();
                        let _ = timeout(SEND, client.flush()).await;
                        self.outbox.left.notify_one();
                    }
                }
                () = sleep_until(sent + GATHER), if !parcel.is_empty() => {
                    if let Err(why) = self.send(&client, numbers, parcel.take()).await {
                        return why;
                    }
                    sent = Instant::now();
                }
                why = events.recv() => {
                    return why.unwrap_or_else(|| NATS.hung_up());
                }
                _ = beat.tick() => {
                    if heard_myself.elapsed() > DEAF {
                        return "NATS does not answer.".to_owned();
                    }
                    greetings = 0;
                    self.beat(numbers);
                    if numbers.peers.fell_silent(Instant::now()) {
                        owed.missed = owed.missed.saturating_add(1);
                        self.tell_if_due(owed);
                    }
                    *self.hub.heard.lock().unwrap_or_else(PoisonError::into_inner) = numbers.peers.present();
                    if !self.hub.hears() && owed.told.elapsed() > AWAY {
                        self.tell(owed);
                    }
                }
                () = sleep_until(due.unwrap_or(sent)), if due.is_some() => self.tell(owed),
            }
        }
    }

    fn beat(&self, numbers: &mut Numbers) {
        self.outbox.repeat(Said::Beat { knows: numbers.peers.next_names(Instant::now()) });
    }

    async fn open(&self, lost: mpsc::Sender<String>) -> Result<(Client, Subscriber), String> {
        let mut options = ConnectOptions::new()
            .name("circuit-breaker")
            .connection_timeout(CONNECT)
            .ping_interval(DEAF)
            .ignore_discovered_servers()
            .subscription_capacity(INBOX)
            // Each connection is a session of its own: what the client does by itself after one is lost is not waited for.
            .max_reconnects(1)
            .reconnect_delay_callback(|_| Duration::ZERO)
            .event_callback(move |event| {
                let lost = lost.clone();
                async move {
                    use async_nats::Event;
                    let why = match event {
                        Event::Connected | Event::SlowConsumer(_) | Event::LameDuckMode => return,
                        Event::ServerError(error) => refused(&error.to_string()),
                        Event::Disconnected | Event::Draining | Event::Closed | Event::ClientError(_) => {
                            NATS.hung_up()
                        }
                    };
                    let _ = lost.try_send(why);
                }
            });
        if let Some((user, password)) = &self.address.user {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &self.address.token {
            options = options.token(token.clone());
        }
        let client = options.connect(self.address.url.as_str()).await.map_err(|error| words(&error))?;
        let everybody = format!("{}*", self.prefix);
        let inbox = client.subscribe(everybody).await.map_err(|_| NATS.hung_up())?;
        Ok((client, inbox))
    }

    async fn send(&self, client: &Client, numbers: &mut Numbers, notes: Vec<u8>) -> Result<(), String> {
        let subject = format!("{}{}", self.prefix, self.me.simple());
        numbers.sent += 1;
        let message = self.seal.close(self.me, numbers.sent, &notes);
        match timeout(SEND, client.publish(subject, message.into())).await {
            Ok(Ok(())) => Ok(()),
            // Longer than this NATS permits since is a gap, too.
            Ok(Err(error)) if error.kind() == async_nats::PublishErrorKind::MaxPayloadExceeded => Ok(()),
            Ok(Err(_)) => Err(NATS.hung_up()),
            Err(_) => Err("NATS does not take messages.".to_owned()),
        }
    }

    fn hear(&self, message: &Message, numbers: &mut Numbers, owed: &mut Owed) -> From {
        let who = message.subject.strip_prefix(&*self.prefix).and_then(|who| Uuid::try_parse(who).ok());
        let opened = who.and_then(|who| Some((who, self.seal.open(who, &message.payload)?)));
        let Some((who, (number, notes))) = opened else {
            self.refuse(owed);
            return From::Other;
        };
        if who == self.me {
            // A recording of ours does not show that the way there is still good.
            if number <= numbers.back {
                self.refuse(owed);
                return From::Other;
            }
            numbers.back = number;
            return From::Me;
        }
        let from = if numbers.peers.knows(who) { From::Other } else { From::New };
        let notes = wire::read(notes);
        match numbers.peers.judge(who, number, notes.as_deref().unwrap_or_default(), Instant::now()) {
            Judged::Again => self.refuse(owed),
            // What is lost of a server that is there shows as a gap as soon as it is believed.
            Judged::Unproven => {
                if notes.is_none_or(|notes| notes.iter().any(|note| note.said.counts())) {
                    self.refuse(owed);
                }
            }
            Judged::TakeIn => match notes {
                Some(notes) => notes.into_iter().for_each(|note| self.take_in(who, note, numbers, owed)),
                None => self.miss(1, owed),
            },
        }
        from
    }

    /// It may be anybody's.
    fn refuse(&self, owed: &mut Owed) {
        self.hub.unheard.refused.one();
        owed.strange = owed.strange.saturating_add(1);
        self.tell_if_due(owed);
    }

    /// A server of this cluster has said something that is not known here.
    fn miss(&self, count: u64, owed: &mut Owed) {
        self.hub.unheard.missed.add(count);
        self.hub.forget(None, None);
        owed.missed = owed.missed.saturating_add(count);
        self.tell_if_due(owed);
    }

    fn take_in(&self, who: Uuid, note: Note, numbers: &mut Numbers, owed: &mut Owed) {
        let missing = numbers.peers.missing(who, &note);
        if missing > 0 {
            self.miss(missing, owed);
        }
        match note.said {
            Said::Beat { .. } | Said::Bye => {}
            Said::Event(event) => self.hub.tell(Told::Event(event)),
            Said::Wake(kind) => self.hub.wake(&kind),
            Said::Forget { cache, key } => {
                // A key that is none was meant to be some: all are forgotten.
                self.hub.forget(Some(&cache), key.as_deref().and_then(unhex));
            }
        }
    }
}

/// Whose a message was.
enum From {
    Me,
    /// A server that was never heard before: a beat lets it know this one.
    New,
    Other,
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn words(error: &ConnectError) -> String {
    let source = error.source();
    if let Some(first) = source.and_then(|source| source.downcast_ref::<ConnectError>()) {
        return words(first);
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            NATS.refuses_password()
        }
        ConnectErrorKind::ServerParse => NATS.is_another_service(),
        ConnectErrorKind::TimedOut => NATS.is_silent(),
        ConnectErrorKind::Tls => NATS.fails_in_tls(&source.map(ToString::to_string).unwrap_or_default()),
        _ => match source.and_then(|source| source.downcast_ref::<io::Error>()) {
            None if error.kind() == ConnectErrorKind::Dns => NATS.has_no_address(),
            Some(error) => NATS.is_unreachable(error),
            None => format!(
                "NATS cannot be used ({}).",
                source.map_or_else(|| error.to_string(), ToString::to_string)
            ),
        },
    }
}

/// What NATS says of a connection that it is about to end, or of a permission.
fn refused(error: &str) -> String {
    let error = error.to_ascii_lowercase();
    if error.contains("permissions violation") {
        "NATS does not permit the user of CB_NATS_URL to publish and subscribe to circuit-breaker.>."
            .to_owned()
    } else if error.contains("authorization") || error.contains("authentication") {
        NATS.refuses_password()
    } else if error.contains("slow consumer") {
        "NATS closed the connection, because this server did not read fast enough.".to_owned()
    } else {
        "NATS ended the connection with an error.".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;

    use super::Address;

    #[test]
    fn the_address_has_no_password_in_it_and_the_password_no_percent_signs() {
        let parse = |url: &str| Address::parse(&Secret::new(url.to_owned())).expect("a URL");
        let address = parse("tls://c%40b:p%2Fw@n.lan:5222");
        assert_eq!(address.url, "tls://n.lan:5222");
        assert_eq!((address.user, address.token), (Some(("c@b".to_owned(), "p/w".to_owned())), None));
        let address = parse("nats://t%3Ak@n.lan");
        assert_eq!((address.url.as_str(), address.token.as_deref()), ("nats://n.lan", Some("t:k")));
        assert!(parse("nats://n.lan").user.is_none());
    }
}

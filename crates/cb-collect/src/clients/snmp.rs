//! SNMP v2c (RFC 3416) and v3 with the user-based security model (RFC 3414): asks a device what it is. Writes nothing.
//!
//! `snmp2` does the cryptography; the datagrams go over our own socket, and a device's reports are read here, for they alone say
//! which of user, password and level was wrong.

use std::time::Duration;

use cb_core::Secret;
use cb_net::dial::{DialError, UdpPeer};
use cb_net::judge::Policy;
use snmp2::v3::{Auth as Level, AuthProtocol, Cipher, KeyExtension, Security};
use snmp2::{AsnReader, MessageType, Pdu, Value};

use super::{Device, Failure, Outcome, Proof};

/// How long one question waits, and how often it is asked.
const WAIT: Duration = Duration::from_millis(1500);
const TRIES: usize = 2;
/// The largest datagram.
const LARGEST: usize = 65_507;

/// `1.3.6.1.2.1.1.N.0`, the system group (RFC 3418).
const SYSTEM: &[(u8, &str)] = &[(5, "Name"), (1, "Description"), (6, "Location")];
/// `usmStats`, 1.3.6.1.6.3.15.1.1 (RFC 3414, 5).
const USM_STATS: &[u8] = &[0x2b, 6, 1, 6, 3, 15, 1, 1];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    Des,
    Aes128,
    Aes192,
    Aes256,
}

/// A user of v3: with nothing, with a password, or with two.
pub struct User<'a> {
    pub name: &'a str,
    pub context: &'a str,
    pub auth: Option<(Auth, &'a Secret)>,
    /// Only with `auth`.
    pub privacy: Option<(Privacy, &'a Secret)>,
}

impl User<'_> {
    fn level(&self) -> &'static str {
        match (self.auth, self.privacy) {
            (None, _) => "without authentication",
            (Some(_), None) => "without encryption",
            (Some(_), Some(_)) => "with encryption",
        }
    }
}

/// Asks with a community.
pub async fn prove_v2c(device: Device<'_>, id: [u8; 4], community: &Secret) -> Outcome {
    let peer = open(device).await?;
    let id = number(id);
    let message = sequence(&[
        &integer(1),
        &tagged(0x04, community.expose().as_bytes()),
        &get(id, SYSTEM.iter().map(|(last, _)| *last)),
    ]);
    let answer = exchange(&peer, &message, |bytes| {
        let pdu = Pdu::from_bytes(bytes).ok()?;
        let ours =
            pdu.message_type == MessageType::Response && pdu.req_id == id && community.matches(pdu.community);
        ours.then(|| told(&pdu))
    });
    answer.await.map_err(|why| unanswered(device, &why, "SNMP may be off, or the community may be wrong."))
}

/// Asks as a user: learns the engine, then asks with the keys that belong to it.
pub async fn prove_v3(device: Device<'_>, id: [u8; 4], user: &User<'_>) -> Outcome {
    let peer = open(device).await?;
    let mut id = number(id);
    let hello = plain(id, &Engine::default(), "", "", &[]);
    let silence = "SNMP may be off, or the device may not support version 3.";
    let engine = exchange(&peer, &hello, |bytes| {
        let answer = Answer::read(bytes)?;
        (answer.id == id && !answer.engine.id.is_empty()).then_some(answer.engine)
    });
    let mut engine = engine.await.map_err(|why| unanswered(device, &why, silence))?;
    // Of the two ways to lengthen a short key (drafts, both in use) the first is net-snmp's.
    let mut ways = [KeyExtension::Blumenthal, KeyExtension::Reeder].into_iter();
    let mut way = ways.next().unwrap_or(KeyExtension::Blumenthal);
    for _ in 0..4 {
        id = id.wrapping_add(1) & i32::MAX;
        let mut security = security(user, &engine, way).map_err(|_| damaged(device))?;
        let question = question(id, &engine, user, &security).map_err(|_| damaged(device))?;
        let heard = exchange(&peer, &question, |bytes| {
            // A report names what was wrong; one that is not signed can only make us say so.
            let answer = Answer::read(bytes)?;
            if let Some(report) = answer.report {
                return Some(Heard::Report(report, answer.engine));
            }
            match Pdu::from_bytes_with_security(bytes, Some(&mut security)) {
                Ok(pdu) if pdu.req_id == id && pdu.message_type == MessageType::Response => {
                    // RFC 3416, 3: authorizationError.
                    Some(if pdu.error_status == 16 { Heard::Denied } else { Heard::Answer(told(&pdu)) })
                }
                _ => None,
            }
        });
        let heard = match heard.await {
            // Whoever has lengthened the key in the other way only sees noise, and most say nothing then.
            Err(DialError::TimedOut) | Ok(Heard::Report(Report::Decryption, _)) if short_key(user) => {
                match ways.next() {
                    Some(other) => {
                        way = other;
                        continue;
                    }
                    None => return Err(Failure::new(Report::Decryption.reason(user))),
                }
            }
            heard => heard.map_err(|why| unanswered(device, &why, silence_after_hello(user)))?,
        };
        match heard {
            Heard::Answer(proof) => return Ok(proof),
            Heard::Denied => {
                return Err(Failure::new(format!(
                    "The device knows {} and lets it read nothing {}. Choose the level that is set there, or give it the system group.",
                    user.name,
                    user.level()
                )));
            }
            Heard::Report(Report::Time, now) => engine = now,
            Heard::Report(report, _) => return Err(Failure::new(report.reason(user))),
        }
    }
    Err(Failure::new(format!("{} does not accept our clock; restart its SNMP agent.", device.host)))
}

enum Heard {
    Answer(Proof),
    Denied,
    Report(Report, Engine),
}

/// What a device reports instead of an answer (RFC 3414, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Level,
    Time,
    User,
    Engine,
    Digest,
    Decryption,
    Other,
}

impl Report {
    fn reason(self, user: &User<'_>) -> String {
        let name = user.name;
        match self {
            Report::User => format!("The device does not know the user {name}."),
            Report::Digest => format!(
                "The device refuses the authentication of {name}: the password is wrong, or another authentication than {:?} is set there.",
                user.auth.map_or(Auth::Md5, |(auth, _)| auth)
            ),
            Report::Decryption => {
                format!(
                    "The device cannot decrypt what {name} sends: the encryption password is wrong, or another encryption is set there."
                )
            }
            Report::Level => {
                format!(
                    "The device does not accept {name} {}; choose the setting of the device.",
                    user.level()
                )
            }
            Report::Time => "The device does not accept our clock; restart its SNMP agent.".to_owned(),
            Report::Engine | Report::Other => {
                "The device reports an error of SNMP v3 that says nothing of the user.".to_owned()
            }
        }
    }
}

/// Who answers, and its clock.
#[derive(Debug, Clone, Default)]
struct Engine {
    id: Vec<u8>,
    boots: i64,
    time: i64,
}

/// The part of a v3 message that is never encrypted, and its report if that is one.
struct Answer {
    id: i32,
    engine: Engine,
    report: Option<Report>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let message = AsnReader::from_bytes(bytes).read_raw(0x30).ok()?;
        let mut message = AsnReader::from_bytes(message);
        if message.read_asn_integer().ok()? != 3 {
            return None;
        }
        let mut global = AsnReader::from_bytes(message.read_raw(0x30).ok()?);
        let id = i32::try_from(global.read_asn_integer().ok()?).ok()?;
        let _largest = global.read_asn_integer().ok()?;
        let flags = global.read_asn_octetstring().ok()?.first().copied()?;
        let parameters = AsnReader::from_bytes(message.read_asn_octetstring().ok()?).read_raw(0x30).ok()?;
        let mut parameters = AsnReader::from_bytes(parameters);
        let engine = Engine {
            id: parameters.read_asn_octetstring().ok()?.to_vec(),
            boots: parameters.read_asn_integer().ok()?,
            time: parameters.read_asn_integer().ok()?,
        };
        // RFC 3411, 5: 5 to 32 bytes. Longer ones would only cost us time.
        if engine.id.len() > 32 || engine.boots < 0 || engine.time < 0 {
            return None;
        }
        let encrypted = flags & 2 != 0;
        let report = if encrypted { None } else { report(&mut message) };
        Some(Self { id, engine, report })
    }
}

/// The report of a plain scoped PDU; none when it is another one.
fn report(message: &mut AsnReader<'_>) -> Option<Report> {
    let mut scoped = AsnReader::from_bytes(message.read_raw(0x30).ok()?);
    scoped.read_asn_octetstring().ok()?;
    scoped.read_asn_octetstring().ok()?;
    let mut pdu = AsnReader::from_bytes(scoped.read_raw(0xa8).ok()?);
    for _ in 0..3 {
        pdu.read_asn_integer().ok()?;
    }
    let bindings = AsnReader::from_bytes(pdu.read_raw(0x30).ok()?).read_raw(0x30).ok()?;
    let name = AsnReader::from_bytes(bindings).read_raw(0x06).ok()?;
    let [which, 0] = name.strip_prefix(USM_STATS)? else { return Some(Report::Other) };
    Some(match which {
        1 => Report::Level,
        2 => Report::Time,
        3 => Report::User,
        4 => Report::Engine,
        5 => Report::Digest,
        6 => Report::Decryption,
        _ => Report::Other,
    })
}

fn short_key(user: &User<'_>) -> bool {
    let wanted = match user.privacy {
        Some((Privacy::Aes192, _)) => 24,
        Some((Privacy::Aes256, _)) => 32,
        _ => 16,
    };
    let given = match user.auth {
        Some((Auth::Md5, _)) => 16,
        Some((Auth::Sha1, _)) => 20,
        Some((Auth::Sha224, _)) => 28,
        _ => 32,
    };
    given < wanted
}

fn security(user: &User<'_>, engine: &Engine, way: KeyExtension) -> Result<Security, snmp2::Error> {
    let password = user.auth.map_or(&[][..], |(_, password)| password.expose().as_bytes());
    let protocol = match user.auth.map(|(auth, _)| auth) {
        Some(Auth::Md5) | None => AuthProtocol::Md5,
        Some(Auth::Sha1) => AuthProtocol::Sha1,
        Some(Auth::Sha224) => AuthProtocol::Sha224,
        Some(Auth::Sha256) => AuthProtocol::Sha256,
        Some(Auth::Sha384) => AuthProtocol::Sha384,
        Some(Auth::Sha512) => AuthProtocol::Sha512,
    };
    let level = match (user.auth, user.privacy) {
        (None, _) => Level::NoAuthNoPriv,
        (Some(_), None) => Level::AuthNoPriv,
        (Some(_), Some((privacy, password))) => Level::AuthPriv {
            cipher: match privacy {
                Privacy::Des => Cipher::Des,
                Privacy::Aes128 => Cipher::Aes128,
                Privacy::Aes192 => Cipher::Aes192,
                Privacy::Aes256 => Cipher::Aes256,
            },
            privacy_password: password.expose().as_bytes().to_vec(),
        },
    };
    Security::new(user.name.as_bytes(), password)
        .with_auth_protocol(protocol)
        .with_auth(level)
        .with_context_name(user.context)
        .with_key_extension_method(way)
        .with_engine_boots_and_time(engine.boots, engine.time)
        .with_engine_id(&engine.id)
}

/// The question, signed and encrypted as `security` says. `snmp2` makes such a message only of one that it has read.
fn question(id: i32, engine: &Engine, user: &User<'_>, security: &Security) -> Result<Vec<u8>, snmp2::Error> {
    let wanted: Vec<u8> = SYSTEM.iter().map(|(last, _)| *last).collect();
    let still = Engine { boots: 0, time: 0, ..engine.clone() };
    let message = plain(id, &still, user.name, user.context, &wanted);
    let mut nobody =
        Security::new(user.name.as_bytes(), b"").with_auth(Level::NoAuthNoPriv).with_engine_id(&engine.id)?;
    Pdu::from_bytes_with_security(&message, Some(&mut nobody))?.to_bytes_with_security(Some(security))
}

/// A v3 message that is neither signed nor encrypted.
fn plain(id: i32, engine: &Engine, user: &str, context: &str, wanted: &[u8]) -> Vec<u8> {
    // Wants a report (RFC 3412, 6.4); the user-based model is the third.
    let global = sequence(&[&integer(id.into()), &integer(65_507), &tagged(0x04, &[4]), &integer(3)]);
    let parameters = sequence(&[
        &tagged(0x04, &engine.id),
        &integer(engine.boots),
        &integer(engine.time),
        &tagged(0x04, user.as_bytes()),
        &tagged(0x04, &[]),
        &tagged(0x04, &[]),
    ]);
    let scoped = sequence(&[
        &tagged(0x04, &engine.id),
        &tagged(0x04, context.as_bytes()),
        &get(id, wanted.iter().copied()),
    ]);
    sequence(&[&integer(3), &global, &tagged(0x04, &parameters), &scoped])
}

/// A GetRequest of `1.3.6.1.2.1.1.N.0`.
fn get(id: i32, wanted: impl Iterator<Item = u8>) -> Vec<u8> {
    let bindings: Vec<u8> =
        wanted.flat_map(|last| tagged(0x30, &[0x06, 8, 0x2b, 6, 1, 2, 1, 1, last, 0, 0x05, 0])).collect();
    let parts = [integer(id.into()), integer(0), integer(0), tagged(0x30, &bindings)];
    tagged(0xa0, &parts.concat())
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 128 {
        out.extend(u8::try_from(length));
    } else {
        // Nothing here reaches 64 KiB: a community has at most 256 bytes.
        out.push(0x82);
        out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
    out.extend_from_slice(content);
    out
}

/// In as few bytes as it needs (X.690, 8.3.2).
fn integer(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let spare = bytes.windows(2).take_while(|two| matches!(two, [0, low] if *low < 0x80)).count();
    tagged(0x02, bytes.get(spare..).unwrap_or(&bytes))
}

/// Positive, so that both sides write it alike.
fn number(id: [u8; 4]) -> i32 {
    i32::from_be_bytes(id) & i32::MAX
}

fn told(pdu: &Pdu<'_>) -> Proof {
    let mut facts: Vec<Option<String>> = vec![None; SYSTEM.len()];
    for (name, value) in pdu.varbinds.clone().take(16) {
        let Value::OctetString(text) = value else { continue };
        let at = SYSTEM.iter().position(|(last, _)| name.as_bytes() == [0x2b, 6, 1, 2, 1, 1, *last, 0]);
        if let Some(fact) = at.and_then(|at| facts.get_mut(at)) {
            *fact = Some(String::from_utf8_lossy(text).into_owned());
        }
    }
    let proof = SYSTEM.iter().zip(facts).fold(Proof::default(), |proof, ((_, name), said)| {
        proof.with(name, said.as_deref().unwrap_or_default())
    });
    if proof.facts.is_empty() {
        proof.with("Note", "it is not allowed to read the system group")
    } else {
        proof
    }
}

async fn open(device: Device<'_>) -> Result<UdpPeer, Failure> {
    match device.outbound.udp(Policy::Lan, device.host, device.port).await {
        Ok(peer) => Ok(peer),
        Err(error) => Err(device.failed(error).await),
    }
}

/// Asks until something comes that `read` takes; what it does not take is somebody else's or late.
async fn exchange<T>(
    peer: &UdpPeer,
    question: &[u8],
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<T, DialError> {
    let mut buffer = vec![0; LARGEST];
    for _ in 0..TRIES {
        peer.send(question).await?;
        let heard = tokio::time::timeout(WAIT, async {
            loop {
                let length = peer.receive(&mut buffer).await?;
                if let Some(answer) = read(buffer.get(..length).unwrap_or_default()) {
                    return Ok(answer);
                }
            }
        });
        if let Ok(heard) = heard.await {
            return heard;
        }
    }
    Err(DialError::TimedOut)
}

fn unanswered(device: Device<'_>, why: &DialError, silence: &str) -> Failure {
    let (host, port) = (device.host, device.port);
    match why {
        DialError::Refused => {
            Failure::new(format!("Nothing answers at {host} on port {port} (UDP). Check that SNMP is on."))
        }
        DialError::TimedOut => device.silent(silence),
        other => Failure::new(format!("No way to {host} on port {port}: {other}.")),
    }
}

/// The engine has answered, so it is there.
fn silence_after_hello(user: &User<'_>) -> &'static str {
    if user.privacy.is_some() {
        "It answered our greeting and not this user: the encryption password is wrong, or another encryption is set there."
    } else {
        "It answered our greeting and not this user."
    }
}

fn damaged(device: Device<'_>) -> Failure {
    Failure::new(format!("{} says something of itself that SNMP v3 does not know.", device.host))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(65_507), [2, 3, 0, 0xff, 0xe3]);
        assert_eq!(integer(i64::from(i32::MAX)), [2, 4, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(tagged(4, &[7; 200])[..4], [4, 0x82, 0, 200]);
    }

    #[test]
    fn a_report_is_read_for_what_it_says() {
        let engine = Engine { id: b"\x80\0\x1f\x88\x80abc".to_vec(), boots: 3, time: 77 };
        let mut scoped = vec![];
        for (which, report) in
            [(1u8, Report::Level), (3, Report::User), (5, Report::Digest), (9, Report::Other)]
        {
            let mut oid = USM_STATS.to_vec();
            oid.extend([which, 0]);
            let binding = sequence(&[&tagged(6, &oid), &tagged(0x41, &[1])]);
            let pdu = [integer(9), integer(0), integer(0), sequence(&[&binding])].concat();
            scoped.clear();
            scoped.extend(sequence(&[&tagged(4, &engine.id), &tagged(4, b""), &tagged(0xa8, &pdu)]));
            let question = plain(9, &engine, "m", "", &[]);
            let whole = AsnReader::from_bytes(&question).read_raw(0x30).expect("a sequence");
            let tail =
                sequence(&[&tagged(4, &engine.id), &tagged(4, b""), &get(9, std::iter::empty())]).len();
            let message = sequence(&[&whole[..whole.len() - tail], &scoped]);
            let answer = Answer::read(&message).expect("an answer");
            assert_eq!((answer.id, answer.report), (9, Some(report)));
            assert_eq!(
                (answer.engine.id, answer.engine.boots, answer.engine.time),
                (engine.id.clone(), 3, 77)
            );
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Answer::read(&bytes);
            if let Ok(pdu) = Pdu::from_bytes(&bytes) {
                let _ = told(&pdu);
            }
        }

        #[test]
        fn a_bent_message_is_survived(at in 0usize..120, byte: u8) {
            let engine = Engine { id: b"\x80\0\x1f\x88\x80abc".to_vec(), boots: 3, time: 77 };
            let mut message = plain(9, &engine, "monitor", "", &[1, 5]);
            if let Some(place) = message.get_mut(at) {
                *place = byte;
            }
            let _ = Answer::read(&message);
            let mut security = Security::new(b"monitor", b"12345678").with_engine_id(&engine.id).expect("keys");
            let _ = Pdu::from_bytes_with_security(&message, Some(&mut security));
        }
    }
}

//! SNMP v2c (RFC 3416) with the community `public`: what the device says it is. Reads five values, writes none.

use super::exchange::{Answer, Ask};
use crate::clean;

/// `1.3.6.1.2.1.1.N.0`, the system group (RFC 3418), by N, with the fact's name.
const SYSTEM: &[(u8, &str)] = &[(1, "sysdescr"), (2, "sysobjectid"), (5, "sysname"), (6, "syslocation")];

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let id = ask.random::<4>().map(|b| b & 0x7f | 1);
    answer(&ask.udp(&request(id)).await?, id)
}

fn request(id: [u8; 4]) -> Vec<u8> {
    let mut bindings = Vec::new();
    for (last, _) in SYSTEM {
        let oid = [0x06, 8, 0x2b, 6, 1, 2, 1, 1, *last, 0, 0x05, 0];
        put(&mut bindings, 0x30, &oid);
    }
    let mut pdu = Vec::new();
    put(&mut pdu, 0x02, &id);
    put(&mut pdu, 0x02, &[0]);
    put(&mut pdu, 0x02, &[0]);
    put(&mut pdu, 0x30, &bindings);
    let mut message = Vec::new();
    put(&mut message, 0x02, &[1]);
    put(&mut message, 0x04, b"public");
    put(&mut message, 0xa0, &pdu);
    let mut out = Vec::new();
    put(&mut out, 0x30, &message);
    out
}

/// BER; nothing here reaches 128 bytes.
fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    out.push(u8::try_from(content.len()).unwrap_or(127));
    out.extend_from_slice(content);
}

/// Tag, content and what follows.
fn take(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=127 => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(super::exchange::u16_at(rest, 0)?), rest.get(2..)?),
        _ => return None,
    };
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}

fn answer(bytes: &[u8], id: [u8; 4]) -> Option<Answer> {
    let (0x30, message, _) = take(bytes)? else { return None };
    let (_, _version, rest) = take(message)?;
    let (_, _community, rest) = take(rest)?;
    let (0xa2, pdu, _) = take(rest)? else { return None };
    let (_, request_id, rest) = take(pdu)?;
    if request_id != id {
        return None;
    }
    let (_, _status, rest) = take(rest)?;
    let (_, _index, rest) = take(rest)?;
    let (_, mut bindings, _) = take(rest)?;
    let mut answer = Answer::new("snmp", "snmp").field("protocol", "snmp");
    for _ in 0..16 {
        let Some((_, binding, rest)) = take(bindings) else { break };
        bindings = rest;
        let Some((_, oid, value)) = take(binding) else { continue };
        let Some((tag, value, _)) = take(value) else { continue };
        let Some((_, name)) = SYSTEM.iter().find(|(last, _)| oid == [0x2b, 6, 1, 2, 1, 1, *last, 0]) else {
            continue;
        };
        match tag {
            0x04 => answer = answer.field(name, clean::bytes(value, 250)),
            0x06 => answer = answer.field(name, oid_text(value)),
            _ => {}
        }
    }
    let name = answer.get("sysname").map(str::to_owned);
    Some(answer.named(name.as_deref()))
}

fn oid_text(bytes: &[u8]) -> String {
    let Some((&first, rest)) = bytes.split_first() else { return String::new() };
    let mut text = format!("{}.{}", first / 40, first % 40);
    let mut number = 0u64;
    for byte in rest.iter().take(64) {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            text.push('.');
            text.push_str(&number.to_string());
            number = 0;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_system_group_is_read() {
        let id = [1, 2, 3, 4];
        let mut value = vec![0x06, 8, 0x2b, 6, 1, 2, 1, 1, 5, 0, 0x04, 3];
        value.extend(b"nas");
        let mut bindings = Vec::new();
        put(&mut bindings, 0x30, &value);
        let mut pdu = Vec::new();
        put(&mut pdu, 0x02, &id);
        put(&mut pdu, 0x02, &[0]);
        put(&mut pdu, 0x02, &[0]);
        put(&mut pdu, 0x30, &bindings);
        let mut message = Vec::new();
        put(&mut message, 0x02, &[1]);
        put(&mut message, 0x04, b"public");
        put(&mut message, 0xa2, &pdu);
        let mut bytes = Vec::new();
        put(&mut bytes, 0x30, &message);
        assert_eq!(answer(&bytes, id).expect("an answer").hostname.as_deref(), Some("nas"));
        assert_eq!(answer(&bytes, [9; 4]), None, "an answer to somebody else");
        assert_eq!(oid_text(&[0x2b, 6, 1, 4, 1, 0xbf, 0x08]), "1.3.6.1.4.1.8072");
        assert!(request(id).len() < 128);
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = answer(&bytes, [1; 4]);
            let _ = oid_text(&bytes);
        }
    }
}

//! Just enough DNS (RFC 1035) for questions about names: one question out, all records back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::clean;

/// Record types that are read.
pub(crate) const PTR: u16 = 12;
pub(crate) const TXT: u16 = 16;

/// Most records that are read from one message.
const MAX_RECORDS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub name: String,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Address(IpAddr),
    /// PTR or CNAME.
    Name(String),
    /// Target and port.
    Service(String, u16),
    Text(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub id: u16,
    /// 0 is "no error", 3 "no such name".
    pub code: u8,
    pub records: Vec<Record>,
}

/// One question for `name`, a dotted name without strange labels; recursion is desired.
pub(crate) fn question(id: u16, name: &str, kind: u16, class: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        out.push(u8::try_from(label.len()).unwrap_or_default());
        out.extend_from_slice(label);
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend(class.to_be_bytes());
    out
}

/// The name that belongs to an address (RFC 1035, 3.5; RFC 3596, 2.5).
pub(crate) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(a) => {
            let nibbles: Vec<String> =
                a.octets().iter().rev().map(|b| format!("{:x}.{:x}", b & 15, b >> 4)).collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    }
}

/// Reads a response.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message> {
    let number = |at: usize| super::probes::u16_at(bytes, at);
    let (id, flags) = (number(0)?, number(2)?);
    if flags & 0x8000 == 0 {
        return None;
    }
    let questions = number(4)?;
    let records = usize::from(number(6)?) + usize::from(number(8)?) + usize::from(number(10)?);
    let mut at = 12;
    for _ in 0..questions.min(16) {
        at = name(bytes, at)?.1 + 4;
    }
    let mut message = Message { id, code: u8::try_from(flags & 15).unwrap_or_default(), records: Vec::new() };
    for _ in 0..records.min(MAX_RECORDS) {
        // What is cut off is missing; what came before it is still true.
        let Some((record, next)) = record(bytes, at) else { break };
        message.records.extend(record);
        at = next;
    }
    Some(message)
}

fn record(bytes: &[u8], at: usize) -> Option<(Option<Record>, usize)> {
    let (owner, at) = name(bytes, at)?;
    let kind = super::probes::u16_at(bytes, at)?;
    let length = usize::from(super::probes::u16_at(bytes, at + 8)?);
    let start = at + 10;
    let content = bytes.get(start..start + length)?;
    let data = match kind {
        1 => <[u8; 4]>::try_from(content).ok().map(|o| Data::Address(Ipv4Addr::from(o).into())),
        28 => <[u8; 16]>::try_from(content).ok().map(|o| Data::Address(Ipv6Addr::from(o).into())),
        5 | PTR => name(bytes, start).map(|(n, _)| Data::Name(n)),
        33 => super::probes::u16_at(content, 4)
            .and_then(|port| Some(Data::Service(name(bytes, start + 6)?.0, port))),
        TXT => Some(Data::Text(texts(content))),
        _ => None,
    };
    Some((data.map(|data| Record { name: owner, data }), start + length))
}

fn texts(mut rest: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let length = usize::from(length).min(after.len());
        texts.push(clean::bytes(&after[..length], 255));
        rest = &after[length..];
        if texts.len() >= 40 {
            break;
        }
    }
    texts
}

/// A name, with its pointers followed, and where the reading goes on. Dots inside a label become spaces' equals: the
/// text is for people.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut after = None;
    for _ in 0..128 {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some((clean::line(&text, 255), after.unwrap_or(at + 1))),
            1..=63 => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&String::from_utf8_lossy(bytes.get(at + 1..at + 1 + length)?));
                at += 1 + length;
                if text.len() > 1_024 {
                    return None;
                }
            }
            0xc0.. => {
                let target = usize::from(super::probes::u16_at(bytes, at)? & 0x3fff);
                after.get_or_insert(at + 2);
                // A pointer leads backwards; that, and the bound of the loop, end every chain.
                if target >= at {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reverse_answer_is_read() {
        let mut bytes = question(7, "10.1.77.10.in-addr.arpa", PTR, 1);
        bytes[2] = 0x81;
        bytes[7] = 1;
        bytes.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, 5, 3]);
        bytes.extend(b"nas\0");
        let message = parse(&bytes).expect("a message");
        assert_eq!(message.id, 7);
        assert_eq!(
            message.records,
            [Record { name: "10.1.77.10.in-addr.arpa".to_owned(), data: Data::Name("nas".to_owned()) }]
        );
    }

    #[test]
    fn addresses_have_their_reverse_names() {
        assert_eq!(reverse_name(IpAddr::from([10, 77, 1, 2])), "2.1.77.10.in-addr.arpa");
        let v6 = reverse_name("2001:db8::1".parse().expect("address"));
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
    }

    #[test]
    fn pointers_that_run_in_a_circle_end() {
        let mut bytes = vec![0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend([0xc0, 12, 0, 12]);
        assert_eq!(parse(&bytes).map(|m| m.records), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_message_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut message = vec![0, 1, 0x80, 0, 0, 1, 0, 9, 0, 9, 0, 9];
            message.extend(&bytes);
            let _ = parse(&message);
            let _ = parse(&bytes);
        }
    }
}

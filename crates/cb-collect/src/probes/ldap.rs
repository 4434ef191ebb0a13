//! LDAP (RFC 4511): an anonymous look at the root entry, which every directory shows.

use super::exchange::{Answer, Ask};
use crate::clean;

/// Search the root entry, base scope, `(objectClass=*)`, attributes `vendorName`, `dnsHostName`, `defaultNamingContext`.
fn request() -> Vec<u8> {
    let mut attributes = Vec::new();
    for name in ["vendorName", "dnsHostName", "defaultNamingContext", "namingContexts"] {
        put(&mut attributes, 0x04, name.as_bytes());
    }
    let mut search = Vec::new();
    put(&mut search, 0x04, b"");
    put(&mut search, 0x0a, &[0]);
    put(&mut search, 0x0a, &[0]);
    put(&mut search, 0x02, &[8]);
    put(&mut search, 0x02, &[2]);
    put(&mut search, 0x01, &[0]);
    put(&mut search, 0x87, b"objectClass");
    put(&mut search, 0x30, &attributes);
    let mut message = Vec::new();
    put(&mut message, 0x02, &[1]);
    put(&mut message, 0x63, &search);
    let mut out = Vec::new();
    put(&mut out, 0x30, &message);
    out
}

/// BER with lengths below 256.
fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    if length >= 128 {
        out.push(0x81);
    }
    out.push(length);
    out.extend_from_slice(content);
}

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    answer(&ask.tcp(&request(), 8_192, |b| b.len() > 20 && contains(b, &[0x65])).await?)
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    // A sequence that holds message id 1 and a search result entry (0x64) or its end (0x65).
    let at = bytes.get(..12)?.windows(3).position(|w| w == [2, 1, 1])?;
    if bytes[0] != 0x30 || !matches!(bytes.get(at + 3)?, 0x64 | 0x65) {
        return None;
    }
    let context = value(bytes, b"defaultNamingContext").or_else(|| value(bytes, b"namingContexts"));
    let host = value(bytes, b"dnsHostName");
    Some(
        Answer::new("ldap", "ldap")
            .field("protocol", "ldap")
            .maybe("vendor", value(bytes, b"vendorName"))
            .maybe("context", context)
            .maybe("host", host.as_deref())
            .named(host.as_deref()),
    )
}

/// The first value of an attribute: its name, a set, an octet string.
fn value(bytes: &[u8], name: &[u8]) -> Option<String> {
    let at = bytes.windows(name.len()).position(|w| w.eq_ignore_ascii_case(name))? + name.len();
    let rest = bytes.get(at..)?;
    let string = rest.iter().take(8).position(|b| *b == 0x04)?;
    let length = usize::from(*rest.get(string + 1)?);
    clean::some(&String::from_utf8_lossy(rest.get(string + 2..string + 2 + length)?), 200)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_is_read() {
        let mut entry = vec![0x30, 60, 2, 1, 1, 0x64, 50, 4, 0, 0x30, 40, 0x30, 30, 4, 10];
        entry.extend(b"vendorName");
        entry.extend([0x31, 10, 4, 8]);
        entry.extend(b"OpenLDAP");
        assert_eq!(answer(&entry).expect("an answer").get("vendor"), Some("OpenLDAP"));
        assert_eq!(answer(b"HTTP/1.1 400 Bad Request"), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(&bytes);
            let mut entry = vec![0x30, 60, 2, 1, 1, 0x64];
            entry.extend(b"dnsHostName");
            entry.extend(&bytes);
            let _ = answer(&entry);
        }
    }
}

//! NetBIOS node status (RFC 1002, 4.2.17): the names and the MAC of a Windows or Samba machine.

use super::exchange::{Answer, Ask, u16_at};
use crate::clean;
use crate::report::IdentityKind;
use crate::vendor;

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let id = ask.random::<2>();
    let mut request = id.to_vec();
    request.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x20]);
    request.extend(b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    request.extend([0, 0, 0x21, 0, 1]);
    answer(&ask.udp(&request).await?, id)
}

fn answer(bytes: &[u8], id: [u8; 2]) -> Option<Answer> {
    if bytes.get(..2)? != id || bytes.get(2)? & 0x80 == 0 || u16_at(bytes, 6)? == 0 {
        return None;
    }
    // Header, name (34), type, class, lifetime, length: then the names.
    let count = usize::from(*bytes.get(56)?);
    let mut computer = None;
    let mut group = None;
    for index in 0..count.min(32) {
        let entry = bytes.get(57 + index * 18..75 + index * 18)?;
        let name = clean::some(&String::from_utf8_lossy(&entry[..15]), 15);
        match (entry[15], entry[16] & 0x80 != 0) {
            (0x00 | 0x20, false) if computer.is_none() => computer = name,
            (0x00, true) if group.is_none() => group = name,
            _ => {}
        }
    }
    let mac = bytes
        .get(57 + count * 18..63 + count * 18)
        .and_then(|m| <[u8; 6]>::try_from(m).ok())
        .map(vendor::mac_text)
        .filter(|mac| vendor::parse_mac(mac).is_some());
    let mut answer = Answer::new("netbios", "netbios-ns")
        .field("protocol", "netbios-ns")
        .maybe("name", computer.as_deref())
        .maybe("group", group)
        .named(computer.as_deref());
    if let Some(mac) = mac {
        answer = answer.identity(IdentityKind::Mac, mac);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_mac_are_read() {
        let mut bytes = vec![1, 2, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.resize(56, 0);
        bytes.push(2);
        bytes.extend(b"NAS            \x00\x04\x00WORKGROUP      \x00\x84\x00");
        bytes.extend([0, 0x11, 0x32, 1, 2, 3]);
        let answer = answer(&bytes, [1, 2]).expect("an answer");
        assert_eq!(answer.hostname.as_deref(), Some("NAS"));
        assert_eq!(answer.get("group"), Some("WORKGROUP"));
        assert_eq!(answer.identities[0].value, "00:11:32:01:02:03");
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reply = vec![1, 2, 0x84, 0, 0, 0, 0, 1];
            reply.extend(&bytes);
            let _ = answer(&reply, [1, 2]);
        }
    }
}

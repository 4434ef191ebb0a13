//! SMB 2 (MS-SMB2): negotiation, which tells a server id, and the challenge of a login that is never finished, which
//! tells the machine's names and its Windows version (MS-NLMP 2.2.1.2).

use super::exchange::{Answer, Ask, Line, hear, say, u16_at};
use crate::clean;
use crate::report::IdentityKind;

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let mut line = ask.connect().await?;
    let reply = exchange(&mut line, ask, &negotiate(ask.random())).await?;
    let answer = negotiated(&reply)?;
    let Some(challenge) = exchange(&mut line, ask, &session_setup()).await else { return Some(answer) };
    Some(challenged(answer, &challenge))
}

async fn exchange(line: &mut impl Line, ask: &Ask<'_>, message: &[u8]) -> Option<Vec<u8>> {
    let mut framed = u32::try_from(message.len()).ok()?.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    say(line, &framed, ask.timeout).await.ok()?;
    let whole =
        |b: &[u8]| super::exchange::u32_at(b, 0).is_some_and(|n| b.len() >= 4 + (n & 0xff_ffff) as usize);
    let reply = hear(line, 16_384, ask.timeout, whole).await;
    reply.get(4..).map(<[u8]>::to_vec)
}

/// The 64 bytes before each message.
fn header(command: u16, id: u8) -> Vec<u8> {
    let mut out = b"\xfeSMB\x40\x00\x00\x00".to_vec();
    out.extend([0; 4]);
    out.extend(command.to_le_bytes());
    out.extend([1, 0]);
    out.extend([0; 8]);
    out.extend([id, 0, 0, 0, 0, 0, 0, 0]);
    out.resize(64, 0);
    out
}

fn negotiate(client: [u8; 16]) -> Vec<u8> {
    let mut out = header(0, 0);
    out.extend([36, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(client);
    out.extend([0; 8]);
    // Dialects 2.0.2, 2.1, 3.0 and 3.0.2: enough for all, and no negotiation contexts.
    out.extend([0x02, 0x02, 0x10, 0x02, 0x00, 0x03, 0x02, 0x03]);
    out
}

fn session_setup() -> Vec<u8> {
    // NTLMSSP negotiate: unicode, request target, NTLM, target info, version.
    let mut token = b"NTLMSSP\0\x01\0\0\0".to_vec();
    token.extend(0x0280_8205u32.to_le_bytes());
    token.extend([0; 16]);
    token.extend([10, 0, 0x61, 0x4a, 0, 0, 0, 15]);
    let mut out = header(1, 1);
    let offset = u16::try_from(out.len() + 24).unwrap_or_default();
    out.extend([25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(offset.to_le_bytes());
    out.extend(u16::try_from(token.len()).unwrap_or_default().to_le_bytes());
    out.extend([0; 8]);
    out.extend(token);
    out
}

fn negotiated(reply: &[u8]) -> Option<Answer> {
    if !reply.starts_with(b"\xfeSMB") || reply.len() < 64 + 24 {
        return None;
    }
    let body = &reply[64..];
    let dialect = match u16_at(body, 4).map(u16::swap_bytes)? {
        0x0202 => "2.0.2",
        0x0210 => "2.1",
        0x0300 => "3.0",
        0x0302 => "3.0.2",
        0x0311 => "3.1.1",
        _ => "2",
    };
    let signing = if body.get(2)? & 2 != 0 { "required" } else { "optional" };
    let mut answer = Answer::new("smb", "smb")
        .field("protocol", "smb")
        .field("dialect", dialect)
        .field("signing", signing);
    let guid = body.get(8..24)?;
    if guid.iter().any(|b| *b != 0) {
        answer = answer.identity(IdentityKind::SmbGuid, cb_core::hex(guid));
    }
    Some(answer)
}

fn challenged(answer: Answer, reply: &[u8]) -> Answer {
    let Some(at) = reply.windows(12).position(|w| w == b"NTLMSSP\0\x02\0\0\0") else { return answer };
    let token = &reply[at..];
    let version = token.get(48..52).map(|v| (v[0], v[1], u16::from_le_bytes([v[2], v[3]])));
    let info = (|| {
        let length = usize::from(u16_at(token, 40)?.swap_bytes());
        let offset = usize::from(u16_at(token, 44)?.swap_bytes());
        token.get(offset..offset + length)
    })()
    .unwrap_or_default();
    let (mut netbios, mut domain, mut dns) = (None, None, None);
    let mut rest = info;
    while let (Some(kind), Some(length)) =
        (u16_at(rest, 0).map(u16::swap_bytes), u16_at(rest, 2).map(u16::swap_bytes))
    {
        let Some(value) = rest.get(4..4 + usize::from(length)) else { break };
        match kind {
            1 => netbios = utf16(value),
            2 => domain = utf16(value),
            3 => dns = utf16(value),
            0 => break,
            _ => {}
        }
        rest = &rest[4 + usize::from(length)..];
    }
    let name = dns.clone().filter(|d| !d.is_empty()).or_else(|| netbios.clone());
    answer
        .maybe("version", version.filter(|(major, ..)| *major > 0).map(|(a, b, c)| format!("{a}.{b}.{c}")))
        .maybe("netbios", netbios)
        .maybe("domain", domain)
        .maybe("host", dns)
        .named(name.as_deref())
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
    clean::some(&char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>(), 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_have_the_sizes_of_the_specification() {
        assert_eq!(header(0, 0).len(), 64);
        assert_eq!(negotiate([1; 16]).len(), 64 + 36 + 8);
        let setup = session_setup();
        let offset = usize::from(u16::from_le_bytes([setup[76], setup[77]]));
        assert!(setup[offset..].starts_with(b"NTLMSSP\0"));
    }

    proptest! {
        #[test]
        fn any_reply_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reply = b"\xfeSMB".to_vec();
            reply.extend(&bytes);
            let _ = negotiated(&reply);
            let mut token = b"NTLMSSP\0\x02\0\0\0".to_vec();
            token.extend(&bytes);
            let _ = challenged(Answer::default(), &token);
        }
    }
}

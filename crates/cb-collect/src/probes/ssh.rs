//! SSH: version and host key (RFC 4253, RFC 5656). The key exchange goes only as far as the server's first answer, so no
//! cipher is needed and nobody is logged in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::exchange::{Answer, Ask, hear, say, u32_at};
use crate::clean;
use crate::report::IdentityKind;

const OURS: &[u8] = b"SSH-2.0-CircuitBreaker\r\n";
/// Always the same order, so that one machine always shows the same key.
const KEYS: &str = "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256,ssh-rsa";
const MAX_PACKET: usize = 35_000;

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let mut line = ask.connect().await?;
    let greeting = hear(&mut line, 1_024, ask.timeout, |b| b.contains(&b'\n')).await;
    let end = greeting.iter().position(|b| *b == b'\n')?;
    if !greeting.starts_with(b"SSH-") {
        return None;
    }
    let answer = Answer::new("ssh", "ssh").field("banner", clean::bytes(&greeting[..end], 200));
    let mut buffered = greeting[end + 1..].to_vec();

    let mut exchange = OURS.to_vec();
    exchange.extend(packet(&kexinit(ask.random())));
    // Any 32 bytes are a public key of curve 25519; we never need the private one.
    let mut init = vec![30];
    put_string(&mut init, &ask.random::<32>());
    exchange.extend(packet(&init));
    if say(&mut line, &exchange, ask.timeout).await.is_err() {
        return Some(answer);
    }
    // Their KEXINIT, then the reply that holds the key; a few others may stand between.
    for _ in 0..6 {
        let missing = |bytes: &[u8]| packet_length(bytes).is_some_and(|length| bytes.len() >= length);
        if !missing(&buffered) {
            let have = buffered.len();
            let room = MAX_PACKET.saturating_sub(have);
            let more =
                hear(&mut line, room, ask.timeout, |b| missing(&[buffered.as_slice(), b].concat())).await;
            buffered.extend(more);
        }
        let Some(length) = packet_length(&buffered).filter(|length| buffered.len() >= *length) else { break };
        let rest = buffered.split_off(length);
        if let Some((kind, key)) = host_key(&buffered) {
            let digest = STANDARD_NO_PAD.encode(Sha256::digest(key));
            return Some(
                answer
                    .field("key", &kind)
                    .identity(IdentityKind::SshHostKey, format!("{kind} SHA256:{digest}")),
            );
        }
        buffered = rest;
    }
    Some(answer)
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(bytes);
}

fn kexinit(cookie: [u8; 16]) -> Vec<u8> {
    let mut out = vec![20];
    out.extend(cookie);
    let ciphers = "chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr,aes128-cbc";
    let macs = "hmac-sha2-256,hmac-sha2-512,hmac-sha1";
    for names in [
        "curve25519-sha256,curve25519-sha256@libssh.org",
        KEYS,
        ciphers,
        ciphers,
        macs,
        macs,
        "none",
        "none",
        "",
        "",
    ] {
        put_string(&mut out, names.as_bytes());
    }
    out.extend([0; 5]);
    out
}

/// The unencrypted packet of RFC 4253, 6.
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + if (payload.len() + 5) % 8 > 4 { 8 } else { 0 };
    let mut out = Vec::with_capacity(payload.len() + padding + 5);
    out.extend(u32::try_from(payload.len() + padding + 1).unwrap_or_default().to_be_bytes());
    out.push(u8::try_from(padding).unwrap_or_default());
    out.extend_from_slice(payload);
    out.extend(vec![0; padding]);
    out
}

/// Bytes of the first packet with its length field, once that is known and sane.
fn packet_length(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()? + 4;
    (6..=MAX_PACKET).contains(&length).then_some(length)
}

/// Name and blob of the host key in a KEX_ECDH_REPLY.
fn host_key(packet: &[u8]) -> Option<(String, &[u8])> {
    if *packet.get(5)? != 31 {
        return None;
    }
    let length = usize::try_from(u32_at(packet, 6)?).ok()?;
    let key = packet.get(10..10usize.checked_add(length)?)?;
    let name_length = usize::try_from(u32_at(key, 0)?).ok()?;
    let name = key.get(4..4usize.checked_add(name_length)?)?;
    let plain = !name.is_empty() && name.len() < 64 && name.iter().all(u8::is_ascii_graphic);
    plain.then(|| (String::from_utf8_lossy(name).into_owned(), key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_are_padded_to_eight_bytes_with_at_least_four() {
        for length in 1..40 {
            let packet = packet(&vec![7; length]);
            assert_eq!(packet.len() % 8, 0);
            assert!(packet[4] >= 4);
            assert_eq!(packet_length(&packet), Some(packet.len()));
        }
    }

    #[test]
    fn the_key_is_found_in_the_reply() {
        let mut key = Vec::new();
        put_string(&mut key, b"ssh-ed25519");
        put_string(&mut key, &[9; 32]);
        let mut reply = vec![31];
        put_string(&mut reply, &key);
        let packet = packet(&reply);
        assert_eq!(host_key(&packet), Some(("ssh-ed25519".to_owned(), key.as_slice())));
    }

    proptest! {
        #[test]
        fn any_packet_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = packet_length(&bytes);
            let _ = host_key(&bytes);
        }
    }
}

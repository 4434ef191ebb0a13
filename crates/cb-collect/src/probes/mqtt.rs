//! MQTT 3.1.1 (OASIS): a CONNECT without a name, answered by a CONNACK.

use super::exchange::{Answer, Ask};

const CONNECT: &[u8] = &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 0];

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    answer(&ask.tcp(CONNECT, 64, |b| b.len() >= 4).await?)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let (0x20, 2, code) = (*bytes.first()?, *bytes.get(1)?, *bytes.get(3)?) else { return None };
    let access = match code {
        0 => "open",
        4 | 5 => "password",
        _ => "refused",
    };
    Some(Answer::new("mqtt", "mqtt").field("protocol", "mqtt").field("access", access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_has_the_length_it_says() {
        assert_eq!(usize::from(CONNECT[1]) + 2, CONNECT.len());
        assert_eq!(answer(&[0x20, 2, 0, 5]).expect("an answer").get("access"), Some("password"));
        assert_eq!(answer(b"HTTP"), None);
    }
}

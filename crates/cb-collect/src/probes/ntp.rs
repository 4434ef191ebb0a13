//! NTP (RFC 5905): the time, for whoever serves it.

use super::exchange::{Answer, Ask};

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let mut request = [0u8; 48];
    request[0] = 0x23;
    // The transmit time comes back as the origin time: it marks our request.
    let mark = ask.random::<8>();
    request[40..].copy_from_slice(&mark);
    answer(&ask.udp(&request).await?, mark)
}

fn answer(bytes: &[u8], mark: [u8; 8]) -> Option<Answer> {
    let server = bytes.len() >= 48 && bytes[0] & 7 == 4 && bytes[24..32] == mark;
    server.then(|| Answer::new("ntp", "ntp").field("protocol", "ntp").field("stratum", bytes[1].to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_our_request_counts() {
        let mut bytes = [0u8; 48];
        bytes[0] = 0x24;
        bytes[1] = 2;
        bytes[24..32].copy_from_slice(b"8 bytes!");
        assert_eq!(answer(&bytes, *b"8 bytes!").expect("an answer").get("stratum"), Some("2"));
        assert_eq!(answer(&bytes, *b"another!"), None);
        assert_eq!(answer(&bytes[..20], *b"8 bytes!"), None);
    }
}

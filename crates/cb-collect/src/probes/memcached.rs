//! memcached: `version`.

use super::exchange::{Answer, Ask};
use crate::clean;

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    answer(&ask.tcp(b"version\r\n", 256, |b| b.ends_with(b"\r\n")).await?)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let version = bytes.strip_prefix(b"VERSION ")?;
    Some(
        Answer::new("memcached", "memcached")
            .field("protocol", "memcached")
            .field("version", clean::bytes(version, 40)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(answer(b"VERSION 1.6.18\r\n").expect("an answer").get("version"), Some("1.6.18"));
        assert_eq!(answer(b"ERROR\r\n"), None);
    }
}

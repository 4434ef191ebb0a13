//! Redis (RESP): `PING`, and its version where it tells without a password.

use super::exchange::{Answer, Ask, hear, say};
use crate::clean;

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let mut line = ask.connect().await?;
    say(&mut line, b"PING\r\n", ask.timeout).await.ok()?;
    let pong = hear(&mut line, 512, ask.timeout, |b| b.ends_with(b"\r\n")).await;
    let answer = answer(&pong)?;
    if !pong.starts_with(b"+PONG") {
        return Some(answer.field("access", "password"));
    }
    say(&mut line, b"INFO server\r\n", ask.timeout).await.ok()?;
    let info = hear(&mut line, 8_192, ask.timeout, |b| b.len() > 8 && b.ends_with(b"\r\n\r\n")).await;
    Some(
        answer
            .field("access", "open")
            .maybe("version", value(&info, "redis_version:"))
            .maybe("os", value(&info, "os:")),
    )
}

fn answer(pong: &[u8]) -> Option<Answer> {
    let known = pong.starts_with(b"+PONG") || pong.starts_with(b"-NOAUTH") || pong.starts_with(b"-DENIED");
    known.then(|| {
        Answer::new("redis", "redis").field("protocol", "redis").field("banner", clean::bytes(pong, 120))
    })
}

fn value(info: &[u8], key: &str) -> Option<String> {
    String::from_utf8_lossy(info).lines().find_map(|l| l.strip_prefix(key).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redis_is_redis() {
        assert!(answer(b"+PONG\r\n").is_some());
        assert!(answer(b"-NOAUTH Authentication required.\r\n").is_some());
        assert!(answer(b"-ERR unknown command\r\n").is_none());
        assert_eq!(value(b"$9\r\nredis_version:7.0.15\r\n", "redis_version:").as_deref(), Some("7.0.15"));
    }
}

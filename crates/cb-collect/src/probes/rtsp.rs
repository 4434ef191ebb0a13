//! RTSP (RFC 2326): `OPTIONS`, as cameras answer it.

use super::exchange::{Answer, Ask};

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let request =
        format!("OPTIONS rtsp://{}/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: CircuitBreaker\r\n\r\n", ask.peer);
    answer(&ask.tcp(request.as_bytes(), 4_096, |b| b.windows(4).any(|w| w == b"\r\n\r\n")).await?)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    if !bytes.starts_with(b"RTSP/1.") {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let header = |name: &str| {
        text.lines().find_map(|l| {
            let (key, value) = l.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    Some(
        Answer::new("rtsp", "rtsp")
            .field("protocol", "rtsp")
            .maybe("status", text.lines().next().and_then(|l| l.split(' ').nth(1)))
            .maybe("server", header("server"))
            .maybe("realm", header("www-authenticate")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_read() {
        let answer = answer(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Hikvision\r\n\r\n").expect("an answer");
        assert_eq!(answer.get("server"), Some("Hikvision"));
    }
}

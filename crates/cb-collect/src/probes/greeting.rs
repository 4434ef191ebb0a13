//! Protocols in which the server speaks first: FTP, SMTP, POP3, IMAP, SSH, MySQL, VNC, NATS, rsync, telnet.

use std::time::Duration;

use super::exchange::{Answer, Ask, hear};
use crate::clean;

/// Waits for a greeting without sending a byte.
pub(crate) async fn listen(ask: &Ask<'_>, patience: Duration) -> Option<Answer> {
    let mut line = ask.connect().await?;
    let heard = hear(&mut line, 2_048, patience, |bytes| bytes.contains(&b'\n') || is_mysql(bytes)).await;
    (!heard.is_empty()).then(|| classify(&heard, ask.peer.port()))
}

fn is_mysql(bytes: &[u8]) -> bool {
    // Three bytes of length, sequence 0, protocol version 10; or 255 for "host is blocked".
    bytes.len() > 5
        && bytes[3] == 0
        && matches!(bytes[4], 10 | 255)
        && usize::from(bytes[0]) + 4 <= bytes.len()
}

pub(crate) fn classify(bytes: &[u8], port: u16) -> Answer {
    if is_mysql(bytes) {
        return mysql(bytes);
    }
    let spoken = without_telnet_commands(bytes);
    let text = clean::bytes(&spoken, 300);
    let lower = text.to_lowercase();
    let service = if text.starts_with("SSH-") {
        "ssh"
    } else if text.starts_with("RFB ") {
        "vnc"
    } else if text.starts_with("@RSYNCD:") {
        "rsync"
    } else if text.starts_with("INFO {") {
        "nats"
    } else if text.starts_with("+OK") {
        "pop3"
    } else if text.starts_with("* OK") || text.starts_with("* PREAUTH") {
        "imap"
    } else if text.starts_with("220") && (lower.contains("smtp") || matches!(port, 25 | 465 | 587 | 2525)) {
        "smtp"
    } else if text.starts_with("220")
        || (text.starts_with("421") && port == 21)
        || lower.starts_with("500 oops: vsftpd")
    {
        "ftp"
    } else if text.starts_with("HTTP/") {
        "http"
    } else if spoken.len() < bytes.len() || port == 23 {
        "telnet"
    } else {
        "unknown"
    };
    Answer::new("greeting", service).field("protocol", service).field("banner", text)
}

fn mysql(bytes: &[u8]) -> Answer {
    let answer = Answer::new("greeting", "mysql").field("protocol", "mysql");
    if bytes[4] == 255 {
        return answer.field("banner", clean::bytes(bytes.get(7..).unwrap_or_default(), 200));
    }
    let version = super::exchange::c_string(bytes.get(5..).unwrap_or_default());
    answer.field("version", clean::bytes(version, 80))
}

/// IAC sequences (RFC 854) taken out.
fn without_telnet_commands(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != 0xff {
            text.push(byte);
            continue;
        }
        match rest.next() {
            Some(0xfb..=0xfe) => {
                rest.next();
            }
            Some(0xfa) => while rest.next().is_some_and(|b| b != 0xf0) {},
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn greetings_tell_their_protocol() {
        for (bytes, port, service) in [
            (b"SSH-2.0-OpenSSH_9.2p1\r\n".as_slice(), 22, "ssh"),
            (b"220 mail ESMTP Postfix\r\n", 25, "smtp"),
            (b"220 (vsFTPd 3.0.3)\r\n", 21, "ftp"),
            (b"+OK Dovecot ready.\r\n", 110, "pop3"),
            (b"* OK IMAP4rev1\r\n", 143, "imap"),
            (b"RFB 003.008\n", 5900, "vnc"),
            (b"\xff\xfb\x01\xff\xfd\x18login: ", 2323, "telnet"),
            (b"J\0\0\0\x0a10.11.6-MariaDB\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 3306, "mysql"),
            (b"what is this", 4444, "unknown"),
        ] {
            assert_eq!(classify(bytes, port).service, service, "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn any_greeting_is_survived(bytes in proptest::collection::vec(any::<u8>(), 1..600), port: u16) {
            let _ = classify(&bytes, port);
        }
    }
}

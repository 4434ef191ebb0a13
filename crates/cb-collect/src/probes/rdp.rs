//! Remote Desktop (MS-RDPBCGR 2.2.1.1): a connection request, answered before anybody logs in.

use super::exchange::{Answer, Ask};

const REQUEST: &[u8] = &[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0];

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    answer(&ask.tcp(REQUEST, 64, |b| b.len() >= 11 && b.len() >= usize::from(b[3])).await?)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    (bytes.len() >= 11 && bytes.starts_with(&[3, 0]) && bytes[5] == 0xd0).then(|| {
        let security = match (bytes.get(11), bytes.get(15)) {
            (Some(2), Some(2 | 8)) => "network level",
            (Some(2), Some(1)) => "tls",
            _ => "rdp",
        };
        Answer::new("rdp", "rdp").field("protocol", "rdp").field("security", security)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_is_known() {
        assert!(answer(&[3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 2, 0, 0, 0]).is_some());
        assert!(answer(b"HTTP/1.1 400").is_none());
    }
}

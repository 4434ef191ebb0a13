//! AMQP 0-9-1: the protocol header, answered by `Connection.Start` with product and version.

use super::exchange::{Answer, Ask};
use crate::clean;

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    answer(
        &ask.tcp(b"AMQP\x00\x00\x09\x01", 4_096, |b| {
            b.last() == Some(&0xce) || (b.len() >= 8 && b.starts_with(b"AMQP"))
        })
        .await?,
    )
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let start = bytes.starts_with(&[1, 0, 0]) && bytes.get(7..11) == Some(&[0, 10, 0, 10]);
    if !start && !bytes.starts_with(b"AMQP") {
        return None;
    }
    Some(
        Answer::new("amqp", "amqp")
            .field("protocol", "amqp")
            .maybe("product", value(bytes, b"\x07product"))
            .maybe("version", value(bytes, b"\x07version"))
            .maybe("cluster", value(bytes, b"\x0ccluster_name")),
    )
}

/// A long string (type `S`) after its key.
fn value(bytes: &[u8], key: &[u8]) -> Option<String> {
    let at = bytes.windows(key.len()).position(|w| w == key)? + key.len();
    let rest = bytes.get(at..)?;
    let length = usize::try_from(super::exchange::u32_at(rest, 1)?).ok()?;
    (rest[0] == b'S').then_some(())?;
    clean::some(&String::from_utf8_lossy(rest.get(5..5usize.checked_add(length)?)?), 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut start = vec![1, 0, 0, 0, 0, 0, 99, 0, 10, 0, 10];
            start.extend(b"\x07product");
            start.extend(&bytes);
            let _ = answer(&start);
        }
    }

    #[test]
    fn rabbitmq_tells_its_name() {
        let mut start = vec![1, 0, 0, 0, 0, 0, 99, 0, 10, 0, 10, 0, 9, 0, 0, 0, 50];
        start.extend(b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.13.2");
        let answer = answer(&start).expect("an answer");
        assert_eq!(answer.get("product"), Some("RabbitMQ"));
        assert_eq!(answer.get("version"), Some("3.13.2"));
    }
}

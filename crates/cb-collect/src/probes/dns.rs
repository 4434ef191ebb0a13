//! DNS servers: whether they answer, and their version where they tell (`version.bind`, class CHAOS).

use super::exchange::{Answer, Ask, u16_at};
use crate::dns::{self, Data};

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    let id = u16::from_be_bytes(ask.random());
    answer(&ask.udp(&dns::question(id, "version.bind", dns::TXT, 3)).await?, id)
}

/// The same over TCP, for whoever has no UDP port.
pub(crate) async fn ask_tcp(ask: &Ask<'_>) -> Option<Answer> {
    let id = u16::from_be_bytes(ask.random());
    let question = dns::question(id, "version.bind", dns::TXT, 3);
    let mut framed = u16::try_from(question.len()).ok()?.to_be_bytes().to_vec();
    framed.extend(question);
    let whole = |b: &[u8]| u16_at(b, 0).is_some_and(|length| b.len() >= 2 + usize::from(length));
    answer(ask.tcp(&framed, 4_096, whole).await?.get(2..)?, id)
}

fn answer(bytes: &[u8], id: u16) -> Option<Answer> {
    let message = dns::parse(bytes).filter(|m| m.id == id)?;
    let version = message.records.iter().find_map(|r| match &r.data {
        Data::Text(texts) => texts.first().cloned(),
        _ => None,
    });
    Some(Answer::new("dns", "dns").field("protocol", "dns").maybe("version", version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_dns_server_too() {
        let mut bytes = dns::question(9, "version.bind", dns::TXT, 3);
        assert_eq!(answer(&bytes, 9), None, "a question is no answer");
        bytes[2] = 0x81;
        bytes[3] = 5;
        assert!(answer(&bytes, 9).is_some());
        assert_eq!(answer(&bytes, 8), None);
    }
}

//! PostgreSQL: an SSLRequest, which is answered by one letter before anybody logs in (protocol 3.0, "SSL Session
//! Encryption").

use super::exchange::{Answer, Ask};

pub(crate) async fn ask(ask: &Ask<'_>) -> Option<Answer> {
    answer(&ask.tcp(&[0, 0, 0, 8, 4, 210, 22, 47], 16, |b| !b.is_empty()).await?)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let tls = match bytes {
        b"S" => "yes",
        b"N" => "no",
        _ => return None,
    };
    Some(Answer::new("postgresql", "postgresql").field("protocol", "postgresql").field("tls", tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_answers() {
        assert!(answer(b"S").is_some());
        assert!(answer(b"N").is_some());
        assert!(answer(b"Something else").is_none());
    }
}

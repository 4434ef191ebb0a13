//! UPnP: the device description that an SSDP answer points to (UPnP device architecture 2.0, chapter 2).

use std::net::IpAddr;

use super::exchange::{Answer, Ask};
use super::http;
use crate::clean;
use crate::report::IdentityKind;

/// Port and path of a description, when it is on the machine that answered and its port may be written to.
pub(crate) fn location(url: &str, from: IpAddr) -> Option<(u16, String)> {
    let rest = url.trim().strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let host: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    let plain = path.len() <= 200 && path.bytes().all(|b| b.is_ascii_graphic());
    (host == from && plain && port > 0 && !cb_net::dial::never_written(port)).then(|| (port, path.to_owned()))
}

/// An SSDP answer (an HTTP head in a datagram).
pub(crate) fn ssdp(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(2_048))?);
    let mut lines = text.lines();
    let first = lines.next()?;
    if !first.starts_with("HTTP/1.") && !first.starts_with("NOTIFY") {
        return None;
    }
    let mut answer = Answer::new("ssdp", "ssdp").field("protocol", "ssdp");
    for (name, value) in lines.filter_map(|l| l.split_once(':')).take(30) {
        match name.trim().to_ascii_lowercase().as_str() {
            "server" => answer = answer.field("server", value),
            "location" => answer = answer.field("location", value),
            "st" | "nt" => answer = answer.field("target", value),
            "usn" => {
                if let Some(uuid) = uuid(value) {
                    answer = answer.identity(IdentityKind::UpnpUuid, uuid);
                }
            }
            _ => {}
        }
    }
    Some(answer)
}

fn uuid(usn: &str) -> Option<String> {
    let id = usn.trim().strip_prefix("uuid:")?.split("::").next()?;
    let sane =
        (8..=68).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    sane.then(|| id.to_ascii_lowercase())
}

/// Reads the description that `ask`'s port has at `path`.
pub(crate) async fn describe(ask: &Ask<'_>, path: &str, answer: Answer) -> Answer {
    match http::get(ask, false, path).await {
        Ok(page) if page.status == 200 => read(answer, &String::from_utf8_lossy(&page.body)),
        _ => answer,
    }
}

fn read(answer: Answer, xml: &str) -> Answer {
    let mut answer = answer
        .maybe("name", tag(xml, "friendlyName"))
        .maybe("vendor", tag(xml, "manufacturer"))
        .maybe("model", tag(xml, "modelName"))
        .maybe("model_number", tag(xml, "modelNumber"))
        .maybe("type", tag(xml, "deviceType"));
    if let Some(serial) = tag(xml, "serialNumber").filter(|s| s.len() >= 6 && s.bytes().any(|b| b != b'0')) {
        answer = answer.field("serial", serial);
    }
    if let Some(uuid) = tag(xml, "UDN").and_then(|udn| uuid(&udn)) {
        answer = answer.identity(IdentityKind::UpnpUuid, uuid);
        answer.identities.dedup();
    }
    answer
}

/// The text of the first element of that name; the root device comes first.
fn tag(xml: &str, name: &str) -> Option<String> {
    let open = format!("<{name}>");
    let from = xml.find(&open)? + open.len();
    let text = xml.get(from..)?;
    let text = text.get(..text.find('<')?)?;
    clean::some(
        &text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'"),
        120,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn descriptions_elsewhere_are_not_fetched() {
        let from = IpAddr::from([10, 0, 0, 5]);
        assert_eq!(location("http://10.0.0.5:1900/d.xml", from), Some((1900, "/d.xml".to_owned())));
        for bad in [
            "http://10.0.0.6/d.xml",
            "https://10.0.0.5/",
            "http://10.0.0.5:9100/",
            "http://10.0.0.5:0/",
            "http://10.0.0.5/a b",
            "http://evil.example/",
        ] {
            assert_eq!(location(bad, from), None, "{bad}");
        }
    }

    #[test]
    fn an_answer_and_a_description_are_read() {
        let answer = ssdp(b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:5D2C0A1E-77a4::upnp:rootdevice\r\nServer: Linux UPnP/1.0\r\n\r\n").expect("an answer");
        assert_eq!(answer.identities[0].value, "5d2c0a1e-77a4");
        let answer = read(
            answer,
            "<root><device><friendlyName>TV &amp; Co</friendlyName><modelName>X1</modelName></device></root>",
        );
        assert_eq!(answer.get("name"), Some("TV & Co"));
    }

    proptest! {
        #[test]
        fn any_datagram_is_survived(text in "(HTTP/1.1 200 OK\r\n)?(.{0,100}\r\n){0,6}", url in ".{0,60}") {
            let _ = ssdp(text.as_bytes());
            let _ = read(Answer::default(), &text);
            let _ = location(&url, IpAddr::from([10, 0, 0, 1]));
        }
    }
}

//! HTTP/1.1 (RFC 9112): title, server and icon of the first page, plain or over TLS.

use sha2::{Digest as _, Sha256};

use super::exchange::{Answer, Ask, Line, hear, say};
use super::tls;
use crate::clean;

const MAX_HEAD: usize = 16 * 1024;
const MAX_BODY: usize = 128 * 1024;
const MAX_REDIRECTS: usize = 2;
/// Enough of a page for fingerprints to look into.
const SHOWN_BODY: usize = 4_000;

/// One answer of a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPage {
    /// It is there, and speaks TLS.
    SpeaksTls,
    Other,
}

/// The first page of a port, and more pages that fingerprints want for it.
pub(crate) async fn ask(ask: &Ask<'_>, secure: bool, extra: &[&str]) -> Result<Answer, NoPage> {
    let mut path = "/".to_owned();
    let mut page = get(ask, secure, &path).await?;
    for _ in 0..MAX_REDIRECTS {
        let Some(next) = redirect(ask, secure, &page) else { break };
        if next == path {
            break;
        }
        match get(ask, secure, &next).await {
            Ok(next_page) => {
                path = next;
                page = next_page;
            }
            Err(_) => break,
        }
    }
    let mut answer = describe(&page);
    let icon = icon_path(&page.body).unwrap_or_else(|| "/favicon.ico".to_owned());
    if let Ok(icon) = get(ask, secure, &icon).await
        && icon.status == 200
        && !icon.body.is_empty()
        && !icon.body.starts_with(b"<")
    {
        let digest = cb_core::hex(&Sha256::digest(&icon.body));
        answer = answer.field("favicon", digest.get(..16).unwrap_or_default());
    }
    for path in extra.iter().take(3) {
        if let Ok(page) = get(ask, secure, path).await
            && page.status == 200
        {
            answer.fields.insert(format!("page {path}"), clean::bytes(&page.body, SHOWN_BODY));
        }
    }
    Ok(answer)
}

/// Fetches one path from the port that `ask` names.
pub(crate) async fn get(ask: &Ask<'_>, secure: bool, path: &str) -> Result<Page, NoPage> {
    if secure {
        let (mut line, _) = tls::connect(ask).await.ok_or(NoPage::Other)?;
        converse(&mut line, ask, path).await
    } else {
        let mut line = ask.connect().await.ok_or(NoPage::Other)?;
        converse(&mut line, ask, path).await
    }
}

pub(crate) async fn converse(line: &mut impl Line, ask: &Ask<'_>, path: &str) -> Result<Page, NoPage> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: CircuitBreaker\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
        ask.peer
    );
    say(line, request.as_bytes(), ask.timeout).await.map_err(|_| NoPage::Other)?;
    let bytes = hear(line, MAX_HEAD + MAX_BODY, ask.timeout * 2, is_whole).await;
    parse(&bytes)
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let window = &bytes[..bytes.len().min(MAX_HEAD)];
    window
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| at + 4)
        .or_else(|| window.windows(2).position(|w| w == b"\n\n").map(|at| at + 2))
}

/// The whole message is there, as far as its head tells.
fn is_whole(bytes: &[u8]) -> bool {
    if bytes.len() > 8 && !bytes.starts_with(b"HTTP/") {
        return true;
    }
    let Some(end) = head_end(bytes) else { return false };
    let Ok(page) = parse(bytes) else { return true };
    if matches!(page.status, 204 | 304) {
        return true;
    }
    if page.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        return bytes.ends_with(b"0\r\n\r\n");
    }
    page.header("content-length")
        .and_then(|v| v.parse::<usize>().ok())
        .is_some_and(|length| bytes.len() - end >= length)
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Page, NoPage> {
    if bytes.len() >= 3 && matches!(bytes[0], 0x15 | 0x16) && bytes[1] == 3 {
        return Err(NoPage::SpeaksTls);
    }
    if !bytes.starts_with(b"HTTP/") {
        return Err(NoPage::Other);
    }
    let end = head_end(bytes).unwrap_or_else(|| bytes.len().min(MAX_HEAD));
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).ok_or(NoPage::Other)?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .take(64)
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), clean::line(value, 300)))
        .collect();
    let mut page = Page { status, headers, body: bytes[end..].to_vec() };
    if page.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        page.body = unchunked(&page.body);
    }
    page.body.truncate(MAX_BODY);
    let text = clean::bytes(&page.body, 400).to_lowercase();
    if page.status == 400
        && (text.contains("https port")
            || text.contains("to an https server")
            || text.contains("ssl-enabled"))
    {
        return Err(NoPage::SpeaksTls);
    }
    Ok(page)
}

/// RFC 9112, 7.1; what is broken ends the body.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).take(20).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|s| usize::from_str_radix(s.split(';').next().unwrap_or_default().trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let from = end + 2;
        let to = from.saturating_add(size).min(rest.len());
        body.extend_from_slice(&rest[from..to]);
        rest = rest.get(to.saturating_add(2)..).unwrap_or_default();
    }
    body
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The path of a redirect that stays on this port.
fn redirect(ask: &Ask<'_>, secure: bool, page: &Page) -> Option<String> {
    if !(301..=308).contains(&page.status) {
        return None;
    }
    let location = page.header("location")?;
    let local = if let Some(rest) = location.strip_prefix(if secure { "https://" } else { "http://" }) {
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let usual = if secure { 443 } else { 80 };
        let ours = ask.peer.to_string();
        let bare = ask.peer.ip().to_string();
        (authority == ours || (authority == bare && ask.peer.port() == usual)).then(|| path.to_owned())?
    } else if location.contains("://") || location.starts_with("//") {
        return None;
    } else if location.starts_with('/') {
        location.to_owned()
    } else {
        format!("/{location}")
    };
    is_path(&local).then_some(local)
}

/// Nothing in it can break out of the request line.
fn is_path(path: &str) -> bool {
    path.len() <= 200
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic())
}

fn describe(page: &Page) -> Answer {
    let text = String::from_utf8_lossy(&page.body);
    let mut answer = Answer::new("http", "http")
        .field("status", page.status.to_string())
        .maybe("title", title(&text))
        .maybe("server", page.header("server"))
        .maybe("realm", page.header("www-authenticate"))
        .maybe("powered", page.header("x-powered-by"))
        .maybe("location", page.header("location"))
        .maybe("cookie", page.header("set-cookie").map(|c| c.split('=').next().unwrap_or_default()));
    let names: Vec<String> =
        page.headers.iter().map(|(n, v)| format!("{n}: {}", clean::line(v, 60))).collect();
    answer.fields.insert("headers".to_owned(), clean::line(&names.join(" | "), 2_000));
    answer.fields.insert("body".to_owned(), clean::line(&text, SHOWN_BODY));
    answer
}

fn title(html: &str) -> Option<String> {
    let start = find_tag(html, "<title")?;
    let rest = html.get(start..)?;
    let rest = rest.get(rest.find('>')? + 1..)?;
    let text = rest.get(..rest.find('<').unwrap_or(rest.len()))?;
    let text = text
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&nbsp;", " ")
        .replace("&ndash;", "–")
        .replace("&mdash;", "—");
    clean::some(&text, 150)
}

fn icon_path(body: &[u8]) -> Option<String> {
    let html = String::from_utf8_lossy(&body[..body.len().min(32 * 1024)]);
    let mut rest: &str = &html;
    for _ in 0..40 {
        let at = find_tag(rest, "<link")?;
        rest = rest.get(at + 5..)?;
        let tag = rest.get(..rest.find('>')?)?;
        let lower = tag.to_ascii_lowercase();
        if lower.contains("icon") && !lower.contains("mask-icon") {
            let from = lower.find("href=")? + 5;
            let value = tag.get(from..)?.trim_start_matches(['"', '\'']);
            let value = value.split(['"', '\'', ' ', '>']).next()?;
            let path = if value.starts_with('/') {
                value.to_owned()
            } else {
                format!("/{}", value.trim_start_matches("./"))
            };
            return (is_path(&path) && !path.contains(':')).then_some(path);
        }
    }
    None
}

/// Where a tag begins, whatever its case.
fn find_tag(html: &str, tag: &str) -> Option<usize> {
    html.as_bytes().windows(tag.len()).position(|w| w.eq_ignore_ascii_case(tag.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = parse(b"HTTP/1.1 200 OK\r\nServer: nginx/1.22\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<title\r\n14\r\n>A &amp; B</title><li\r\n0\r\n\r\n").expect("a page");
        assert_eq!(page.header("server"), Some("nginx/1.22"));
        assert_eq!(describe(&page).get("title"), Some("A & B"));
    }

    #[test]
    fn tls_is_noticed() {
        assert_eq!(parse(b"\x15\x03\x01\0\x02\x02\x0a"), Err(NoPage::SpeaksTls));
        assert_eq!(
            parse(b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"),
            Err(NoPage::SpeaksTls)
        );
        assert_eq!(parse(b"SSH-2.0-x\r\n"), Err(NoPage::Other));
    }

    #[test]
    fn icons_are_found_and_stay_on_the_host() {
        assert_eq!(
            icon_path(b"<link rel=\"shortcut icon\" href=\"img/f.ico\">").as_deref(),
            Some("/img/f.ico")
        );
        assert_eq!(icon_path(b"<link rel=icon href=https://evil.example/x>"), None);
        assert_eq!(icon_path(b"<link rel=icon href='//evil.example/x'>"), None);
        assert_eq!(icon_path(b"<p>"), None);
    }

    #[test]
    fn paths_cannot_smuggle_a_request() {
        assert!(is_path("/a?b=c"));
        for bad in ["a", "//b", "/a b", "/a\r\nHost: x", "/ä"] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = is_whole(&bytes);
            let mut with_head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            with_head.extend(&bytes);
            for bytes in [&bytes, &with_head] {
                if let Ok(page) = parse(bytes) {
                    let _ = describe(&page);
                    let _ = icon_path(&page.body);
                }
            }
        }
    }
}

//! Text for a service: without what could deceive, escaped in its way, and cut to its limit.

/// How a service counts.
pub(super) type Count = fn(&str) -> usize;

/// UTF-16 units: never fewer than what a service means by characters.
pub(super) fn characters(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

pub(super) fn bytes(text: &str) -> usize {
    text.len()
}

/// Writes one character as a service wants it.
pub(super) type Escape = fn(char, &mut String);

pub(super) fn plain(c: char, out: &mut String) {
    out.push(c);
}

/// HTML and what Telegram takes for it.
pub(super) fn html(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        c => out.push(c),
    }
}

pub(super) fn html_lines(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("<br>"),
        c => html(c, out),
    }
}

const ELLIPSIS: &str = "…";

/// The text escaped, in at most `most` of what `count` counts; cut between two characters and never inside an escape.
pub(super) fn fitted(text: &str, most: usize, count: Count, escape: Escape) -> String {
    let room = most.saturating_sub(count(ELLIPSIS));
    let (mut out, mut used, mut cut) = (String::new(), 0, 0);
    let mut piece = String::new();
    for c in text.chars() {
        piece.clear();
        escape(c, &mut piece);
        used += count(&piece);
        if used > most {
            out.truncate(cut);
            out.push_str(ELLIPSIS);
            return out;
        }
        out.push_str(&piece);
        if used <= room {
            cut = out.len();
        }
    }
    out
}

/// One line.
pub(super) fn line(text: &str) -> String {
    lines(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Line breaks stay; other control characters go, and so does what turns the direction of writing, which makes one name look
/// like another.
pub(super) fn lines(text: &str) -> String {
    let deceives = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let normal = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n").replace('\t', " ");
    let kept = normal.chars().filter(|c| *c == '\n' || !c.is_control()).filter(|c| !deceives(c));
    kept.collect::<String>().trim().to_owned()
}

/// Shown nowhere, and no part of any mark: two signs with it between them mean nothing together.
const NOTHING: char = '\u{200b}';

/// For a text that is read as Markdown in one place and shown as it is in another, such as on a phone's lock screen, where an
/// escape would be seen. Nothing in it mentions, links, shows a picture, hides or is a heading; what is left is `*stress*`.
pub(super) fn quiet(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    let mut before = ['\n'; 2];
    for c in text.chars() {
        let doubled = c == before[1] && matches!(c, '*' | '_' | '~' | '|' | '`');
        let linked = (before[1] == ']' && matches!(c, '(' | '[')) || (before == [':', '/'] && c == '/');
        if doubled || linked || (begins && matches!(c, '#' | '-' | '>' | '+')) {
            out.push(NOTHING);
        }
        out.push(c);
        if matches!(c, '@' | '<') {
            out.push(NOTHING);
        }
        begins = c == '\n' || (begins && c == ' ');
        before = [before[1], c];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{bytes, characters, fitted, html, line, lines, plain, quiet};

    #[test]
    fn a_quiet_text_looks_the_same_and_marks_nothing() {
        for (text, quieted) in [
            ("nas_01 was added (10.0.0.5)", "nas_01 was added (10.0.0.5)"),
            ("@everyone <@1> <!channel>", "@\u{200b}everyone <\u{200b}@\u{200b}1> <\u{200b}!channel>"),
            ("![x](https://a.b/c)", "![x]\u{200b}(https:/\u{200b}/a.b/c)"),
            ("[x][y]", "[x]\u{200b}[y]"),
            (
                "||a|| __b__ ```c```",
                "|\u{200b}|a|\u{200b}| _\u{200b}_b_\u{200b}_ `\u{200b}`\u{200b}`c`\u{200b}`\u{200b}`",
            ),
            ("# a\n  - b\n> c - d", "\u{200b}# a\n  \u{200b}- b\n\u{200b}> c - d"),
        ] {
            assert_eq!(quiet(text), quieted, "{text}");
            assert_eq!(quiet(text).replace('\u{200b}', ""), text);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters_and_never_inside_an_escape() {
        assert_eq!(fitted("abcdef", 6, characters, plain), "abcdef");
        assert_eq!(fitted("abcdefg", 6, characters, plain), "abcde…");
        assert_eq!(fitted("<<<<", 10, characters, html), "&lt;&lt;…");
        assert_eq!(fitted("äöü", 6, bytes, plain), "äöü");
        assert_eq!(fitted("äöüä", 6, bytes, plain), "ä…");
        assert_eq!(fitted("😀😀😀", 5, characters, plain), "😀😀…");
        for most in 3..40 {
            let long = "a<&\"😀ä".repeat(20);
            assert!(fitted(&long, most, bytes, html).len() <= most, "{most}");
            assert!(characters(&fitted(&long, most, characters, html)) <= most, "{most}");
        }
    }

    #[test]
    fn what_could_deceive_is_left_out() {
        assert_eq!(line(" a\r\n\tb\u{0}\u{1b}[31m\u{202e}c\u{2066} "), "a b[31mc");
        assert_eq!(lines("a\r\nb\rc\u{2028}d\u{7}\n"), "a\nb\nc\nd");
    }
}

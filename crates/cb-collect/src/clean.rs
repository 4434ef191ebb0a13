//! Bytes from devices, made safe to store and show: printable, of one line, of bounded length.

/// Text of at most `max` characters, control characters replaced, white space folded, ends trimmed.
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || is_format(c) {
            space = count > 0;
            continue;
        }
        if count + usize::from(space) >= max {
            break;
        }
        if space {
            out.push(' ');
            count += 1;
            space = false;
        }
        out.push(c);
        count += 1;
    }
    out
}

/// The same from bytes; what is not UTF-8 becomes U+FFFD.
pub fn bytes(bytes: &[u8], max: usize) -> String {
    // No character has more than four bytes; folding may eat more, which only shortens the answer.
    let cut = &bytes[..bytes.len().min(max.saturating_mul(4).max(512))];
    line(&String::from_utf8_lossy(cut), max)
}

/// [`line()`], or nothing when nothing is left.
pub fn some(text: &str, max: usize) -> Option<String> {
    let text = line(text, max);
    (!text.is_empty()).then_some(text)
}

/// Characters that change how their neighbors are shown (Unicode category Cf, its troublemakers).
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_gone() {
        assert_eq!(line("  a\tb\r\n\0c\u{1b}[31m  ", 99), "a b c [31m");
        assert_eq!(line("evil\u{202e}gpj.exe", 99), "evil gpj.exe");
        assert_eq!(bytes(b"\xff\xfe ok", 99), "\u{fffd}\u{fffd} ok");
        assert_eq!(some(" \0 ", 9), None);
        assert_eq!(line("abc def", 4), "abc");
        assert_eq!(line("abcdef", 4), "abcd");
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_short_clean_line(input in proptest::collection::vec(any::<u8>(), 0..4000), max in 0usize..200) {
            let out = bytes(&input, max);
            prop_assert!(out.chars().count() <= max);
            prop_assert!(!out.chars().any(char::is_control));
            prop_assert_eq!(out.trim(), out.as_str());
        }
    }
}

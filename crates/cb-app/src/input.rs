//! Rules that inputs share. Each takes the field's name, so that the answer can name it.

use std::net::IpAddr;

use cb_core::error::Violations;
use cb_core::{Error, Patch, Result};
use ipnet::IpNet;

pub const NAME_MAX: usize = 200;
pub const LABEL_MAX: usize = 200;
pub const SHORT_MAX: usize = 100;
pub const TAG_MAX: usize = 64;
pub const HOSTNAME_MAX: usize = 253;
pub const NOTES_MAX: usize = 20_000;

/// A text of one line, trimmed; `None` when it is refused (and noted). It is judged as it came, so that a description of it is exact.
pub fn line(wrong: &mut Violations, field: &str, text: &str, most: usize) -> Option<String> {
    if text.chars().count() > most {
        wrong.add(field, format!("Use at most {most} characters."));
    } else if text.chars().any(char::is_control) {
        wrong.add(field, "Enter one line without control characters.");
    } else if text.trim().is_empty() {
        wrong.add(field, "This field must not be empty.");
    } else {
        return Some(text.trim().to_owned());
    }
    None
}

/// The same for a field that may be left out; an empty text counts as left out.
pub fn optional_line(wrong: &mut Violations, field: &str, text: Option<&str>, most: usize) -> Option<String> {
    let blank = |text: &str| {
        text.chars().count() <= most && text.chars().all(|c| c.is_whitespace() && !c.is_control())
    };
    let text = text.filter(|text| !blank(text))?;
    line(wrong, field, text, most)
}

/// A patch of an optional line: what it becomes, if it changes.
#[expect(clippy::option_option, reason = "the outer says whether it changes, the inner what to")]
pub fn line_patch(
    wrong: &mut Violations,
    field: &str,
    patch: Patch<String>,
    most: usize,
) -> Option<Option<String>> {
    patch.change().map(|text| optional_line(wrong, field, text.as_deref(), most))
}

pub fn notes(wrong: &mut Violations, text: &str) -> String {
    wrong.require(text.chars().count() <= NOTES_MAX, "notes", "Use at most 20,000 characters.");
    wrong.require(
        !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')),
        "notes",
        "Remove the control characters.",
    );
    text.to_owned()
}

/// A network with its host bits cleared, or what is wrong with the text.
pub fn cidr(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    match text.parse::<IpNet>() {
        Ok(network) => Ok(network.trunc()),
        Err(_) if text.parse::<IpAddr>().is_ok() => Err(format!("Add the prefix length, such as {text}/24.")),
        Err(_) => Err("Enter a network such as 192.168.1.0/24.".to_owned()),
    }
}

/// Lower-case, with colons. Takes `AA-BB-…`, `aabb.ccdd.eeff` and plain digits too.
pub fn mac(text: &str) -> Result<String, String> {
    let digits: String = text
        .trim()
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.'))
        .collect::<String>()
        .to_ascii_lowercase();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("Enter a MAC address such as 00:11:32:aa:bb:cc.".to_owned());
    }
    let pairs: Vec<&str> = (0..6).filter_map(|i| digits.get(i * 2..i * 2 + 2)).collect();
    Ok(pairs.join(":"))
}

pub const NO_PORT: &str = "Enter a port from 1 to 65535, such as 22.";

/// Refuses to change a row that is no longer the one the caller has read.
pub fn expect_version(current: i64, wanted: Option<i64>) -> Result<()> {
    if wanted.is_some_and(|w| w != current) { Err(Error::Stale) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{cidr, mac};

    #[test]
    fn macs_are_taken_in_every_common_form() {
        for text in ["00:11:32:AA:bb:cc", "00-11-32-aa-bb-cc", "0011.32aa.bbcc", " 001132aabbcc "] {
            assert_eq!(mac(text).as_deref(), Ok("00:11:32:aa:bb:cc"), "{text}");
        }
        for text in ["", "00:11:32:aa:bb", "00:11:32:aa:bb:cg", "äöü"] {
            assert!(mac(text).is_err(), "{text}");
        }
    }

    #[test]
    fn host_bits_are_cleared_and_a_missing_prefix_is_named() {
        assert_eq!(cidr("10.1.2.3/16").map(|n| n.to_string()).as_deref(), Ok("10.1.0.0/16"));
        assert!(cidr("10.1.2.3").is_err_and(|e| e.contains("10.1.2.3/24")));
        assert!(cidr("10.1.2.3/33").is_err());
    }
}

//! What a username, an e-mail address and a password must be.

use std::collections::HashSet;
use std::sync::LazyLock;

use cb_core::Secret;
use cb_core::error::Violations;

pub(crate) const USERNAME_MOST: usize = 64;
pub(crate) const EMAIL_MOST: usize = 254;
pub(crate) const PASSWORD_LEAST: usize = 8;
/// A bound on what is hashed.
pub(crate) const PASSWORD_MOST: usize = 1024;

/// ASCII only: no two names look alike and differ.
pub(crate) fn username(wrong: &mut Violations, text: &str) -> String {
    let name = text.trim();
    wrong.require(
        !name.is_empty()
            && name.chars().count() <= USERNAME_MOST
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@')),
        "username",
        "Use 1 to 64 characters: letters, digits and . _ - @.",
    );
    name.to_owned()
}

pub(crate) fn email(wrong: &mut Violations, text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|t| !t.is_empty())?;
    let ok = text.chars().count() <= EMAIL_MOST
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    wrong.require(ok, "email", "Enter an email address such as maria@example.org.");
    Some(text.to_owned())
}

/// Passwords that are tried first, and words that are so with a year behind them: data, one to a line.
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("../../data/common-passwords.txt").lines().filter(|l| !l.starts_with('#')).collect()
});

/// After NIST SP 800-63B: length counts, no composition rules, what is guessed first is refused.
pub(crate) fn password(wrong: &mut Violations, field: &str, password: &Secret, username: &str) {
    let text = password.expose();
    let lower = text.to_lowercase();
    let name = username.trim().to_lowercase();
    if text.chars().count() < PASSWORD_LEAST {
        wrong.add(field, format!("Use at least {PASSWORD_LEAST} characters."));
    } else if text.chars().count() > PASSWORD_MOST {
        wrong.add(field, format!("Use at most {PASSWORD_MOST} characters."));
    } else if name.chars().count() >= 3 && lower.contains(&name) {
        wrong.add(field, "The password must not contain the username.");
    } else {
        let distinct = lower.chars().collect::<HashSet<_>>().len();
        let steps: HashSet<i64> = lower
            .chars()
            .zip(lower.chars().skip(1))
            .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
            .collect();
        let run = steps.len() == 1 && steps.iter().all(|s| s.abs() <= 1);
        let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!' || c == '.');
        if distinct <= 3 || run || COMMON.contains(lower.as_str()) || COMMON.contains(stem) {
            wrong.add(field, "This password is easy to guess. Choose another one.");
        }
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;
    use cb_core::error::Violations;

    fn refused(password: &str, username: &str) -> bool {
        let mut wrong = Violations::new();
        super::password(&mut wrong, "password", &Secret::new(password.to_owned()), username);
        wrong.into_result().is_err()
    }

    #[test]
    fn passwords_are_judged_by_length_and_by_what_is_guessed_first() {
        for bad in [
            "short",
            "12345678",
            "abcdefgh",
            "aaaabbbb",
            "Password123!",
            "maria-2026",
            "administrator",
            &"x".repeat(1025),
        ] {
            assert!(refused(bad, "maria"), "{bad}");
        }
        for good in ["seven green kettles sing", "пароль из слов", "tr0ub4dor", &"äöü!".repeat(20)]
        {
            assert!(!refused(good, "maria"), "{good}");
        }
    }
}

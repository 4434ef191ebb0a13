//! Who made a network card (IEEE registries, compiled in).

/// Locally administered prefixes that hypervisors and container engines use: stable, not made up by
/// a phone.
const STABLE_LOCAL: &[&str] = &["52:54:00", "02:42:", "0a:00:27", "02:00:4c:4f:4f"];

/// Registered names that nobody uses.
const SHORT: &[(&str, &str)] = &[
    ("AVM Audiovisuelles", "AVM"),
    ("AVM GmbH", "AVM"),
    ("Routerboard.com", "MikroTik"),
    ("Mikrotikls", "MikroTik"),
    ("Hewlett Packard Enterprise", "HPE"),
    ("Hangzhou Hikvision", "Hikvision"),
    ("Zhejiang Dahua", "Dahua"),
    ("Raspberry Pi", "Raspberry Pi"),
    ("Proxmox", "Proxmox"),
    ("Super Micro", "Supermicro"),
    ("LCFC", "Lenovo"),
    ("Philips Lighting", "Signify"),
    ("American Power Conversion", "APC"),
    ("Apple", "Apple"),
    ("Samsung", "Samsung"),
];

/// In lower case, with colons.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Reads six hexadecimal pairs with colons or dashes; `None` for zero, broadcast and group addresses.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0u8; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|p| (1..=2).contains(&p.len()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    (parts.next().is_none() && mac != [0; 6] && mac[0] & 1 == 0).then_some(mac)
}

/// The device made this MAC up (locally administered bit, IEEE 802), so it may change.
pub fn is_random(mac: &str) -> bool {
    u8::from_str_radix(mac.get(..2).unwrap_or_default(), 16).is_ok_and(|first| first & 2 != 0)
        && !STABLE_LOCAL.iter().any(|prefix| mac.starts_with(prefix))
}

/// The maker's short name, such as `Synology` or `Hewlett Packard`.
pub fn lookup(mac: &str) -> Option<String> {
    if mac.starts_with("52:54:00") {
        return Some("QEMU virtual".to_owned());
    }
    if is_random(mac) || mac.starts_with("02:42:") {
        return None;
    }
    let organization = oui_data::lookup(mac)?.organization();
    if organization == "Private" {
        return None;
    }
    let known = SHORT.iter().find(|(long, _)| organization.starts_with(long));
    known.map(|(_, short)| (*short).to_owned()).or_else(|| crate::clean::some(&shorten(organization), 60))
}

/// Company forms and countries say nothing about a device.
fn shorten(organization: &str) -> String {
    const FORMS: &[&str] = &[
        "inc",
        "inc.",
        "incorporated",
        "corp",
        "corp.",
        "corporation",
        "corporate",
        "co",
        "co.",
        "co.,ltd",
        "co.,ltd.",
        "co.ltd",
        "co.,",
        "company",
        "ltd",
        "ltd.",
        "limited",
        "llc",
        "l.l.c.",
        "gmbh",
        "ag",
        "kg",
        "s.a.",
        "sa",
        "s.p.a.",
        "spa",
        "b.v.",
        "bv",
        "ab",
        "oy",
        "a/s",
        "as",
        "plc",
        "pty",
        "pte",
        "pte.",
        "international",
        "intl",
        "technologies",
        "technology",
        "electronics",
        "systems",
        "(hangzhou)",
        "usa",
        "&",
    ];
    let text = organization.replace(',', " ");
    let mut words: Vec<&str> = text.split_whitespace().collect();
    while words.len() > 1
        && words.last().is_some_and(|last| FORMS.contains(&last.to_ascii_lowercase().as_str()))
    {
        words.pop();
    }
    let text = words.join(" ");
    // Registries shout: "XEROX" stays a name, "HEWLETT PACKARD" becomes readable.
    if text.len() > 4 && !text.bytes().any(|b| b.is_ascii_lowercase()) {
        text.split_inclusive([' ', '-'])
            .map(|word| match word.char_indices().nth(1) {
                Some((at, _)) if word.trim_end_matches([' ', '-']).len() > 3 => {
                    format!("{}{}", &word[..at], word[at..].to_lowercase())
                }
                _ => word.to_owned(),
            })
            .collect()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_cards_have_a_short_vendor() {
        assert_eq!(lookup("00:11:32:00:00:01").as_deref(), Some("Synology"));
        assert_eq!(lookup("b8:27:eb:00:00:01").as_deref(), Some("Raspberry Pi"));
        assert_eq!(lookup("00:50:56:00:00:01").as_deref(), Some("VMware"));
        assert_eq!(lookup("52:54:00:12:34:56").as_deref(), Some("QEMU virtual"));
        assert_eq!(lookup("da:a1:19:00:00:01"), None);
    }

    #[test]
    fn names_in_capitals_become_readable() {
        for (registered, short) in [
            ("TP-LINK TECHNOLOGIES CO.,LTD.", "TP-Link"),
            ("D-LINK CORPORATION", "D-Link"),
            ("HEWLETT PACKARD", "Hewlett Packard"),
            ("LITE-ON TECHNOLOGY CORP.", "Lite-ON"),
            ("XEROX", "Xerox"),
            ("IBM", "IBM"),
            ("ASUSTek COMPUTER INC.", "ASUSTek COMPUTER"),
        ] {
            assert_eq!(shorten(registered), short);
        }
    }

    #[test]
    fn random_macs_are_told_from_virtual_machines() {
        assert!(is_random("da:a1:19:00:00:01"));
        assert!(!is_random("52:54:00:00:00:01"));
        assert!(!is_random("02:42:ac:11:00:02"));
        assert!(!is_random("00:11:32:00:00:01"));
        assert!(!is_random(""));
    }

    #[test]
    fn macs_are_read_in_their_usual_spellings() {
        assert_eq!(parse_mac("00:11:32:0a:0B:0c").map(mac_text).as_deref(), Some("00:11:32:0a:0b:0c"));
        assert_eq!(parse_mac("0-11-32-a-b-c").map(mac_text).as_deref(), Some("00:11:32:0a:0b:0c"));
        for bad in
            ["", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "00:11:32", "0:1:2:3:4:5:6"]
        {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }
}

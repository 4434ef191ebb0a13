//! What a machine probably is, from all that was learned: pure, so that it can be told and tested.

use std::net::IpAddr;

use cb_core::inventory::{AssetKind, Protocol};

use crate::clean;
use crate::fingerprint::Meaning;
use crate::probes::Answer;
use crate::report::{Guess, ServiceReport};

/// What a machine may be, and what kind of asset that is.
pub(crate) const ROLES: &[(&str, AssetKind)] = &[
    ("router", AssetKind::Device),
    ("firewall", AssetKind::Device),
    ("switch", AssetKind::Device),
    ("access-point", AssetKind::Device),
    ("nas", AssetKind::Storage),
    ("printer", AssetKind::Device),
    ("camera", AssetKind::Device),
    ("server", AssetKind::Compute),
    ("hypervisor", AssetKind::Compute),
    ("workstation", AssetKind::Compute),
    ("phone", AssetKind::Device),
    ("tv", AssetKind::Device),
    ("speaker", AssetKind::Device),
    ("ups", AssetKind::Device),
    ("plc", AssetKind::Device),
    ("iot", AssetKind::Device),
];

/// The kind of a role that a guess can be, however it is spelled.
pub fn kind_of(role: &str) -> Option<AssetKind> {
    let wanted = role.trim().to_lowercase().replace(['_', ' '], "-");
    ROLES.iter().find(|(name, _)| *name == wanted).map(|(_, kind)| *kind)
}

/// What a maker mostly makes, when nothing else is known: words in the vendor's name.
const VENDOR_ROLES: &[(&str, &str, u8)] = &[
    ("synology", "nas", 60),
    ("qnap", "nas", 60),
    ("ubiquiti", "access-point", 50),
    ("mikrotik", "router", 45),
    ("tp-link", "access-point", 20),
    ("avm", "router", 45),
    ("netgate", "firewall", 50),
    ("cisco", "switch", 30),
    ("aruba", "switch", 30),
    ("brother", "printer", 55),
    ("seiko epson", "printer", 45),
    ("lexmark", "printer", 55),
    ("kyocera", "printer", 50),
    ("hikvision", "camera", 55),
    ("dahua", "camera", 55),
    ("axis comm", "camera", 55),
    ("reolink", "camera", 50),
    ("apc", "ups", 55),
    ("siemens", "plc", 35),
    ("espressif", "iot", 50),
    ("shelly", "iot", 60),
    ("tuya", "iot", 55),
    ("signify", "iot", 55),
    ("sonos", "speaker", 60),
    ("roku", "tv", 55),
    ("lg electronics", "tv", 25),
    ("vmware", "server", 35),
    ("qemu", "server", 35),
    ("proxmox", "server", 35),
    ("xensource", "server", 35),
    ("supermicro", "server", 40),
    ("raspberry", "server", 25),
];

/// Whoever has a MAC of these and offers nothing is mostly a phone or a tablet.
const PHONE_MAKERS: &[&str] = &["apple", "samsung", "xiaomi", "oneplus", "motorola mobility", "oppo", "vivo"];

/// What an open port says about its machine: weak, but better than nothing.
const PORT_ROLES: &[(u16, &str, u8)] = &[
    (9100, "printer", 40),
    (515, "printer", 46),
    (631, "printer", 30),
    (554, "camera", 25),
    (37777, "camera", 50),
    (3493, "ups", 30),
    (502, "plc", 40),
    (102, "plc", 45),
    (44818, "plc", 45),
    (3389, "workstation", 30),
    (62078, "phone", 60),
    (8009, "tv", 35),
    (8728, "router", 50),
    (8291, "router", 50),
    (902, "hypervisor", 35),
];

/// Services that a server has, and hardly anything else.
const SERVERS: &[&str] = &[
    "ssh",
    "postgresql",
    "mysql",
    "redis",
    "memcached",
    "mqtt",
    "nats",
    "smtp",
    "imap",
    "pop3",
    "ldap",
    "amqp",
    "ftp",
    "dns",
];

pub(crate) struct Clues<'a> {
    pub address: IpAddr,
    pub vendor: Option<&'a str>,
    pub random_mac: bool,
    /// It is the machine that scans, whose services are not looked at.
    pub own: bool,
    pub gateway: bool,
    pub hostname: Option<&'a str>,
    pub answers: &'a [&'a Answer],
    pub meanings: &'a [Meaning],
    pub services: &'a [ServiceReport],
}

/// The guess, and the full name of the machine.
pub(crate) fn guess(clues: &Clues<'_>) -> (Guess, Option<String>) {
    let best = |part: fn(&Meaning) -> Option<&String>| {
        let mut known: Vec<&Meaning> = clues.meanings.iter().filter(|m| part(m).is_some()).collect();
        known.sort_by_key(|m| std::cmp::Reverse(m.confidence));
        known.first().and_then(|m| part(m)).cloned()
    };
    let device: Vec<&Meaning> = clues.meanings.iter().filter(|m| m.role.is_some()).collect();
    let role = role(clues, &device);
    let told = |probe: &str, field: &str| {
        clues.answers.iter().filter(|a| a.probe == probe).find_map(|a| a.get(field)).map(str::to_owned)
    };
    let model =
        best(|m| m.model.as_ref()).or_else(|| told("ssdp", "model")).or_else(|| told("mdns", "model"));
    // A virtual card says nothing about the maker of a machine, and a product's maker more than the card's.
    let vendor = device
        .iter()
        .filter(|m| m.vendor.is_some())
        .max_by_key(|m| m.confidence)
        .and_then(|m| m.vendor.clone())
        .or_else(|| clues.vendor.map(str::to_owned))
        .or_else(|| told("ssdp", "vendor"));
    let hostname = name(clues);
    let name =
        hostname.as_deref().and_then(short).or_else(|| told("ssdp", "name")).unwrap_or_else(|| {
            match (&model, &vendor) {
                (Some(model), _) => format!("{model} ({})", clues.address),
                (None, Some(vendor)) => format!("{vendor} ({})", clues.address),
                (None, None) => clues.address.to_string(),
            }
        });
    let kind = role
        .and_then(|role| ROLES.iter().find(|(name, _)| *name == role))
        .map_or(AssetKind::Device, |(_, kind)| *kind);
    let guess = Guess {
        name: clean::line(&name, 100),
        kind,
        role: role.map(str::to_owned),
        vendor,
        model,
        os: best(|m| m.os.as_ref()),
    };
    (guess, hostname)
}

fn role(clues: &Clues<'_>, device: &[&Meaning]) -> Option<&'static str> {
    let mut votes: Vec<(&'static str, u8)> = Vec::new();
    let known = |role: &str| ROLES.iter().find(|(name, _)| *name == role).map(|(name, _)| *name);
    for meaning in device {
        votes.extend(meaning.role.as_deref().and_then(known).map(|role| (role, meaning.confidence)));
    }
    if clues.gateway {
        votes.push(("router", 90));
    }
    if let Some(vendor) = clues.vendor.map(str::to_lowercase) {
        votes.extend(
            VENDOR_ROLES
                .iter()
                .filter(|(word, ..)| vendor.contains(word))
                .map(|(_, role, weight)| (*role, *weight)),
        );
    }
    for service in clues.services.iter().filter(|s| s.protocol == Protocol::Tcp) {
        votes.extend(
            PORT_ROLES
                .iter()
                .filter(|(port, ..)| *port == service.port)
                .map(|(_, role, weight)| (*role, *weight)),
        );
        if service.confidence >= 60 && SERVERS.contains(&service.name.as_str()) {
            votes.push(("server", 40));
        } else if service.product.is_some() && service.confidence >= 85 {
            // An application that somebody installed; what boxes bring along has a role of its own.
            votes.push(("server", 38));
        }
    }
    // Phones and tablets offer no service, and most of them make up a MAC for each Wi-Fi network.
    let makes_phones = clues
        .vendor
        .is_some_and(|vendor| PHONE_MAKERS.iter().any(|maker| vendor.to_lowercase().starts_with(maker)));
    if !clues.own && clues.services.is_empty() && (clues.random_mac || makes_phones) {
        votes.push(("phone", 25));
    }
    // Two hints in one direction outweigh one that is slightly stronger.
    let mut sums: Vec<(&'static str, u16, u8)> = Vec::new();
    for (role, weight) in votes {
        match sums.iter_mut().find(|(name, ..)| *name == role) {
            Some((_, sum, strongest)) => {
                *sum += u16::from(weight) / 8;
                *strongest = (*strongest).max(weight);
            }
            None => sums.push((role, 0, weight)),
        }
    }
    sums.iter()
        .max_by_key(|(_, more, strongest)| u16::from(*strongest) + (*more).min(12))
        .map(|(role, ..)| *role)
}

/// The best full name: what DNS says, else what it calls itself.
fn name(clues: &Clues<'_>) -> Option<String> {
    let says =
        |probe: &str| clues.answers.iter().filter(|a| a.probe == probe).find_map(|a| a.hostname.clone());
    let told = clues.meanings.iter().find_map(|m| m.host.clone());
    let candidates = [
        clues.hostname.map(str::to_owned),
        says("snmp"),
        says("mdns"),
        says("smb"),
        says("netbios"),
        says("ldap"),
        told,
    ];
    candidates.into_iter().flatten().find(|name| {
        let sane = name.chars().any(char::is_alphanumeric) && !name.eq_ignore_ascii_case("localhost");
        sane && !name.eq_ignore_ascii_case("localhost.localdomain") && name.parse::<IpAddr>().is_err()
    })
}

/// The first label of a DNS name; any other name as it is.
fn short(name: &str) -> Option<String> {
    let label = if name.contains(' ') { name } else { name.split('.').next().unwrap_or(name) };
    clean::some(label, 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clues<'a>(
        vendor: Option<&'a str>,
        services: &'a [ServiceReport],
        meanings: &'a [Meaning],
    ) -> Clues<'a> {
        Clues {
            address: IpAddr::from([10, 0, 0, 5]),
            vendor,
            random_mac: false,
            own: false,
            gateway: false,
            hostname: None,
            answers: &[],
            meanings,
            services,
        }
    }

    fn open(port: u16, name: &str, confidence: u8) -> ServiceReport {
        ServiceReport {
            protocol: Protocol::Tcp,
            port,
            name: name.to_owned(),
            product: None,
            version: None,
            scheme: None,
            confidence,
        }
    }

    #[test]
    fn a_nas_with_ssh_stays_a_nas() {
        let services = [open(22, "ssh", 90), open(445, "smb", 80)];
        let meanings = [Meaning { role: Some("nas".to_owned()), confidence: 90, ..Meaning::default() }];
        let (guess, _) = guess(&clues(Some("Synology"), &services, &meanings));
        assert_eq!(guess.role.as_deref(), Some("nas"));
        assert_eq!(guess.kind, AssetKind::Storage);
        assert_eq!(guess.name, "Synology (10.0.0.5)");
    }

    #[test]
    fn ports_and_vendors_give_a_weak_role() {
        assert_eq!(
            guess(&clues(None, &[open(9100, "jetdirect", 30)], &[])).0.role.as_deref(),
            Some("printer")
        );
        assert_eq!(guess(&clues(None, &[open(22, "ssh", 90)], &[])).0.role.as_deref(), Some("server"));
        assert_eq!(guess(&clues(None, &[], &[])).0.role, None);
    }

    #[test]
    fn a_maker_of_phones_or_a_random_mac_without_a_service_is_a_phone() {
        let ssh = [open(22, "ssh", 90)];
        for (random_mac, vendor, services, role) in [
            (true, None, &[][..], Some("phone")),
            (false, Some("Apple"), &[][..], Some("phone")),
            (false, Some("Dell"), &[][..], None),
            (true, None, &ssh[..], Some("server")),
            (false, Some("Apple"), &ssh[..], Some("server")),
        ] {
            let clues = Clues { random_mac, ..clues(vendor, services, &[]) };
            assert_eq!(guess(&clues).0.role.as_deref(), role, "{random_mac} {vendor:?} {}", services.len());
            assert_ne!(guess(&Clues { own: true, ..clues }).0.role.as_deref(), Some("phone"));
        }
    }

    #[test]
    fn the_name_is_the_first_label() {
        let mut clues = clues(None, &[], &[]);
        clues.hostname = Some("nas.lab.home.arpa");
        let (guess, hostname) = guess(&clues);
        assert_eq!((guess.name.as_str(), hostname.as_deref()), ("nas", Some("nas.lab.home.arpa")));
    }
}

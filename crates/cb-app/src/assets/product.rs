//! Vendor and model in one line, each said once: "Brother" and "Brother HL-2270" are one Brother. As `productName` of the client has it;
//! both are tested with the same cases.

/// What a company is in law, at the end of its name.
const LEGAL: [&str; 14] = [
    "inc",
    "ltd",
    "llc",
    "gmbh",
    "ag",
    "corp",
    "corporation",
    "co",
    "company",
    "limited",
    "sa",
    "s.a",
    "bv",
    "b.v",
];

pub(super) fn product_name(vendor: Option<&str>, model: Option<&str>) -> String {
    let vendor = plain(vendor);
    let (said, rest) = without_vendor(&vendor, plain(model));
    if let Some(said) = said {
        return if rest.is_empty() { vendor } else { format!("{said} {rest}") };
    }
    // "Raspberry Pi Trading" has made the "Raspberry Pi 4".
    let first = vendor.split(' ').next().unwrap_or_default();
    let again =
        first.chars().count() > 2 && after(&rest, first).is_some_and(|(_, left)| left.starts_with(' '));
    // "Hewlett Packard" has made the "HP LaserJet".
    let initials: String = vendor.split(' ').filter_map(|word| word.chars().next()).collect();
    let short = initials.chars().count() > 1 && rest.starts_with(&format!("{initials} "));
    if again || short || vendor.is_empty() {
        return rest;
    }
    if rest.is_empty() { vendor } else { format!("{vendor} {rest}") }
}

fn plain(text: Option<&str>) -> String {
    text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The vendor as the model repeats it at its beginning, and what comes behind.
fn without_vendor(vendor: &str, mut rest: String) -> (Option<String>, String) {
    let short = without_legal(vendor);
    let names = [vendor, short, without_legal(short)];
    let mut said = None;
    let separates = |c: char| c == ' ' || matches!(c, ',' | ':' | '/');
    while let Some((name, left)) = names.iter().filter(|name| !name.is_empty()).find_map(|name| {
        after(&rest, name).filter(|(_, left)| left.is_empty() || left.starts_with(separates))
    }) {
        said.get_or_insert_with(|| name.to_owned());
        rest = left.trim_start_matches(separates).to_owned();
    }
    (said, rest)
}

/// `text` cut behind `name`, when it begins with it in any case.
fn after<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let cut = text.char_indices().nth(name.chars().count()).map_or(text.len(), |(at, _)| at);
    let (begin, left) = text.split_at(cut);
    (begin.to_lowercase() == name.to_lowercase()).then_some((begin, left))
}

fn without_legal(vendor: &str) -> &str {
    let Some((name, last)) = vendor.rsplit_once([' ', ',']) else { return vendor };
    let word = last.strip_suffix('.').unwrap_or(last).to_lowercase();
    if LEGAL.contains(&word.as_str()) { name.trim_end_matches([' ', ',']) } else { vendor }
}

#[cfg(test)]
mod tests {
    use super::product_name;

    type Case = (Option<String>, Option<String>, String, String);

    #[test]
    fn vendor_and_model_are_said_as_on_the_page() {
        let cases = include_str!("../../../../web/src/domain/product-cases.json");
        let cases: Vec<Case> = serde_json::from_str(cases).expect("cases");
        assert!(cases.len() > 10);
        for (vendor, model, both, _) in cases {
            assert_eq!(product_name(vendor.as_deref(), model.as_deref()), both, "{vendor:?} and {model:?}");
        }
    }
}

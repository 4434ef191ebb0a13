//! Whatever stands in a sealed column, opening it answers and does not panic.
#![no_main]

use cb_core::{OsEntropy, Secret};
use cb_vault::fernet::Key;
use cb_vault::seal::{Place, Ring, RootKey, key_of};
use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let root = RootKey::new(Key::parse(&Secret::new(KEY.to_owned())).expect("a key"));
    let now = DateTime::from_timestamp(499_162_800, 0).expect("a time");
    let id = Uuid::from_u128(7);
    let wrapped = root.new_key(&id, now, &OsEntropy);
    let ring = Ring::unwrap(&root, id, [(&id, wrapped.as_str())]).expect("opens");
    let place = Place { field: "users.totp_secret", row: &id };
    assert!(ring.open(place, text).is_err(), "only what was sealed opens");
    let _ = key_of(text);
    let _ = Ring::unwrap(&root, id, [(&id, text)]);
});

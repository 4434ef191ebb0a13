//! Whatever a token is, opening it answers and does not panic; what opens was made with the key.
#![no_main]

use cb_core::{OsEntropy, Secret};
use cb_vault::fernet::Key;
use chrono::{DateTime, TimeDelta};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

fuzz_target!(|data: &[u8]| {
    let key = Key::parse(&Secret::new(KEY.to_owned())).expect("a key");
    let now = DateTime::from_timestamp(499_162_800, 0).expect("a time");
    let _ = key.decrypt(data);
    let _ = key.decrypt_fresh(data, TimeDelta::seconds(60), now);
    let token = key.encrypt(data, now, &OsEntropy);
    assert_eq!(key.decrypt(token.as_bytes()).expect("opens").as_slice(), data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Key::parse(&Secret::new(text.to_owned()));
    }
});

//! Fernet against another implementation, both ways, and against anything at all.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_core::{Entropy as _, OsEntropy, Secret};
use cb_vault::fernet::Key;
use cb_vault::seal::{Place, Ring, RootKey, key_of};
use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// Opens our tokens and makes its own, as the package `cryptography` does.
const THEIRS: &str = r#"
import base64, json, sys
from cryptography.fernet import Fernet, InvalidToken
out = []
for case in json.load(sys.stdin):
    fernet, plain = Fernet(case["key"].encode()), base64.b64decode(case["plain"])
    token = case["token"].encode()
    altered = token[:20] + (b"A" if token[20:21] != b"A" else b"B") + token[21:]
    try:
        fernet.decrypt(altered)
        refused = False
    except InvalidToken:
        refused = True
    out.append({
        "opens": fernet.decrypt(token) == plain,
        "time": fernet.extract_timestamp(token),
        "refused": refused,
        "token": fernet.encrypt_at_time(plain, case["time"]).decode(),
    })
json.dump(out, sys.stdout)
"#;

const NEEDS: &str = "Debian's python3 with python3-cryptography: scripts/ensure test";

fn key() -> (Secret, Key) {
    let text = Secret::new(Key::generate(&OsEntropy));
    let key = Key::parse(&text).expect("a key");
    (text, key)
}

#[test]
fn tokens_go_both_ways_to_and_from_python_cryptography() {
    let time = 1_767_225_600;
    let now = DateTime::from_timestamp(time, 0).expect("a time");
    // Every length around the blocks of 16 bytes, and some that are long.
    let lengths = (0..70).chain([200, 1_000, 65_537]);
    let cases: Vec<(Secret, Key, Vec<u8>)> = lengths
        .map(|length| {
            let (text, key) = key();
            let mut plain = vec![0u8; length];
            OsEntropy.fill(&mut plain);
            (text, key, plain)
        })
        .collect();
    let asked: Vec<Value> = cases
        .iter()
        .map(|(text, key, plain)| {
            let token = key.encrypt(plain, now, &OsEntropy);
            json!({ "key": text.expose(), "plain": STANDARD.encode(plain), "token": token, "time": time })
        })
        .collect();
    let mut python = Command::new("/usr/bin/python3");
    let python = python.args(["-c", THEIRS]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect(NEEDS);
    let asked = serde_json::to_vec(&asked).expect("encodes");
    python.stdin.take().expect("piped").write_all(&asked).expect(NEEDS);
    let done = python.wait_with_output().expect("ends");
    assert!(done.status.success(), "{NEEDS}");
    let told: Vec<Value> = serde_json::from_slice(&done.stdout).expect("answers");
    assert_eq!(told.len(), cases.len());
    for ((_, key, plain), theirs) in cases.iter().zip(told) {
        assert_eq!((&theirs["opens"], &theirs["refused"]), (&json!(true), &json!(true)), "{}", plain.len());
        assert_eq!(theirs["time"], json!(time));
        let token = theirs["token"].as_str().expect("a token");
        let opened = key.decrypt_fresh(token.as_bytes(), TimeDelta::seconds(1), now);
        assert_eq!(opened.expect("opens").as_slice(), plain);
    }
}

fn ring() -> Ring {
    let root = RootKey::new(key().1);
    let (id, now) = (Uuid::from_u128(7), DateTime::from_timestamp(0, 0).expect("a time"));
    let wrapped = root.new_key(&id, now, &OsEntropy);
    Ring::unwrap(&root, id, [(&id, wrapped.as_str())]).expect("opens")
}

proptest! {
    #[test]
    fn anything_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,120}") {
        let (_, key) = key();
        let now = DateTime::from_timestamp(1_767_225_600, 0).expect("a time");
        prop_assert!(key.decrypt(&bytes).is_none());
        prop_assert!(key.decrypt_fresh(&bytes, TimeDelta::seconds(60), now).is_none());
        // Base64 of anything, so that it is not only the alphabet that refuses.
        prop_assert!(key.decrypt(STANDARD.encode(&bytes).as_bytes()).is_none());
        let _ = Key::parse(&Secret::new(text.clone()));
        let id = Uuid::from_u128(7);
        let place = Place { field: "users.totp_secret", row: &id };
        for sealed in [text.clone(), format!("v1:{text}"), format!("v1:{id}:{text}")] {
            prop_assert!(ring().open(place, &sealed).is_err());
            let _ = key_of(&sealed);
        }
    }

    #[test]
    fn what_is_sealed_opens_and_an_altered_character_does_not(
        plain in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        by in 1u8..255,
    ) {
        let (_, key) = key();
        let now = DateTime::from_timestamp(1_767_225_600, 0).expect("a time");
        let token = key.encrypt(&plain, now, &OsEntropy);
        let opened = key.decrypt(token.as_bytes()).expect("opens");
        prop_assert_eq!(opened.as_slice(), plain.as_slice());
        let mut altered = token.into_bytes();
        let at = at.index(altered.len());
        altered[at] ^= by;
        prop_assert!(key.decrypt(&altered).is_none());
        altered.truncate(at);
        prop_assert!(key.decrypt(&altered).is_none());
    }
}

//! How long Fernet takes to seal and open 200 bytes, on one core. Prints one line.

use std::time::Instant;

use cb_core::{OsEntropy, Secret};
use cb_vault::fernet::Key;
use chrono::DateTime;

const ROUNDS: usize = 40;
const EACH: u128 = 2_000;

#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
fn main() {
    let key = Key::parse(&Secret::new(Key::generate(&OsEntropy))).expect("a key");
    let (plain, now) = ([7u8; 200], DateTime::from_timestamp(1_767_225_600, 0).expect("a time"));
    let mut took: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..EACH {
                let token = key.encrypt(std::hint::black_box(&plain), now, &OsEntropy);
                std::hint::black_box(key.decrypt(token.as_bytes()).expect("opens"));
            }
            began.elapsed().as_nanos() / EACH
        })
        .collect();
    took.sort_unstable();
    println!("{} ns sealing and opening 200 bytes", took[ROUNDS / 2]);
}

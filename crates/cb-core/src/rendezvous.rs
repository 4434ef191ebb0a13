//! Which of several servers takes which part of the work: rendezvous hashing. Every server computes the same from the same list, and a
//! server that leaves or comes moves its own share only.

use sha2::{Digest as _, Sha256};

/// The server that takes `part`, whatever the order of the list; none where there is no server.
pub fn owner<'s>(part: &[u8], servers: impl IntoIterator<Item = &'s str>) -> Option<&'s str> {
    servers.into_iter().max_by_key(|server| (weight(part, server), *server))
}

/// The same in every version, because servers of two versions work side by side.
fn weight(part: &[u8], server: &str) -> u64 {
    let mut digest = Sha256::new();
    digest.update((server.len() as u64).to_be_bytes());
    digest.update(server.as_bytes());
    digest.update(part);
    let all = digest.finalize();
    all.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::owner;

    const SERVERS: [&str; 5] = ["ada", "bob", "cyd", "dee", "eva"];

    fn owners<'s>(servers: &[&'s str]) -> Vec<&'s str> {
        let part = |n: u32| owner(&n.to_be_bytes(), servers.iter().copied()).expect("there are servers");
        (0..2_000).map(part).collect()
    }

    #[test]
    fn one_that_leaves_or_comes_moves_its_own_share_only() {
        let before = owners(&SERVERS);
        for gone in SERVERS {
            let left: Vec<_> = SERVERS.into_iter().filter(|server| *server != gone).collect();
            for (was, is) in before.iter().zip(owners(&left)) {
                assert!(*was == gone || *was == is, "{gone} went, and a part of {was} moved to {is}");
                assert_ne!(is, gone);
            }
        }
    }

    #[test]
    fn each_has_about_the_same_share_and_the_order_of_the_list_does_not_matter() {
        let all = owners(&SERVERS);
        for server in SERVERS {
            let share = all.iter().filter(|owner| **owner == server).count();
            assert!((330..470).contains(&share), "{server}: {share} of 2000");
        }
        let mut turned = SERVERS;
        turned.reverse();
        assert_eq!(all, owners(&turned));
    }

    #[test]
    fn every_version_computes_the_same() {
        for (part, server) in [("scan", "ada"), ("webhook", "bob"), ("", "bob")] {
            assert_eq!(owner(part.as_bytes(), SERVERS), Some(server), "{part}");
        }
        assert_eq!(owner(b"scan", []), None);
        assert_eq!(owner(b"scan", ["ada"]), Some("ada"));
    }
}

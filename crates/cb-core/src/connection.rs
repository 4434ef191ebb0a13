//! What became of a connection, for people.

use std::io;

/// What an error means. The system's own words for it are short, and end with a number that says nothing to most people.
pub fn words(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing accepts connections there",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "the other side closed the connection"
        }
        io::ErrorKind::HostUnreachable => "the address cannot be reached",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            "this server has no route to this address"
        }
        io::ErrorKind::TimedOut => "no answer in time",
        _ => "",
    };
    if !known.is_empty() && error.raw_os_error().is_some() {
        return known.to_owned();
    }
    let said = error.to_string();
    said.split(" (os error ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::words;

    #[test]
    fn no_error_of_the_system_shows_its_number() {
        for number in 1..134 {
            let said = words(&io::Error::from_raw_os_error(number));
            assert!(!said.is_empty() && !said.contains("os error"), "{number}: {said}");
        }
        assert_eq!(words(&io::Error::from_raw_os_error(101)), "this server has no route to this address");
        assert_eq!(words(&io::Error::other("the answer ends early")), "the answer ends early");
    }
}

//! Outbound requests against servers of our own on loopback, which the allow list opens, and a name server
//! that answers what each test wants.

mod names;
mod redirects;
mod stub;
mod trust;

//! Outbound connections against servers of our own on loopback, which the allow list opens, and a name server
//! that answers what each test wants.

mod bounds;
mod cases;
mod greeting;
mod mail;
mod names;
mod redirects;
mod stub;
mod tcp;
mod trust;

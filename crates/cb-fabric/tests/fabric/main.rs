//! The laws of the fabric, over both modes, and what a cluster does when Redis or NATS fail.

mod forged;
mod laws;
mod outages;
mod world;

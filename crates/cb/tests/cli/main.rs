//! The binary as somebody at a terminal meets it.

mod backup;
mod cluster;
mod db_password;
mod files;
mod first_hour;
mod log;
mod net;
mod output;
mod over_tls;
mod own_memory;
mod pooled;
mod scan;
mod scrape;
mod secrets;
mod senders;
mod signals;
mod site;
mod vault;
mod webhooks;

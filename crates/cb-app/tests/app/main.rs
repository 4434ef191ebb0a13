//! The use cases over both databases.

mod access;
mod audit;
mod channels;
mod clock;
mod cluster;
mod credentials;
mod discovery;
mod ends;
mod inventory;
mod jobs;
mod live;
mod networks;
mod news;
mod periodic;
mod replay;
mod retention;
mod review;
mod sight;
mod vault;
mod vault_columns;
mod vault_root;
mod vault_schedule;
mod views;
mod webhooks;
mod webhooks_failing;
mod write_path;

//! The only way to a writing transaction, and the audit entry that it cannot do without.

use std::net::IpAddr;

use cb_core::clock::Time;
use cb_core::ids::RequestId;
use cb_core::{Error, Event, Principal, Result};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use serde_json::Value;
use uuid::Uuid;

use crate::open::{Store, db};
use crate::outbox::Audience;

/// What the entry says besides what the closure adds.
pub struct Audit<'a> {
    pub action: &'static str,
    pub actor: &'a Principal,
    pub at: Time,
    /// None when no request asked for it.
    pub origin: Option<Origin>,
}

/// The request behind a write, and where it came from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub request_id: RequestId,
    pub address: IpAddr,
    pub agent: String,
}

/// An open writing transaction. It cannot be committed from outside.
pub struct WriteTx {
    tx: DatabaseTransaction,
    action: &'static str,
    entity: Option<(&'static str, Uuid)>,
    detail: Value,
    events: Vec<Event>,
    pub(crate) audience: Option<Audience>,
}

impl WriteTx {
    /// What it turned out to be, when that is only known within.
    pub fn action(&mut self, action: &'static str) {
        self.action = action;
    }

    /// The thing that this write is about.
    pub fn about(&mut self, kind: &'static str, id: impl Into<Uuid>) {
        self.entity = Some((kind, id.into()));
    }

    /// What changed, for the reader of the audit log. Never a secret.
    pub fn detail(&mut self, detail: Value) {
        self.detail = detail;
    }

    /// To be told once the transaction has committed.
    pub fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    pub fn conn(&self) -> &impl ConnectionTrait {
        &self.tx
    }
}

impl Store {
    pub(crate) async fn begin_write(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writer().begin_with_options(options).await.map_err(db)
    }

    /// Runs `work` and appends the audit entry in one transaction; gives back what `work` gave and the
    /// events to tell. Nothing is kept if either fails.
    pub async fn write<T>(
        &self,
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        let tx = self.begin_write().await?;
        let head = crate::audit::lock_head(&tx).await?;
        let mut write = WriteTx {
            tx,
            action: audit.action,
            entity: None,
            detail: Value::Object(serde_json::Map::new()),
            events: Vec::new(),
            audience: None,
        };
        // Dropping the transaction rolls it back, here and when the request is cancelled.
        let out = work(&mut write).await?;
        let WriteTx { tx, action, entity, detail, mut events, audience: _ } = write;
        let audit = Audit { action, ..audit };
        events.push(Event::EntryAppended { seq: head.seq });
        crate::audit::append(&tx, head, &audit, entity, &detail).await?;
        // Counted however the commit ends: one that nobody has waited for may have happened.
        let counted = self.count_write();
        tx.commit().await.map_err(db)?;
        drop(counted);
        Ok((out, events))
    }
}

/// A constraint that the database kept, as the error of the one who ran into it.
pub fn conflict(error: &sea_orm::DbErr, message: &str) -> Error {
    match error.sql_err() {
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => Error::Conflict(message.to_owned()),
        Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)) => Error::NotFound,
        _ => Error::Internal(format!("database: {error}")),
    }
}

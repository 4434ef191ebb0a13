//! What every operation carries.

use cb_core::audit::Action;
use std::net::IpAddr;

use cb_core::clock::Time;
use cb_core::ids::RequestId;
use cb_core::{Error, Permission, Principal, Result};
use cb_store::{After, Audit, Connections, Hold, Origin, Row, Store, WriteTx};
use chrono::TimeDelta;
use uuid::Uuid;

use crate::app::App;
use crate::auth::Devices;
use crate::auth::sessions::stands;

/// Where a request came from, as far as the edge can tell.
#[derive(Debug, Clone)]
pub struct RequestMeta {
    pub request_id: RequestId,
    pub ip: IpAddr,
    pub user_agent: String,
    /// The browser's marks that it has signed in before.
    pub devices: Devices,
}

/// Who acts, through which request, on which application.
#[derive(Clone)]
pub struct Ctx {
    app: App,
    principal: Principal,
    meta: Option<RequestMeta>,
    /// The job that it is done for.
    hold: Option<Hold>,
}

impl Ctx {
    pub(crate) fn new(app: App, principal: Principal, meta: Option<RequestMeta>) -> Self {
        Self { app, principal, meta, hold: None }
    }

    /// Whose every write is kept only as long as this worker holds the job.
    pub(crate) fn holding(self, hold: Hold) -> Self {
        Self { hold: Some(hold), ..self }
    }

    /// The job that bookkeeping is done for, if it is done for one.
    pub(crate) fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub fn meta(&self) -> Option<&RequestMeta> {
        self.meta.as_ref()
    }

    pub(crate) fn store(&self) -> &Store {
        self.app.store()
    }

    pub(crate) fn now(&self) -> Time {
        self.app.now()
    }

    pub(crate) fn new_id(&self) -> Uuid {
        self.app.new_id()
    }

    pub fn authorize(&self, permission: Permission) -> Result<()> {
        self.principal.authorize(permission)
    }

    /// What changes who may do what asks for a proof of identity of the last ten minutes. A program has none to give,
    /// the operator of the machine needs none.
    pub(crate) fn require_proof(&self) -> Result<()> {
        const FRESH: TimeDelta = TimeDelta::minutes(10);
        match &self.principal {
            Principal::Operator | Principal::Cli => Ok(()),
            // Not more than that in the future either: the clock may have been set back since.
            Principal::User { proved_at, .. }
                if proved_at.is_some_and(|at| (self.now() - at).abs() <= FRESH) =>
            {
                Ok(())
            }
            Principal::User { .. } => Err(Error::ProofRequired),
            _ => Err(Error::Denied("This needs a session. An API token cannot do it.".to_owned())),
        }
    }

    /// A connection to read with, for those who may.
    pub(crate) fn read(&self, permission: Permission) -> Result<&Connections> {
        self.authorize(permission)?;
        Ok(self.store().reader())
    }

    /// The only way to change anything: permission, transaction, audit entry; events after the commit. No other write runs meanwhile,
    /// so the work may decide on whatever it reads.
    pub(crate) async fn write<T>(
        &self,
        permission: Permission,
        action: Action,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<T> {
        self.authorize(permission)?;
        self.record(action, work).await
    }

    /// [`Ctx::write`] beside others of its kind, for the frequent writes that decide on `rows` only. What else the work reads, it may
    /// rely on when no function that calls this changes it. `docs/adr/0015-audit-under-concurrency.md` lists them. The work runs again
    /// when it meets a row that another client has locked.
    pub(crate) async fn write_rows<T>(
        &self,
        permission: Permission,
        action: Action,
        rows: &[Row],
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T> + Clone,
    ) -> Result<T> {
        self.authorize(permission)?;
        let work = async |tx: &mut WriteTx| {
            self.still_may(tx).await?;
            work(tx).await
        };
        self.told(self.store().write_rows(rows, self.audit(action), work).await)
    }

    /// [`Ctx::write`] for what needs no permission: signing in and out, and setup, which prove
    /// themselves otherwise.
    pub(crate) async fn record<T>(
        &self,
        action: Action,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<T> {
        let work = async |tx: &mut WriteTx| {
            self.still_may(tx).await?;
            work(tx).await
        };
        self.record_past(action, work).await
    }

    /// A body may have been long on its way, and a write waits for others: whoever has lost their session, token or role meanwhile
    /// writes nothing, and no worker that has lost its job. What takes the former away is never written beside another; the job's row
    /// is locked.
    async fn still_may(&self, tx: &WriteTx) -> Result<()> {
        if let Some(hold) = &self.hold
            && !tx.holds(hold).await?
        {
            return Err(lost());
        }
        if stands(tx.conn(), &self.principal, self.now()).await? {
            return Ok(());
        }
        Err(Error::Unauthenticated("The session has ended. Sign in again.".to_owned()))
    }

    /// [`Ctx::record`] for what has happened already: it is told even when the session of whoever did it has ended since.
    pub(crate) async fn record_past<T>(
        &self,
        action: Action,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<T> {
        self.told(self.store().write(self.audit(action), work).await)
    }

    fn audit(&self, action: Action) -> Audit<'_> {
        Audit {
            action,
            actor: &self.principal,
            at: self.now(),
            origin: self.meta.as_ref().map(|m| Origin {
                request_id: m.request_id,
                address: m.ip,
                agent: m.user_agent.clone(),
            }),
        }
    }

    fn told<T>(&self, written: Result<(T, After)>) -> Result<T> {
        let (out, after) = written?;
        self.app.bus().publish(after.events);
        after.wakes.into_iter().for_each(|kind| self.app.wake(kind));
        Ok(out)
    }
}

fn lost() -> Error {
    Error::Conflict("Another worker has taken this job over.".to_owned())
}

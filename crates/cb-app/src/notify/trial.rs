//! A test: a notice that nobody subscribes to, sent now to one subscriber, also to one that is disabled; it leaves no delivery.

use cb_core::audit::Action;
use cb_core::notice::{Notice, NoticeKind, Severity};
use cb_core::{Error, Permission, Result};
use cb_store::Subscriber;
use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::subscriber::{Receiver, word};
use crate::ctx::Ctx;

/// The result of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotificationTest)]
pub struct TestOut {
    pub delivered: bool,
    #[schema(required)]
    pub status: Option<u16>,
    pub took_ms: u64,
    /// The reason for a failure.
    #[schema(required)]
    pub error: Option<String>,
    /// Something to know about a message that was accepted.
    #[schema(required)]
    pub note: Option<String>,
    /// The beginning of the answer.
    #[schema(required)]
    pub excerpt: Option<String>,
}

pub(super) async fn run(ctx: &Ctx, subscriber: Subscriber) -> Result<TestOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    Receiver::find(ctx.app(), subscriber).await?.ok_or(Error::NotFound)?;
    let key = format!("{}-test:{}", word(subscriber), ctx.principal().id().unwrap_or_default());
    ctx.app().throttle().enter([&key]).await?;
    // In a task of its own: whoever hangs up has sent it all the same, and the log says so.
    let (tell, heard) = oneshot::channel();
    let task = ctx.clone();
    ctx.app().spawn(async move {
        let out = carry_out(&task, subscriber).await;
        if matches!(&out, Ok(out) if out.delivered) {
            task.app().throttle().spare(&key).await;
        }
        // Nobody listens any more.
        let _ = tell.send(out);
    });
    heard.await.map_err(|_| Error::Unavailable("The server is stopping.".to_owned()))?
}

async fn carry_out(ctx: &Ctx, subscriber: Subscriber) -> Result<TestOut> {
    let receiver = Receiver::find(ctx.app(), subscriber).await?.ok_or(Error::NotFound)?;
    let action = match subscriber {
        Subscriber::Webhook(_) => Action::WebhookTested,
        Subscriber::Channel(_) => Action::ChannelTested,
    };
    let notice = Notice {
        id: ctx.new_id(),
        kind: NoticeKind::Test,
        at: ctx.now(),
        severity: Severity::Info,
        title: "A test from Circuit Breaker".to_owned(),
        text: format!("{} sent this to check that messages arrive.", ctx.principal().name()),
        path: None,
        data: json!({ word(subscriber): receiver.name }),
    };
    let tried = receiver.tell(ctx.app(), &notice).await;
    let delivered = tried.delivered();
    ctx.write(Permission::NotificationsWrite, action, async |tx| {
        tx.about(word(subscriber), subscriber.id());
        // Not the reason: it has what the receiver says.
        tx.detail(json!({ "name": receiver.name, "origin": receiver.where_to(), "delivered": delivered }));
        Ok(())
    })
    .await?;
    let (attempt, note) = (tried.attempt, tried.answer.note);
    Ok(TestOut {
        delivered,
        note,
        status: attempt.status,
        took_ms: attempt.took_ms,
        error: attempt.error,
        excerpt: attempt.excerpt,
    })
}

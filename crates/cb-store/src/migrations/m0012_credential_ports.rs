//! A secret goes only to the ports that are usual for its kind, or that are typed. The secret of a provider's client may have gone to
//! another port before: the port of its issuer is typed for it here, so that people can still sign in.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;
use serde_json::Value;
use uuid::Uuid;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0012_credential_ports"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let named = Query::select()
            .columns([("credentials", "id"), ("credentials", "hosts"), ("oidc_providers", "issuer")])
            .from("oidc_providers")
            .inner_join(
                "credentials",
                Expr::col(("oidc_providers", "credential_id")).equals(("credentials", "id")),
            )
            .order_by(("oidc_providers", "id"), Order::Asc)
            .to_owned();
        let mut added: Vec<(Uuid, Vec<String>)> = Vec::new();
        for row in db.query_all(&named).await? {
            let id: Uuid = row.try_get("", "id")?;
            let hosts: Value = row.try_get("", "hosts")?;
            let issuer: String = row.try_get("", "issuer")?;
            let Some(authority) = with_port(&issuer) else { continue };
            // Several providers may name one credential.
            let place = added.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                added.push((id, serde_json::from_value(hosts).unwrap_or_default()));
                added.len() - 1
            });
            let hosts = &mut added[place].1;
            if !hosts.contains(&authority) {
                hosts.push(authority);
            }
        }
        for (id, hosts) in added {
            let change = Query::update()
                .table("credentials")
                .value("hosts", serde_json::json!(hosts))
                .and_where(Expr::col("id").eq(id))
                .to_owned();
            db.execute(&change).await?;
        }
        Ok(())
    }

    // An earlier version reads no host with a port, and sends the secret to the others at every port.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

/// `host:port` of an address, if it names a port.
fn with_port(issuer: &str) -> Option<String> {
    let authority = issuer.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    let port = authority.rsplit_once(':')?.1;
    let named = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (named && !authority.contains('@')).then(|| authority.to_ascii_lowercase())
}

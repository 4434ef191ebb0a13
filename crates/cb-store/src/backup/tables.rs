//! Every table, in an order in which its rows can be put in, and how all of them go from one database into another.

use cb_core::{Result, hex};
use sea_orm::sea_query::{OnConflict, ValueTuple};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait, Identity, IntoActiveModel,
    Iterable as _, ModelTrait, Statement,
};
use sha2::{Digest as _, Sha256};

use crate::entities::{
    address, asset, asset_tag, audit_anchor, audit_checkpoint, audit_entry, audit_head, auth_step, channel,
    credential, credential_use, delivery, finding, finding_key, hook, hook_event, identity, interface, job,
    link, network, notice, oidc_provider, passkey, position, recovery_code, scan, service, session, setting,
    spent_ticket, tag, token, user, user_identity, vault_key, view, webhook,
};
use crate::fault::db;

macro_rules! tables {
    ($($table:ident),* $(,)?) => {
        /// The names of all of them.
        fn names() -> Vec<String> {
            vec![$($table::Entity.table_name().to_owned()),*]
        }

        async fn copy_all(from: &impl ConnectionTrait, to: &impl ConnectionTrait) -> Result<Vec<Sum>, DbErr> {
            Ok(vec![$(copy::<$table::Entity>(from, to).await?),*])
        }

        async fn read_all(from: &impl ConnectionTrait) -> Result<Vec<Sum>, DbErr> {
            Ok(vec![$(read::<$table::Entity>(from).await?),*])
        }

        #[cfg(test)]
        fn columns() -> std::collections::BTreeMap<String, std::collections::BTreeSet<String>> {
            [$((
                $table::Entity.table_name().to_owned(),
                $table::Column::iter().map(|column| sea_orm::IdenStatic::as_str(&column).to_owned()).collect(),
            )),*].into()
        }
    };
}

// Tables come after the tables that they refer to.
tables! {
    setting, user, session, token, auth_step, recovery_code, passkey, spent_ticket, view,
    audit_head, audit_entry, audit_checkpoint, audit_anchor,
    vault_key, credential, credential_use, oidc_provider, user_identity,
    network, asset, interface, address, service, identity, link, tag, asset_tag, position,
    job, scan, finding, finding_key,
    webhook, channel, notice, delivery, hook, hook_event,
}

/// Tables that no copy takes. Kept answers are of use for a day, and were made from requests that may hold passwords. When periodic
/// work is done next is a matter of the servers that run: after a restore all of it is due. Which servers there are, and what they share, they say
/// again when they start; the audit key is a file of the archive. What the schema fits is a matter of the migrations.
pub(super) const LEFT_OUT: &[&str] =
    &["kept_answers", "periodic_work", "servers", "shared_secrets", "schema_reach"];

/// Whether a copy takes the rows of this table.
pub(crate) fn is_copied(table: &str) -> bool {
    !LEFT_OUT.contains(&table)
}

/// The content of a table, equal in both kinds of database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub table: String,
    pub rows: u64,
    /// SHA-256 over every value of every row, in the order of the primary key.
    pub hash: String,
}

/// A [`Sum`] that grows.
#[derive(Default)]
struct Summing {
    rows: u64,
    hash: Sha256,
}

impl Summing {
    fn add<M: ModelTrait>(&mut self, rows: &[M]) {
        for row in rows {
            self.rows += 1;
            for column in <M::Entity as EntityTrait>::Column::iter() {
                // As Rust shows it: the same for a value from either database. The length keeps two values apart.
                let value = format!("{:?}", row.get(column));
                self.hash.update(value.len().to_be_bytes());
                self.hash.update(value);
            }
        }
    }

    fn of<E: EntityTrait>(self) -> Sum {
        Sum { table: E::default().table_name().to_owned(), rows: self.rows, hash: hex(&self.hash.finalize()) }
    }
}

/// What one statement may carry, by the lesser of the two databases (SQLite).
const PARAMETERS: usize = 32_000;
/// Rows at a time, at most.
const ROWS: usize = 1000;

/// Replaces all that is in the database of `tx`, which nobody has used, by what `from` holds.
///
/// The triggers are off meanwhile. They forbid what users of a running database must not do, and a copy of valid data may look like
/// that: the anchor of a pruned log names an entry that is no longer there.
pub(super) async fn fill(from: &impl ConnectionTrait, tx: &impl ConnectionTrait) -> Result<Vec<Sum>> {
    let put_back = take_guards(tx).await.map_err(db)?;
    let read = copy_all(from, tx).await.map_err(db)?;
    for sql in put_back {
        tx.execute_unprepared(&sql).await.map_err(db)?;
    }
    Ok(read)
}

/// What is in the tables, as [`fill`] has read it from elsewhere.
pub(super) async fn sums(conn: &impl ConnectionTrait) -> Result<Vec<Sum>> {
    read_all(conn).await.map_err(db)
}

/// Turns the triggers off; answers what turns them on again.
async fn take_guards(tx: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        for name in names() {
            tx.execute_unprepared(&format!("ALTER TABLE \"{name}\" DISABLE TRIGGER USER")).await?;
        }
        let on = |name: String| format!("ALTER TABLE \"{name}\" ENABLE TRIGGER USER");
        return Ok(names().into_iter().map(on).collect());
    }
    let triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid";
    let rows = tx.query_all_raw(Statement::from_string(DbBackend::Sqlite, triggers)).await?;
    let mut put_back = Vec::new();
    for row in rows {
        let (name, sql): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        tx.execute_unprepared(&format!("DROP TRIGGER \"{name}\"")).await?;
        put_back.push(sql);
    }
    Ok(put_back)
}

/// Tables of one row, which is replaced in its place: whoever waits for its lock finds it again.
const ONE: [&str; 2] = ["settings", "audit_head"];

/// The rows of a table, a page at a time, in the order of the primary key.
struct Pages<E: EntityTrait> {
    keys: Vec<E::Column>,
    most: usize,
    after: Option<ValueTuple>,
    over: bool,
}

impl<E: EntityTrait> Pages<E>
where
    E::Model: Sync,
{
    fn new() -> Self {
        let keys = E::PrimaryKey::iter().map(sea_orm::PrimaryKeyToColumn::into_column).collect();
        let most = (PARAMETERS / E::Column::iter().count()).min(ROWS);
        Self { keys, most, after: None, over: false }
    }

    /// The next rows; none at the end.
    async fn next(&mut self, from: &impl ConnectionTrait) -> Result<Option<Vec<E::Model>>, DbErr> {
        if self.over {
            return Ok(None);
        }
        let order = match self.keys.as_slice() {
            [a] => Identity::Unary(iden(*a)),
            [a, b] => Identity::Binary(iden(*a), iden(*b)),
            [a, b, c] => Identity::Ternary(iden(*a), iden(*b), iden(*c)),
            more => Identity::Many(more.iter().map(|key| iden(*key)).collect()),
        };
        let mut page = E::find().cursor_by(order);
        if let Some(after) = self.after.take() {
            page.after::<ValueTuple>(after);
        }
        let rows = page.first(self.most as u64).all(from).await?;
        self.over = rows.len() < self.most;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(match self.keys.as_slice() {
            [a] => ValueTuple::One(last.get(*a)),
            [a, b] => ValueTuple::Two(last.get(*a), last.get(*b)),
            [a, b, c] => ValueTuple::Three(last.get(*a), last.get(*b), last.get(*c)),
            more => ValueTuple::Many(more.iter().map(|key| last.get(*key)).collect()),
        });
        Ok(Some(rows))
    }
}

async fn read<E>(from: &impl ConnectionTrait) -> Result<Sum, DbErr>
where
    E: EntityTrait,
    E::Model: Sync,
{
    let (mut pages, mut sum) = (Pages::<E>::new(), Summing::default());
    while let Some(rows) = pages.next(from).await? {
        sum.add(&rows);
    }
    Ok(sum.of::<E>())
}

/// Answers what was read.
async fn copy<E>(from: &impl ConnectionTrait, to: &impl ConnectionTrait) -> Result<Sum, DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Sync,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let one = ONE.contains(&E::default().table_name());
    if !one {
        E::delete_many().exec(to).await?;
    }
    let (mut pages, mut sum) = (Pages::<E>::new(), Summing::default());
    while let Some(rows) = pages.next(from).await? {
        sum.add(&rows);
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        let mut insert = E::insert_many(rows);
        if one {
            let mut replace = OnConflict::columns(pages.keys.iter().copied());
            insert = insert.on_conflict(replace.update_columns(E::Column::iter()).to_owned());
        }
        insert.exec_without_returning(to).await?;
    }
    Ok(sum.of::<E>())
}

fn iden(column: impl sea_orm::ColumnTrait) -> sea_orm::DynIden {
    use sea_orm::sea_query::IntoIden as _;
    column.into_iden()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use cb_core::audit::Action;
    use cb_core::{Principal, Secret};
    use cb_testkit::Postgres;
    use chrono::DateTime;
    use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};

    use crate::entities::{audit_anchor, audit_entry, kept_answer};
    use crate::{Audit, Store};

    /// A table or a column that no copy takes would be lost, and nobody would notice until it is needed.
    #[tokio::test]
    async fn every_table_and_every_column_is_copied() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open_sqlite(dir.path()).await.expect("opens");
        let ask = async |sql: String| {
            let rows = store.reader().query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await;
            let names = rows.expect("reads").into_iter().map(|row| row.try_get_by_index::<String>(0));
            names.collect::<Result<BTreeSet<_>, _>>().expect("names")
        };
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'seaql_migrations'";
        let mut there = BTreeMap::new();
        for table in ask(tables.to_owned()).await {
            let columns = ask(format!("SELECT name FROM pragma_table_info('{table}')")).await;
            if super::is_copied(&table) {
                there.insert(table, columns);
            }
        }
        assert_eq!(super::columns(), there);
    }

    /// Also not in the free pages of the file.
    #[tokio::test]
    async fn what_is_left_out_is_in_no_copy() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open_sqlite(dir.path()).await.expect("opens");
        let at = DateTime::from_timestamp(1, 0).expect("a time");
        let (id, key_hash, fingerprint) = (uuid::Uuid::max(), "key-hash".repeat(9), "fingerprint".repeat(99));
        let row = kept_answer::Model {
            id,
            principal_id: id,
            key_hash,
            fingerprint,
            status: None,
            body: None,
            etag: None,
            created_at: at,
        };
        assert!(store.claim_answer(row, at).await.expect("written").is_none());
        let folder = tempfile::tempdir().expect("a folder");
        store.copy_to(folder.path()).await.expect("copied");
        let bytes = std::fs::read(folder.path().join(crate::open::DATABASE_FILE)).expect("reads");
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(holds(b"CREATE TABLE") && !holds(b"fingerprintfingerprint") && !holds(b"key-hashkey-hash"));
    }

    #[tokio::test]
    async fn what_was_filled_is_there_after_a_crash_of_postgres() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open_sqlite(dir.path()).await.expect("opens");
        let at = DateTime::from_timestamp(1, 0).expect("a time");
        let audit = Audit { action: Action::SettingsUpdated, actor: &Principal::Server, at, origin: None };
        store.write(audit, async |_| Ok(())).await.expect("written");
        let mut postgres = Postgres::start();
        let url = Secret::new(postgres.url().to_owned());
        let there = Store::open_postgres(&url).await.expect("opens");
        assert!(there.fill_from(&store).await.expect("filled"));
        postgres.dies();
        let there = Store::open_postgres(&url).await.expect("opens");
        assert_eq!(audit_entry::Entity::find().all(there.reader()).await.expect("reads").len(), 1);
    }

    /// Another session's rule loses rows without an error; and a write at the source would be lost too.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_move_that_is_not_the_same_on_both_sides_is_not_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = Store::open_sqlite(dir.path()).await.expect("opens");
        let at = DateTime::from_timestamp(1, 0).expect("a time");
        let audit = |action| Audit { action, actor: &Principal::Server, at, origin: None };
        let write = async || source.write(audit(Action::SettingsUpdated), async |_| Ok(())).await;
        for _ in 0..200 {
            write().await.expect("written");
        }
        let postgres = Postgres::start();
        let url = Secret::new(postgres.url().to_owned());
        let there = Store::open_postgres(&url).await.expect("opens");
        let entries = async || audit_entry::Entity::find().all(there.reader()).await.expect("reads").len();
        let rule = "CREATE RULE lose AS ON INSERT TO audit_log WHERE NEW.seq = 7 DO INSTEAD NOTHING";
        there.writer().execute_unprepared(rule).await.expect("made");
        let done = there.move_from(&source, audit(Action::StoreCopied)).await.map(drop);
        let why = done.expect_err("a row is lost");
        assert!(why.to_string().contains("audit_log"), "{why}");
        assert_eq!(entries().await, 0);
        there.writer().execute_unprepared("DROP RULE lose ON audit_log").await.expect("dropped");
        let over = std::sync::atomic::AtomicBool::new(false);
        let writes = async {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                write().await.expect("written");
            }
        };
        let moving = async {
            let done = there.move_from(&source, audit(Action::StoreCopied)).await.map(drop);
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            done
        };
        let why = tokio::join!(moving, writes).0.expect_err("the source has moved on");
        assert!(why.to_string().contains("was changed while it was copied"), "{why}");
        assert_eq!(entries().await, 0);
        let fill = async || there.move_from(&source, audit(Action::StoreCopied)).await.expect("filled");
        drop(fill().await.expect("empty"));
        assert_eq!(entries().await, 0, "nothing is kept of what was given up");
        let moved = fill().await.expect("empty").keep().await.expect("kept");
        assert_eq!(moved.head, there.audit_head().await.expect("reads").expect("an entry"));
        assert_eq!(entries().await, usize::try_from(moved.head.0).expect("small"));
        assert!(fill().await.is_none());
        let verdict = there.verify_audit(None, &BTreeMap::new()).await.expect("read");
        assert_eq!(verdict.broken, None);
        there.write(audit(Action::SettingsUpdated), async |_| Ok(())).await.expect("it goes on");
    }

    /// The triggers would refuse such an anchor, and nothing else may be done without them afterwards.
    #[tokio::test]
    async fn a_log_that_begins_behind_its_anchor_goes_over_and_the_guards_are_on_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open_sqlite(dir.path()).await.expect("opens");
        for at in 0..4 {
            let at = DateTime::from_timestamp(at, 0).expect("a time");
            let audit =
                Audit { action: Action::SettingsUpdated, actor: &Principal::Server, at, origin: None };
            store.write(audit, async |_| Ok(())).await.expect("written");
        }
        for sql in [
            "DROP TRIGGER audit_anchor_first",
            "INSERT INTO audit_anchor (id, seq, hash, at, key_id, signature) SELECT 1, seq, hash, at, 'k', 's' FROM audit_log WHERE seq = 2",
            "DELETE FROM audit_log WHERE seq <= 2",
        ] {
            store.writer().execute_unprepared(sql).await.expect(sql);
        }
        let postgres = Postgres::start();
        let there = Store::open_postgres(&Secret::new(postgres.url().to_owned())).await.expect("opens");
        // Two at once: the second waits for the first, and finds it in use.
        let other = Store::open_postgres(&Secret::new(postgres.url().to_owned())).await.expect("opens");
        let (one, two) = tokio::join!(
            cb_testkit::asked_again(async || there.fill_from(&store).await),
            cb_testkit::asked_again(async || other.fill_from(&store).await)
        );
        assert!(
            one.expect("filled or looked") != two.expect("filled or looked"),
            "exactly one has filled it"
        );
        let back = tempfile::tempdir().expect("a folder");
        there.copy_to(back.path()).await.expect("copied");
        let names: Vec<_> =
            std::fs::read_dir(back.path()).expect("reads").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, [crate::open::DATABASE_FILE], "the copy is one file");
        let header = std::fs::read(back.path().join(crate::open::DATABASE_FILE)).expect("reads");
        // https://www.sqlite.org/fileformat2.html, 1.3.3: 1 without a write-ahead log, 2 with one.
        assert_eq!(header[18..20], [1, 1], "whoever opens it needs no log beside it");
        let back = Store::open_sqlite(back.path()).await.expect("opens");
        for one in [&there, &back] {
            let rows = async |store: &Store| {
                let entries = audit_entry::Entity::find().all(store.reader()).await.expect("reads");
                (entries, audit_anchor::Entity::find().all(store.reader()).await.expect("reads"))
            };
            assert_eq!(rows(one).await, rows(&store).await);
            for sql in [
                "DELETE FROM audit_log",
                "UPDATE audit_log SET actor_name = 'eve'",
                "DELETE FROM audit_anchor",
                "DELETE FROM settings",
            ] {
                assert!(one.writer().execute_unprepared(sql).await.is_err(), "{sql}");
            }
        }
    }
}

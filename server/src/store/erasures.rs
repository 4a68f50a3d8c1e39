//! Erasing, and keeping what was erased from coming back.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow, Row, SqlSafeStr, any::AnyRow};

use super::{AuditAction, Metered, Store, StoreError, Write, connection::Connection};
use crate::{
    auth::AddressDigest,
    erasure::{Erasure, redact_aggregate, redact_aggregate_texts, redact_visit, redact_visit_texts},
    policy,
    time::UnixMillis,
    validation::{Batch, PageVisit, TabAggregate},
};

/// How much an erasure has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Page visits.
    pub page_visits: u64,
    /// Tab aggregates.
    pub tab_aggregates: u64,
}

/// Fields of a stored visit that may name another site.
#[derive(Serialize)]
pub(super) struct VisitTexts {
    id: String,
    metadata: String,
    title: Option<String>,
    extra: Option<String>,
    idle_periods: Option<String>,
}

impl<'r> FromRow<'r, AnyRow> for VisitTexts {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            metadata: row.try_get("metadata")?,
            title: row.try_get("title")?,
            extra: row.try_get("extra")?,
            idle_periods: row.try_get("idle_periods")?,
        })
    }
}

/// Fields of a stored aggregate that may name another site.
#[derive(Serialize)]
pub(super) struct AggregateTexts {
    id: String,
    domain_durations: Option<String>,
    current_url: Option<String>,
    current_host: Option<String>,
    current_domain: Option<String>,
    statistics: Option<String>,
    extra: Option<String>,
}

impl<'r> FromRow<'r, AnyRow> for AggregateTexts {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            domain_durations: row.try_get("domain_durations")?,
            current_url: row.try_get("current_url")?,
            current_host: row.try_get("current_host")?,
            current_domain: row.try_get("current_domain")?,
            statistics: row.try_get("statistics")?,
            extra: row.try_get("extra")?,
        })
    }
}

/// Visits under a predicate. Parameters: user, site (empty for every site), from and to in ms.
const COVERED: &str = "user_id = $1 and visited_at_ms between $3 and $4 and ($2 = '' \
     or host = $2 or substr(host, length(host) - length($2)) = '.' || $2 \
     or domain = $2 or substr(domain, length(domain) - length($2)) = '.' || $2)";

impl Store {
    /// Removes what falls under the erasure, now and whenever it comes again.
    pub async fn erase(
        &self,
        user_id: i64,
        erasure: &Erasure,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<Metered<Erased>, StoreError> {
        let mut write = self.begin_write().await?;
        if let Err(usage) = write.take_turn(user_id, now).await? {
            return Ok(Err(usage));
        }
        if !write.record_erasure(user_id, erasure, now).await? {
            write.commit().await?;
            return Err(StoreError::TooManyErasures);
        }
        let erased = write.delete_covered(user_id, erasure).await?;
        if let Some(site) = &erasure.site {
            self.redact_visits(&mut write, user_id, erasure, site).await?;
            self.redact_aggregates(&mut write, user_id, erasure, site).await?;
        }
        write.audit(user_id, AuditAction::Erased, address, now).await?;
        write.commit().await?;
        Ok(Ok(erased))
    }

    /// The batch without what the user has erased; remembers the ids of the visits that were left out.
    pub(super) async fn without_erased<C: Connection>(
        &self,
        write: &mut Write<C>,
        user_id: i64,
        batch: &Batch,
        now: UnixMillis,
    ) -> Result<Batch, StoreError> {
        let statements = &self.statements;
        let erasures = write.erasures(user_id, now).await?;
        let (covered, mut page_visits): (Vec<_>, Vec<_>) = batch
            .page_visits
            .iter()
            .cloned()
            .partition(|visit| erasures.iter().any(|erasure| erasure.covers_visit(visit)));
        let covered: Vec<&str> = covered.iter().map(|visit| visit.id.as_str()).collect();
        for statement in [
            &statements.mark_visits_erased,
            &statements.delete_page_visits,
            &statements.delete_tab_aggregates_of_visits,
        ] {
            write.execute_for_ids(statement, user_id, &covered).await?;
        }

        let referred: Vec<&str> = page_visits
            .iter()
            .map(|visit| visit.id.as_str())
            .chain(batch.tab_aggregates.iter().map(|aggregate| aggregate.page_visit_id.as_str()))
            .collect();
        let erased: HashSet<String> =
            write.ids_in(&statements.known_erased_visits, user_id, &referred).await?.into_iter().collect();
        page_visits.retain(|visit| !erased.contains(&visit.id));
        let mut tab_aggregates = batch.tab_aggregates.clone();
        tab_aggregates.retain(|aggregate| !erased.contains(&aggregate.page_visit_id));
        self.drop_erased_orphans(write, user_id, &erasures, &page_visits, &mut tab_aggregates).await?;
        page_visits.iter_mut().for_each(|visit| redact_visit(&erasures, visit));
        tab_aggregates.iter_mut().for_each(|aggregate| redact_aggregate(&erasures, aggregate));
        Ok(Batch { page_visits, tab_aggregates, sent: batch.sent, client: batch.client.clone() })
    }

    /// Leaves out the late ones of what `delete_orphans` deletes.
    async fn drop_erased_orphans<C: Connection>(
        &self,
        write: &mut Write<C>,
        user_id: i64,
        erasures: &[Erasure],
        page_visits: &[PageVisit],
        tab_aggregates: &mut Vec<TabAggregate>,
    ) -> Result<(), StoreError> {
        let is_covered = |aggregate: &TabAggregate| erasures.iter().any(|e| e.covers_orphan(aggregate));
        let visits: Vec<&str> = tab_aggregates
            .iter()
            .filter(|aggregate| is_covered(aggregate))
            .map(|aggregate| aggregate.page_visit_id.as_str())
            .collect();
        let held = write.ids_in(&self.statements.known_page_visits, user_id, &visits).await?;
        let here: HashSet<&str> = held
            .iter()
            .map(String::as_str)
            .chain(page_visits.iter().map(|visit| visit.id.as_str()))
            .collect();
        tab_aggregates
            .retain(|aggregate| here.contains(aggregate.page_visit_id.as_str()) || !is_covered(aggregate));
        Ok(())
    }

    async fn redact_visits(
        &self,
        write: &mut Write,
        user_id: i64,
        erasure: &Erasure,
        site: &str,
    ) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let mut rows: Vec<VisitTexts> = sqlx::query_as(
                "select id, metadata, title, extra, idle_periods from page_visits \
                 where user_id = $1 and id > $2 and visited_at_ms between $4 and $5 \
                 and lower(metadata || coalesce(title, '') || coalesce(extra, '') || coalesce(idle_periods, '')) \
                     like '%' || $3 || '%' \
                 order by id limit $6",
            )
            .bind(user_id)
            .bind(&after)
            .bind(site)
            .bind(erasure.from.0)
            .bind(erasure.last_ms())
            .bind(policy::ERASE_PAGE_ROWS)
            .fetch_all(&mut *write.transaction)
            .await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &mut rows {
                let texts = [&mut row.title, &mut row.extra, &mut row.idle_periods];
                redact_visit_texts(&[site], &mut row.metadata, texts);
            }
            write.execute_for_rows(&self.statements.replace_visit_texts, user_id, &rows).await?;
        }
    }

    async fn redact_aggregates(
        &self,
        write: &mut Write,
        user_id: i64,
        erasure: &Erasure,
        site: &str,
    ) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let mut rows: Vec<AggregateTexts> = sqlx::query_as(
                "select id, domain_durations, current_url, current_host, current_domain, statistics, extra \
                 from tab_aggregates \
                 where user_id = $1 and id > $2 and (closed_at_ms is null or closed_at_ms between $4 and $5) \
                 and lower(coalesce(domain_durations, '') || coalesce(current_url, '') || coalesce(current_domain, '') \
                     || coalesce(statistics, '') || coalesce(extra, '')) like '%' || $3 || '%' \
                 order by id limit $6",
            )
            .bind(user_id)
            .bind(&after)
            .bind(site)
            .bind(erasure.from.0)
            .bind(erasure.last_ms())
            .bind(policy::ERASE_PAGE_ROWS)
            .fetch_all(&mut *write.transaction)
            .await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &mut rows {
                let texts = [
                    &mut row.current_url,
                    &mut row.current_host,
                    &mut row.current_domain,
                    &mut row.statistics,
                    &mut row.extra,
                ];
                redact_aggregate_texts(&[site], &mut row.domain_durations, texts);
            }
            write.execute_for_rows(&self.statements.replace_aggregate_texts, user_id, &rows).await?;
        }
    }
}

/// Erasures that another one includes. Parameters: user, site (empty for every site), from and to in ms.
const INCLUDED: &str = "user_id = $1 and from_ms >= $3 and to_ms <= $4 \
     and ($2 = '' or site = $2 or substr(site, length(site) - length($2)) = '.' || $2)";

impl Write {
    /// In place of those that it includes. False if there are too many others: then nothing is changed.
    async fn record_erasure(
        &mut self,
        user_id: i64,
        erasure: &Erasure,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let (site, to) = (erasure.site.as_deref().unwrap_or_default(), erasure.to.unwrap_or(now));
        let others: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from erasures where user_id = $1 and not ({INCLUDED})"
        )))
        .bind(user_id)
        .bind(site)
        .bind(erasure.from.0)
        .bind(to.0)
        .fetch_one(&mut *self.transaction)
        .await?;
        if others >= policy::MAX_ERASURES {
            return Ok(false);
        }
        // The same again may be a request whose answer was lost: the moment of the first one counts, by which the
        // server knows what is newer.
        sqlx::query(AssertSqlSafe(format!(
            "delete from erasures where {INCLUDED} and not (site = $2 and from_ms = $3 and to_ms = $4)"
        )))
        .bind(user_id)
        .bind(site)
        .bind(erasure.from.0)
        .bind(to.0)
        .execute(&mut *self.transaction)
        .await?;
        sqlx::query(
            "insert into erasures (user_id, site, from_ms, to_ms, erased_at_ms) values ($1, $2, $3, $4, $5) \
             on conflict (user_id, site, from_ms, to_ms) do nothing",
        )
        .bind(user_id)
        .bind(site)
        .bind(erasure.from.0)
        .bind(to.0)
        .bind(now.0)
        .execute(&mut *self.transaction)
        .await?;
        for statement in [
            "update users set has_erasures = 1 where id = $1",
            "delete from idempotency_keys where user_id = $1",
        ] {
            sqlx::query(statement).bind(user_id).execute(&mut *self.transaction).await?;
        }
        Ok(true)
    }

    async fn delete_covered(&mut self, user_id: i64, erasure: &Erasure) -> Result<Erased, StoreError> {
        let mut affected = Vec::new();
        for statement in [
            format!(
                "insert into erased_visits (user_id, id) select user_id, id from page_visits where {COVERED} \
                 on conflict (user_id, id) do nothing"
            ),
            format!(
                "delete from tab_aggregates where user_id = $1 \
                 and page_visit_id in (select id from page_visits where {COVERED})"
            ),
            format!("delete from page_visits where {COVERED}"),
        ] {
            let result = sqlx::query(AssertSqlSafe(statement))
                .bind(user_id)
                .bind(erasure.site.as_deref().unwrap_or_default())
                .bind(erasure.from.0)
                .bind(erasure.last_ms())
                .execute(&mut *self.transaction)
                .await?;
            affected.push(result.rows_affected());
        }
        let mut tab_aggregates = affected.get(1).copied().unwrap_or_default();
        if erasure.site.is_none() {
            tab_aggregates += self.delete_orphans(user_id, erasure).await?;
        }
        Ok(Erased { page_visits: affected.get(2).copied().unwrap_or_default(), tab_aggregates })
    }

    /// Aggregates of the span whose visit never came.
    async fn delete_orphans(&mut self, user_id: i64, erasure: &Erasure) -> Result<u64, StoreError> {
        let deleted = sqlx::query(
            "delete from tab_aggregates where user_id = $1 \
             and ((closed_at_ms is null and $2 = 0) or closed_at_ms between $2 and $3) \
             and not exists (select 1 from page_visits v \
                 where v.user_id = $1 and v.id = tab_aggregates.page_visit_id)",
        )
        .bind(user_id)
        .bind(erasure.from.0)
        .bind(erasure.last_ms())
        .execute(&mut *self.transaction)
        .await?;
        Ok(deleted.rows_affected())
    }
}

impl<C: Connection> Write<C> {
    /// What is held against records that arrive now.
    async fn erasures(&mut self, user_id: i64, now: UnixMillis) -> Result<Vec<Erasure>, StoreError> {
        let statement =
            "select site, from_ms, to_ms, erased_at_ms from erasures where user_id = $1".into_sql_str();
        let rows: Vec<(String, i64, i64, i64)> =
            self.transaction.rows(statement, &[(&user_id).into()]).await?;
        let standing = |(site, from, to, erased_at): (String, i64, i64, i64)| {
            let site = Some(site).filter(|site| !site.is_empty());
            let erasure = Erasure { site, from: UnixMillis(from), to: Some(UnixMillis(to)) };
            erasure.standing(UnixMillis(erased_at), now)
        };
        Ok(rows.into_iter().flat_map(standing).collect())
    }

    async fn ids_in(
        &mut self,
        statement: &Arc<str>,
        user_id: i64,
        ids: &[&str],
    ) -> Result<Vec<String>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (statement, ids) =
            (AssertSqlSafe(Arc::clone(statement)).into_sql_str(), serde_json::to_string(ids)?);
        let rows: Vec<(String, i64)> =
            self.transaction.rows(statement, &[(&user_id).into(), (&ids).into()]).await?;
        Ok(rows.into_iter().map(|(id, _)| id).collect())
    }

    async fn execute_for_ids(
        &mut self,
        statement: &Arc<str>,
        user_id: i64,
        ids: &[&str],
    ) -> Result<(), StoreError> {
        if ids.is_empty() { Ok(()) } else { self.execute_for_rows(statement, user_id, ids).await }
    }

    async fn execute_for_rows<T: Serialize>(
        &mut self,
        statement: &Arc<str>,
        user_id: i64,
        rows: &[T],
    ) -> Result<(), StoreError> {
        let (statement, rows) =
            (AssertSqlSafe(Arc::clone(statement)).into_sql_str(), serde_json::to_string(rows)?);
        self.transaction.execute(statement, &[(&user_id).into(), (&rows).into()]).await?;
        Ok(())
    }
}

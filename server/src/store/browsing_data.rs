//! Reading a user's own records back, page by page.

use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{FromRow, Row, any::AnyRow};
use utoipa::ToSchema;

use super::{Store, StoreError};
use crate::time::UnixMillis;

/// A stored page visit as it goes out. No `Debug`: it is somebody's browsing.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns are described in migrations/0002_records.sql")]
pub struct StoredPageVisit {
    pub id: String,
    pub revision: i64,
    pub url: String,
    #[schema(required)]
    pub title: Option<String>,
    pub visited_at: String,
    #[schema(required)]
    pub opened_at: Option<String>,
    #[schema(required)]
    pub source_page_visit_id: Option<String>,
    #[schema(required)]
    pub tab_id: Option<i64>,
    #[schema(required)]
    pub domain: Option<String>,
    #[schema(required)]
    pub duration_seconds: Option<f64>,
    pub active_duration_seconds: f64,
    #[schema(required)]
    pub engagement_rate: Option<f64>,
    #[schema(required, value_type = serde_json::Value)]
    pub idle_periods: Option<Box<RawValue>>,
    #[schema(required)]
    pub last_heartbeat: Option<i64>,
    #[schema(required)]
    pub anonymous_client_id: Option<String>,
    #[schema(required)]
    pub category: Option<String>,
    #[schema(required)]
    pub category_confidence: Option<f64>,
    #[schema(required)]
    pub category_method: Option<String>,
    #[schema(required, value_type = serde_json::Value)]
    pub metadata: Option<Box<RawValue>>,
    #[schema(required, value_type = serde_json::Value)]
    pub extra: Option<Box<RawValue>>,
}

impl<'r> FromRow<'r, AnyRow> for StoredPageVisit {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            revision: row.try_get("revision")?,
            url: row.try_get("url")?,
            title: row.try_get("title")?,
            visited_at: UnixMillis(row.try_get("visited_at_ms")?).to_iso(),
            opened_at: moment(row, "opened_at_ms")?,
            source_page_visit_id: row.try_get("source_page_visit_id")?,
            tab_id: row.try_get("tab_id")?,
            domain: row.try_get("domain")?,
            duration_seconds: row.try_get("duration_seconds")?,
            active_duration_seconds: row.try_get("active_duration_seconds")?,
            engagement_rate: row.try_get("engagement_rate")?,
            idle_periods: json(row, "idle_periods")?,
            last_heartbeat: row.try_get("last_heartbeat_ms")?,
            anonymous_client_id: row.try_get("anonymous_client_id")?,
            category: row.try_get("category")?,
            category_confidence: row.try_get("category_confidence")?,
            category_method: row.try_get("category_method")?,
            metadata: json(row, "metadata")?,
            extra: json(row, "extra")?,
        })
    }
}

/// A stored tab aggregate as it goes out. No `Debug`: it is somebody's browsing.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns are described in migrations/0002_records.sql")]
pub struct StoredTabAggregate {
    pub id: String,
    pub revision: i64,
    pub page_visit_id: String,
    pub total_time_seconds: f64,
    pub active_time_seconds: f64,
    #[schema(required)]
    pub scroll_depth_percent: Option<f64>,
    #[schema(required)]
    pub closed_at: Option<String>,
    #[schema(required, value_type = serde_json::Value)]
    pub domain_durations: Option<Box<RawValue>>,
    #[schema(required)]
    pub page_count: Option<i64>,
    #[schema(required)]
    pub current_url: Option<String>,
    #[schema(required)]
    pub current_domain: Option<String>,
    #[schema(required, value_type = serde_json::Value)]
    pub statistics: Option<Box<RawValue>>,
    #[schema(required, value_type = serde_json::Value)]
    pub extra: Option<Box<RawValue>>,
}

impl<'r> FromRow<'r, AnyRow> for StoredTabAggregate {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            revision: row.try_get("revision")?,
            page_visit_id: row.try_get("page_visit_id")?,
            total_time_seconds: row.try_get("total_time_seconds")?,
            active_time_seconds: row.try_get("active_time_seconds")?,
            scroll_depth_percent: row.try_get("scroll_depth_percent")?,
            closed_at: moment(row, "closed_at_ms")?,
            domain_durations: json(row, "domain_durations")?,
            page_count: row.try_get("page_count")?,
            current_url: row.try_get("current_url")?,
            current_domain: row.try_get("current_domain")?,
            statistics: json(row, "statistics")?,
            extra: json(row, "extra")?,
        })
    }
}

fn moment(row: &AnyRow, column: &str) -> Result<Option<String>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(|millis| UnixMillis(millis).to_iso()))
}

fn json(row: &AnyRow, column: &str) -> Result<Option<Box<RawValue>>, sqlx::Error> {
    row.try_get::<Option<String>, _>(column)?
        .map(RawValue::from_string)
        .transpose()
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
}

impl Store {
    /// Page visits of one user, newest first.
    pub async fn page_visits(
        &self,
        user_id: i64,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<StoredPageVisit>, StoreError> {
        Ok(sqlx::query_as(
            "select id, revision, url, title, visited_at_ms, opened_at_ms, source_page_visit_id, tab_id, domain, \
                 duration_seconds, active_duration_seconds, engagement_rate, idle_periods, last_heartbeat_ms, \
                 anonymous_client_id, category, category_confidence, category_method, metadata, extra \
             from page_visits where user_id = $1 \
             order by visited_at_ms desc, id desc limit $2 offset $3",
        )
        .bind(user_id)
        .bind(limit)
        .bind(offset)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Tab aggregates of one user, last id first.
    pub async fn tab_aggregates(
        &self,
        user_id: i64,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<StoredTabAggregate>, StoreError> {
        Ok(sqlx::query_as(
            "select id, revision, page_visit_id, total_time_seconds, active_time_seconds, scroll_depth_percent, \
                 closed_at_ms, domain_durations, page_count, current_url, current_domain, statistics, extra \
             from tab_aggregates where user_id = $1 order by id desc limit $2 offset $3",
        )
        .bind(user_id)
        .bind(limit)
        .bind(offset)
        .fetch_all(&self.pool)
        .await?)
    }
}

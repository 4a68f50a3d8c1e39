//! Preflight: which of these records are held?

use std::sync::Arc;

use serde::Serialize;
use sqlx::AssertSqlSafe;
use utoipa::ToSchema;

use super::{Store, StoreError};

/// A record that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KnownRecord {
    /// Its id.
    pub id: String,
    /// Its highest revision.
    pub revision: i64,
}

/// What of a preflight question is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Page visits that are held.
    pub page_visits: Vec<KnownRecord>,
    /// Tab aggregates that are held.
    pub tab_aggregates: Vec<KnownRecord>,
    /// Ids of visits that the user has erased, and that would be ignored.
    pub erased_page_visits: Vec<String>,
}

impl Store {
    /// Which of these ids are held or erased.
    pub async fn known(
        &self,
        user_id: i64,
        page_visits: &[String],
        tab_aggregates: &[String],
    ) -> Result<Known, StoreError> {
        let statements = &self.statements;
        let erased = self.ids_in(&statements.known_erased_visits, user_id, page_visits).await?;
        Ok(Known {
            page_visits: self.ids_in(&statements.known_page_visits, user_id, page_visits).await?,
            tab_aggregates: self.ids_in(&statements.known_tab_aggregates, user_id, tab_aggregates).await?,
            erased_page_visits: erased.into_iter().map(|record| record.id).collect(),
        })
    }

    async fn ids_in(
        &self,
        statement: &Arc<str>,
        user_id: i64,
        ids: &[String],
    ) -> Result<Vec<KnownRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(Arc::clone(statement)))
            .bind(user_id)
            .bind(serde_json::to_string(ids)?)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|(id, revision)| KnownRecord { id, revision }).collect())
    }
}

//! The statements that write a whole batch at once, built from one list of columns for each table.

use std::sync::Arc;

use super::dialect::{Column, Dialect};

const fn text(name: &'static str) -> Column {
    Column { name, sql_type: "text" }
}

const fn bigint(name: &'static str) -> Column {
    Column { name, sql_type: "bigint" }
}

const fn double(name: &'static str) -> Column {
    Column { name, sql_type: "double precision" }
}

/// As the fields of [`crate::validation::PageVisit`].
pub(super) const PAGE_VISIT_COLUMNS: &[Column] = &[
    text("id"),
    bigint("revision"),
    text("url"),
    text("host"),
    text("title"),
    bigint("visited_at_ms"),
    bigint("opened_at_ms"),
    text("source_page_visit_id"),
    bigint("tab_id"),
    text("domain"),
    double("duration_seconds"),
    double("active_duration_seconds"),
    double("engagement_rate"),
    text("idle_periods"),
    bigint("last_heartbeat_ms"),
    text("anonymous_client_id"),
    text("category"),
    double("category_confidence"),
    text("category_method"),
    text("metadata"),
    text("extra"),
];

/// As the fields of [`crate::validation::TabAggregate`].
pub(super) const TAB_AGGREGATE_COLUMNS: &[Column] = &[
    text("id"),
    bigint("revision"),
    text("page_visit_id"),
    double("total_time_seconds"),
    double("active_time_seconds"),
    double("scroll_depth_percent"),
    bigint("closed_at_ms"),
    text("domain_durations"),
    bigint("page_count"),
    text("current_url"),
    text("current_host"),
    text("current_domain"),
    text("statistics"),
    text("extra"),
];

/// The statements whose text depends on the database.
pub(super) struct RecordStatements {
    /// Parameters: user, JSON array of records, now in ms.
    pub(super) upsert_page_visits: Arc<str>,
    pub(super) upsert_tab_aggregates: Arc<str>,
    /// Parameters: user, JSON array of ids.
    pub(super) known_page_visits: Arc<str>,
    pub(super) known_tab_aggregates: Arc<str>,
    pub(super) known_erased_visits: Arc<str>,
    pub(super) mark_visits_erased: Arc<str>,
    pub(super) delete_page_visits: Arc<str>,
    pub(super) delete_tab_aggregates_of_visits: Arc<str>,
    /// Parameters: user, JSON array of rows with an id and the texts.
    pub(super) replace_visit_texts: Arc<str>,
    pub(super) replace_aggregate_texts: Arc<str>,
}

impl RecordStatements {
    pub(super) fn new(dialect: Dialect) -> Self {
        let ids = dialect.strings_of_json(2);
        Self {
            upsert_page_visits: upsert(dialect, "page_visits", PAGE_VISIT_COLUMNS).into(),
            upsert_tab_aggregates: upsert(dialect, "tab_aggregates", TAB_AGGREGATE_COLUMNS).into(),
            known_page_visits: known("page_visits", "t.revision", &ids).into(),
            known_tab_aggregates: known("tab_aggregates", "t.revision", &ids).into(),
            known_erased_visits: known("erased_visits", "t.user_id", &ids).into(),
            mark_visits_erased: format!(
                "insert into erased_visits (user_id, id) select $1, r.value from {ids} where true \
                 on conflict (user_id, id) do nothing"
            )
            .into(),
            delete_page_visits: format!(
                "delete from page_visits where user_id = $1 and id in (select r.value from {ids})"
            )
            .into(),
            delete_tab_aggregates_of_visits: format!(
                "delete from tab_aggregates where user_id = $1 and page_visit_id in (select r.value from {ids})"
            )
            .into(),
            replace_visit_texts: replace_texts(dialect, "page_visits", VISIT_TEXT_COLUMNS).into(),
            replace_aggregate_texts: replace_texts(dialect, "tab_aggregates", AGGREGATE_TEXT_COLUMNS).into(),
        }
    }
}

/// As the fields of [`super::erasures::VisitTexts`].
const VISIT_TEXT_COLUMNS: &[Column] =
    &[text("id"), text("metadata"), text("title"), text("extra"), text("idle_periods")];

/// As the fields of [`super::erasures::AggregateTexts`].
const AGGREGATE_TEXT_COLUMNS: &[Column] = &[
    text("id"),
    text("domain_durations"),
    text("current_url"),
    text("current_host"),
    text("current_domain"),
    text("statistics"),
    text("extra"),
];

/// Stores every row whose revision is higher than the one held, and returns `stored_revisions` of each that was.
fn upsert(dialect: Dialect, table: &str, columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let values: Vec<String> = columns.iter().map(|column| dialect.column_of_row(column)).collect();
    let updates: Vec<String> =
        names.iter().filter(|name| **name != "id").map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "insert into {table} (user_id, stored_revisions, stored_at_ms, {names}) \
         select $1, 1, $3, {values} from {rows} where true \
         on conflict (user_id, id) do update \
         set stored_revisions = {table}.stored_revisions + 1, stored_at_ms = excluded.stored_at_ms, {updates} \
         where excluded.revision > {table}.revision \
         returning stored_revisions",
        names = names.join(", "),
        values = values.join(", "),
        rows = dialect.rows_of_json(2, columns),
        updates = updates.join(", "),
    )
}

/// Which of the ids the table has, and a number with each.
fn known(table: &str, number: &str, ids: &str) -> String {
    format!(
        "select t.id as id, {number} as number from {ids} join {table} t on t.user_id = $1 and t.id = r.value"
    )
}

fn replace_texts(dialect: Dialect, table: &str, columns: &[Column]) -> String {
    let values = columns.iter().map(|column| format!("{} as {}", dialect.column_of_row(column), column.name));
    let updates = columns.iter().skip(1).map(|column| format!("{name} = n.{name}", name = column.name));
    format!(
        "update {table} set {updates} from (select {values} from {rows}) as n \
         where {table}.user_id = $1 and {table}.id = n.id",
        updates = updates.collect::<Vec<_>>().join(", "),
        values = values.collect::<Vec<_>>().join(", "),
        rows = dialect.rows_of_json(2, columns),
    )
}

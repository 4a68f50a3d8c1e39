//! The statements that write a whole batch at once, built from one list of columns for each table.

use std::sync::Arc;

use super::{
    connection::Parameter,
    dialect::{Column, Dialect},
};
use crate::validation::{PageVisit, TabAggregate};

const fn text(name: &'static str) -> Column {
    Column { name, sql_type: "text" }
}

const fn bigint(name: &'static str) -> Column {
    Column { name, sql_type: "bigint" }
}

const fn double(name: &'static str) -> Column {
    Column { name, sql_type: "double precision" }
}

/// A table of records, and how a record becomes its row.
pub(super) trait RecordTable {
    const TABLE: &'static str;
    const COLUMNS: &'static [Column];

    /// The record's fields, in the order of the columns.
    fn parameters(&self) -> impl Iterator<Item = Parameter<'_>>;

    /// The statements that write this table.
    fn writing(statements: &RecordStatements) -> &Writing;
}

macro_rules! record_table {
    ($record:ty, $table:ident, { $($name:ident: $kind:ident,)+ }) => {
        impl RecordTable for $record {
            const TABLE: &'static str = stringify!($table);
            const COLUMNS: &'static [Column] = &[$($kind(stringify!($name))),+];

            fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
                [$(Parameter::from(&self.$name)),+].into_iter()
            }

            fn writing(statements: &RecordStatements) -> &Writing {
                &statements.$table
            }
        }
    };
}

record_table! {
    PageVisit,
    page_visits,
    {
        id: text,
        revision: bigint,
        url: text,
        host: text,
        title: text,
        visited_at_ms: bigint,
        opened_at_ms: bigint,
        source_page_visit_id: text,
        tab_id: bigint,
        domain: text,
        duration_seconds: double,
        active_duration_seconds: double,
        engagement_rate: double,
        idle_periods: text,
        last_heartbeat_ms: bigint,
        anonymous_client_id: text,
        category: text,
        category_confidence: double,
        category_method: text,
        metadata: text,
        extra: text,
    }
}

record_table! {
    TabAggregate,
    tab_aggregates,
    {
        id: text,
        revision: bigint,
        page_visit_id: text,
        total_time_seconds: double,
        active_time_seconds: double,
        scroll_depth_percent: double,
        closed_at_ms: bigint,
        domain_durations: text,
        page_count: bigint,
        current_url: text,
        current_host: text,
        current_domain: text,
        statistics: text,
        extra: text,
    }
}

/// How a table's records are written. Two statements, because they count what was created and what was updated by
/// themselves: reading a number back for each row took a third of the time.
pub(super) struct Writing {
    /// Stores every record whose id is new.
    pub(super) create: ForRows,
    /// Stores every record whose revision is higher than the one held.
    pub(super) update: ForRows,
}

/// A statement for many records.
pub(super) enum ForRows {
    /// For any number of rows. Parameters: user, now in ms, an array for each column. PostgreSQL reads JSON half as fast,
    /// and plans thousands of parameters slower yet.
    Arrays(Arc<str>),
    /// For so many rows each, the longest first. Parameters: user, now in ms, and its fields for each record.
    Values(Vec<(usize, Arc<str>)>),
}

impl ForRows {
    /// Which statement takes which of the records.
    pub(super) fn divide<'a, R>(&'a self, records: &'a [R]) -> Vec<(&'a Arc<str>, &'a [R])> {
        let mut divided = Vec::new();
        match self {
            _ if records.is_empty() => {}
            Self::Arrays(statement) => divided.push((statement, records)),
            Self::Values(by_rows) => {
                let mut rest = records;
                for (rows, statement) in by_rows {
                    while let Some((some, others)) = rest.split_at_checked(*rows) {
                        divided.push((statement, some));
                        rest = others;
                    }
                }
            }
        }
        divided
    }
}

/// Rows of one statement of [`ForRows::Values`]: the client's full batch in one, and few statements to keep prepared.
const ROWS_OF_STATEMENTS: [usize; 4] = [100, 25, 5, 1];

/// The statements whose text depends on the database.
pub(super) struct RecordStatements {
    pub(super) page_visits: Writing,
    pub(super) tab_aggregates: Writing,
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
            page_visits: writing::<PageVisit>(dialect),
            tab_aggregates: writing::<TabAggregate>(dialect),
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

fn writing<R: RecordTable>(dialect: Dialect) -> Writing {
    let table = R::TABLE;
    let names = R::COLUMNS.iter().map(|column| column.name).filter(|name| *name != "id");
    let updates: Vec<String> = names.map(|name| format!("{name} = excluded.{name}")).collect();
    Writing {
        create: for_rows::<R>(dialect, "do nothing"),
        update: for_rows::<R>(
            dialect,
            &format!(
                "do update set stored_revisions = {table}.stored_revisions + 1, \
                 stored_at_ms = excluded.stored_at_ms, {updates} \
                 where excluded.revision > {table}.revision",
                updates = updates.join(", "),
            ),
        ),
    }
}

fn for_rows<R: RecordTable>(dialect: Dialect, on_conflict: &str) -> ForRows {
    let statement = |insert: &str, source: String| -> Arc<str> {
        let names: Vec<&str> = R::COLUMNS.iter().map(|column| column.name).collect();
        format!(
            "{insert} into {table} (user_id, stored_revisions, stored_at_ms, {names}) {source} \
             on conflict (user_id, id) {on_conflict}",
            table = R::TABLE,
            names = names.join(", "),
        )
        .into()
    };
    match dialect {
        Dialect::Postgres => {
            let arrays = R::COLUMNS.iter().zip(3..);
            let values = arrays.map(|(column, number)| format!("unnest(${number}::{}[])", column.sql_type));
            let values = values.collect::<Vec<_>>().join(", ");
            ForRows::Arrays(statement("insert", format!("select $1, 1, $2, {values}")))
        }
        // `or fail`: a row that can't be stored undoes the transaction anyway, so SQLite needn't keep a journal to undo
        // the statement alone.
        Dialect::Sqlite => ForRows::Values(
            ROWS_OF_STATEMENTS
                .into_iter()
                .map(|rows| (rows, statement("insert or fail", values_source(R::COLUMNS.len(), rows))))
                .collect(),
        ),
    }
}

/// `values (?, 1, ?, ?, ...), (?, 1, ?, ...)`. SQLite looks numbered parameters up by name, which takes the square of
/// their number; plain ones it counts.
fn values_source(columns: usize, rows: usize) -> String {
    let row = format!("(?, 1, ?{})", ", ?".repeat(columns));
    format!("values {}", vec![row; rows].join(", "))
}

/// Which of the ids the table has, and a number with each.
fn known(table: &str, number: &str, ids: &str) -> String {
    // A join may scan all ids for each row of the user.
    format!(
        "select t.id as id, {number} as number from {table} t \
         where t.user_id = $1 and t.id in (select r.value from {ids})"
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

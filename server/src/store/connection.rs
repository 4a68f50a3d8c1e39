//! What saving batches needs of a connection in a transaction: the same statements over both drivers.
//!
//! The pool's driver hands every statement of SQLite to another thread, with copies of all that is bound, and SQLite's
//! one writer waits meanwhile. So whoever has the turn to write speaks to SQLite itself.

use std::{fmt::Write as _, sync::Arc};

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use sqlx::{
    Any, AssertSqlSafe, FromRow, SqlSafeStr, SqlStr, Transaction,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use super::{
    StoreError,
    record_tables::{ForRows, RecordTable},
};
use crate::time::UnixMillis;

/// A value to bind. An absent one is taken for text where the database asks for its type.
#[derive(Clone, Copy)]
pub(super) enum Parameter<'a> {
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Absent,
}

macro_rules! parameter {
    ($($sort:ty: $parameter:expr,)+) => {$(
        impl<'a> From<&'a $sort> for Parameter<'a> {
            fn from(value: &'a $sort) -> Self {
                $parameter(value)
            }
        }

        impl<'a> From<&'a Option<$sort>> for Parameter<'a> {
            fn from(value: &'a Option<$sort>) -> Self {
                value.as_ref().map_or(Self::Absent, Self::from)
            }
        }
    )+};
}

parameter! {
    i64: |number: &i64| Parameter::Integer(*number),
    f64: |number: &f64| Parameter::Real(*number),
    String: Parameter::Text,
}

/// A row of columns that both drivers can read.
pub(super) trait Columns:
    for<'r> FromRow<'r, AnyRow> + for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error> + Send + Unpin
{
}

impl<T> Columns for T where
    T: for<'r> FromRow<'r, AnyRow>
        + for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error>
        + Send
        + Unpin
{
}

/// A connection in a transaction.
pub(super) trait Connection {
    /// Returns the number of rows that were written.
    async fn execute(&mut self, statement: SqlStr, parameters: &[Parameter<'_>]) -> Result<u64, StoreError>;

    async fn rows<T: Columns>(
        &mut self,
        statement: SqlStr,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, StoreError>;

    /// Returns the number of rows that were written.
    async fn write_records<R: RecordTable>(
        &mut self,
        statements: &ForRows,
        user_id: i64,
        now: UnixMillis,
        records: &[R],
    ) -> Result<u64, StoreError>;
}

impl Connection for Transaction<'_, Any> {
    async fn execute(&mut self, statement: SqlStr, parameters: &[Parameter<'_>]) -> Result<u64, StoreError> {
        Ok(bound(statement, parameters).execute(&mut **self).await?.rows_affected())
    }

    async fn rows<T: Columns>(
        &mut self,
        statement: SqlStr,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let rows = bound(statement, parameters).fetch_all(&mut **self).await?;
        Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
    }

    async fn write_records<R: RecordTable>(
        &mut self,
        statements: &ForRows,
        user_id: i64,
        now: UnixMillis,
        records: &[R],
    ) -> Result<u64, StoreError> {
        let mut written = 0;
        for (statement, records) in statements.divide(records) {
            let columns = columns_as_arrays(records);
            let parameters: Vec<Parameter<'_>> = [(&user_id).into(), (&now.0).into()]
                .into_iter()
                .chain(columns.iter().map(Parameter::from))
                .collect();
            written += self.execute(AssertSqlSafe(Arc::clone(statement)).into_sql_str(), &parameters).await?;
        }
        Ok(written)
    }
}

/// PostgreSQL's text of an array for each column, with a value of each record.
fn columns_as_arrays<R: RecordTable>(records: &[R]) -> Vec<String> {
    let mut columns: Vec<String> = R::COLUMNS.iter().map(|_| String::new()).collect();
    for record in records {
        for (column, value) in columns.iter_mut().zip(record.parameters()) {
            column.push(if column.is_empty() { '{' } else { ',' });
            push_element(column, value);
        }
    }
    columns.iter_mut().for_each(|column| column.push('}'));
    columns
}

fn push_element(array: &mut String, value: Parameter<'_>) {
    // Writing to a string can't fail.
    let _ = match value {
        Parameter::Integer(number) => write!(array, "{number}"),
        Parameter::Real(number) => write!(array, "{number}"),
        Parameter::Absent => write!(array, "NULL"),
        Parameter::Text(text) => {
            array.push('"');
            let mut rest = text;
            while let Some((before, special, after)) = split_at_special(rest) {
                array.extend([before, "\\", special]);
                rest = after;
            }
            array.push_str(rest);
            array.push('"');
            Ok(())
        }
    };
}

/// What stands before the first quote or backslash, that character, and what follows.
fn split_at_special(text: &str) -> Option<(&str, &str, &str)> {
    let (before, from) = text.split_at_checked(text.find(['"', '\\'])?)?;
    let (special, after) = from.split_at_checked(1)?;
    Some((before, special, after))
}

fn bound<'q>(statement: SqlStr, parameters: &[Parameter<'q>]) -> Query<'q, Any, AnyArguments> {
    parameters.iter().fold(sqlx::query(statement), |query, parameter| match *parameter {
        Parameter::Integer(number) => query.bind(number),
        Parameter::Real(number) => query.bind(number),
        Parameter::Text(text) => query.bind(text),
        Parameter::Absent => query.bind(None::<String>),
    })
}

/// Never waits for anything but SQLite: its futures are ready when they are made.
impl Connection for rusqlite::Transaction<'_> {
    async fn execute(&mut self, statement: SqlStr, parameters: &[Parameter<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(statement.as_str())?;
        bind(&mut statement, parameters)?;
        Ok(written(statement.raw_execute()?))
    }

    async fn rows<T: Columns>(
        &mut self,
        statement: SqlStr,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare_cached(statement.as_str())?;
        bind(&mut statement, parameters)?;
        let (mut rows, mut read) = (statement.raw_query(), Vec::new());
        while let Some(row) = rows.next()? {
            read.push(T::try_from(row)?);
        }
        Ok(read)
    }

    async fn write_records<R: RecordTable>(
        &mut self,
        statements: &ForRows,
        user_id: i64,
        now: UnixMillis,
        records: &[R],
    ) -> Result<u64, StoreError> {
        let mut rows = 0;
        for (statement, records) in statements.divide(records) {
            let parameters = records.iter().flat_map(|record| {
                [(&user_id).into(), (&now.0).into()].into_iter().chain(record.parameters())
            });
            let mut statement = self.prepare_cached(statement)?;
            rows += written(statement.execute(rusqlite::params_from_iter(parameters))?);
        }
        Ok(rows)
    }
}

/// To SQLite, `$1` is a name like any other, and counts by where it first stands.
fn bind(
    statement: &mut rusqlite::Statement<'_>,
    parameters: &[Parameter<'_>],
) -> Result<(), rusqlite::Error> {
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.strip_prefix('$')?.parse().ok());
        let parameter = parameters.get(number.unwrap_or(index) - 1).unwrap_or(&Parameter::Absent);
        statement.raw_bind_parameter(index, parameter)?;
    }
    Ok(())
}

fn written(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Absent => ValueRef::Null,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parameters_are_bound_by_their_number_and_not_by_where_they_stand() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        let mut transaction = connection.transaction().unwrap();
        transaction
            .execute_batch("create table t (id bigint not null primary key, a bigint, b text)")
            .unwrap();
        let (id, a, b) = (1_i64, 2_i64, "x".to_owned());
        let insert = "insert into t (b, a, id) values ($3, $2, $1)".into_sql_str();
        let parameters = [(&id).into(), (&a).into(), (&b).into()];
        assert_eq!(transaction.execute(insert, &parameters).await.unwrap(), 1);
        let update = "update t set a = $2 + a where id = $1 returning id, a, b".into_sql_str();
        let rows: Vec<(i64, i64, String)> = transaction.rows(update, &parameters).await.unwrap();
        assert_eq!(rows, [(1, 4, b)]);
    }

    #[test]
    fn an_array_says_what_its_elements_say() {
        let mut array = String::new();
        for text in ["", "a", "NULL", r#""a" \\ {b},"#, "é\\"] {
            push_element(&mut array, Parameter::Text(text));
        }
        push_element(&mut array, Parameter::Absent);
        push_element(&mut array, Parameter::Real(0.1));
        assert_eq!(array, r#""""a""NULL""\"a\" \\\\ {b},""é\\"NULL0.1"#);
    }
}

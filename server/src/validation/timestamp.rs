//! Moments as clients write them.

use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known::Iso8601};

use crate::policy;

/// Reads an ISO 8601 date with time (UTC if it names no zone) or a number of ms, as ms since the epoch.
///
/// # Errors
/// The rule that the value breaks.
pub fn millis(value: &Value) -> Result<i64, &'static str> {
    let millis = match value {
        Value::String(text) => iso_millis(text).ok_or("must be an ISO 8601 date with time")?,
        Value::Number(number) => number_millis(number).ok_or("must be in ms since 1970")?,
        _ => return Err("must be an ISO 8601 date with time, or ms since 1970"),
    };
    if (0..=policy::MAX_UNIX_MILLIS).contains(&millis) {
        Ok(millis)
    } else {
        Err("is out of range (1970 to 9999)")
    }
}

fn iso_millis(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Iso8601::PARSING)
        .or_else(|_| PrimitiveDateTime::parse(text, &Iso8601::PARSING).map(PrimitiveDateTime::assume_utc))
        .ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

fn number_millis(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let millis = number.as_f64()?.floor();
        #[expect(clippy::cast_possible_truncation, reason = "in the range that is checked here")]
        (0.0..1e15).contains(&millis).then_some(millis as i64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_and_numbers_name_the_same_moment() {
        for value in [
            json!("2025-10-21T09:46:40.123Z"),
            json!("2025-10-21T11:46:40.123+02:00"),
            json!("2025-10-21T09:46:40.123456Z"),
            json!("2025-10-21T09:46:40.123"),
            json!(1_761_040_000_123_i64),
            json!(1_761_040_000_123.9),
        ] {
            assert_eq!(millis(&value), Ok(1_761_040_000_123), "{value}");
        }
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        for value in [
            json!("not a time"),
            json!(""),
            json!("2025-10-21"),
            json!("2025-13-21T09:46:40Z"),
            json!("1761040000123"),
            json!("1969-12-31T23:59:59Z"),
            json!(-1),
            json!(1e300),
            json!(true),
            json!([]),
        ] {
            assert!(millis(&value).is_err(), "{value}");
        }
    }
}

//! Taking the fields of a record out one by one, each against its rule.

use serde_json::{Map, Value, value::RawValue};

use super::{is_longer, timestamp, web_address};
use crate::policy;

/// The rule that a record breaks, and in which field.
#[derive(Debug, PartialEq)]
pub(super) struct FieldError {
    pub(super) field: Option<String>,
    pub(super) error: &'static str,
}

impl FieldError {
    pub(super) fn new(field: &str, error: &'static str) -> Self {
        Self { field: Some(field.to_owned()), error }
    }

    pub(super) fn record(error: &'static str) -> Self {
        Self { field: None, error }
    }
}

/// Where a field may be named in several ways, the first name that has a value wins; null counts as absent.
type Names = &'static [&'static str];

type Taken<T> = Result<Option<T>, FieldError>;

pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// The fields that nobody has taken.
    pub(super) fn into_rest(self) -> Map<String, Value> {
        self.0
    }

    /// A field of any type.
    pub(super) fn any(&mut self, names: Names) -> Option<(&'static str, Value)> {
        names.iter().find_map(|name| match self.0.remove(*name) {
            None | Some(Value::Null) => None,
            Some(value) => Some((*name, value)),
        })
    }

    fn take<T>(&mut self, names: Names, rule: impl FnOnce(Value) -> Result<T, &'static str>) -> Taken<T> {
        match self.any(names) {
            None => Ok(None),
            Some((name, value)) => rule(value).map(Some).map_err(|error| FieldError::new(name, error)),
        }
    }

    /// The id of a record, or a reference to one; numbers are read as text.
    pub(super) fn id(&mut self, names: Names) -> Taken<String> {
        self.take(names, |value| {
            let id = id_text(&value).ok_or("must be a string that isn't blank")?;
            if is_longer(&id, policy::MAX_ID_CHARS) { Err("is longer than 255 characters") } else { Ok(id) }
        })
    }

    /// Text of any length.
    pub(super) fn text(&mut self, names: Names) -> Taken<String> {
        self.take(names, string)
    }

    /// Text of a label's length.
    pub(super) fn label(&mut self, names: Names) -> Taken<String> {
        self.take(names, |value| {
            let label = string(value)?;
            if is_longer(&label, policy::MAX_LABEL_CHARS) {
                Err("is longer than 255 characters")
            } else {
                Ok(label)
            }
        })
    }

    /// One of a fixed set of words.
    pub(super) fn word(&mut self, names: Names, words: &[&str], error: &'static str) -> Taken<String> {
        self.take(names, |value| {
            let word = string(value)?;
            if words.contains(&word.as_str()) { Ok(word) } else { Err(error) }
        })
    }

    /// An http or https URL.
    pub(super) fn url(&mut self, names: Names) -> Taken<String> {
        self.take(names, |value| {
            let url = string(value)?;
            web_address::check(&url)?;
            Ok(url)
        })
    }

    /// A moment, in ms since the epoch.
    pub(super) fn moment_ms(&mut self, names: Names) -> Taken<i64> {
        self.take(names, |value| timestamp::millis(&value))
    }

    /// A number in a range, both ends included.
    pub(super) fn number(&mut self, names: Names, range: (f64, f64), error: &'static str) -> Taken<f64> {
        self.take(names, |value| {
            let number = value.as_f64().ok_or("must be a number")?;
            if (range.0..=range.1).contains(&number) { Ok(number) } else { Err(error) }
        })
    }

    /// A whole number in a range, both ends included. 7.0 is one as well: JavaScript has no other way to write it.
    pub(super) fn integer(&mut self, names: Names, range: (i64, i64), error: &'static str) -> Taken<i64> {
        self.take(names, |value| {
            let number = whole_number(&value).ok_or("must be a whole number")?;
            if (range.0..=range.1).contains(&number) { Ok(number) } else { Err(error) }
        })
    }

    /// Any JSON, as text.
    pub(super) fn json(&mut self, names: Names) -> Taken<String> {
        self.take(names, |value| {
            let text = value.to_string();
            if text.len() > policy::MAX_JSON_FIELD_BYTES {
                Err("is larger than 51200 bytes of JSON")
            } else {
                Ok(text)
            }
        })
    }
}

/// Turns an absent field into an error.
pub(super) fn required<T>(name: &'static str, taken: Taken<T>) -> Result<T, FieldError> {
    taken?.ok_or_else(|| FieldError::new(name, "is missing"))
}

/// An id as text; none if it is blank or neither a string nor a number.
pub(super) fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(id) if !id.trim().is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn string(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("must be a string"),
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within the range where every integer is exact"
        )]
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}

/// Looks through a whole record for what no database column takes: NUL characters, and bottomless nesting.
pub(super) fn check_content(record: &Map<String, Value>) -> Result<(), FieldError> {
    for (name, value) in record {
        if name.contains('\0') {
            return Err(FieldError::record("contains a NUL character"));
        }
        check_value(value, 2).map_err(|error| FieldError::new(name, error))?;
    }
    Ok(())
}

fn check_value(value: &Value, depth: usize) -> Result<(), &'static str> {
    const NUL: &str = "contains a NUL character";
    const TOO_DEEP: &str = "is nested too deeply";
    match value {
        Value::String(text) if text.contains('\0') => Err(NUL),
        Value::Array(_) | Value::Object(_) if depth > policy::MAX_JSON_DEPTH => Err(TOO_DEEP),
        Value::Array(values) => values.iter().try_for_each(|value| check_value(value, depth + 1)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            if name.contains('\0') { Err(NUL) } else { check_value(value, depth + 1) }
        }),
        _ => Ok(()),
    }
}

/// Why a record of sound JSON syntax can't be read.
pub(super) fn unreadable(raw: &RawValue, error: &serde_json::Error) -> FieldError {
    if !raw.get().starts_with('{') {
        FieldError::record("must be an object")
    } else if error.to_string().starts_with("recursion limit") {
        FieldError::record("is nested too deeply")
    } else {
        FieldError::record("contains a broken character (a lone surrogate) or a number out of range")
    }
}

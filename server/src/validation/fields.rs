//! Taking the fields of a record out one by one, each against its rule.
//!
//! Values stay raw text until they are taken: most of a batch goes from the line to the database without being built up
//! in between.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::{is_longer, timestamp, web_address, web_address::WebAddress};
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

/// What a record consists of, in the order in which it was sent.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                // The client's records have some twenty fields.
                let mut fields = Vec::with_capacity(24);
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Borrowed from the text, unless it has escapes.
#[derive(Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> Fields<'a> {
    /// The fields that nobody has taken, as JSON text; none if there are none.
    pub(super) fn into_rest(self) -> Result<Option<String>, FieldError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        // A map, because of a name that was sent twice the last one counts.
        let field = |(name, raw): (Cow<'a, str>, &RawValue)| {
            value(raw).map(|value| (name.to_string(), value)).map_err(|error| FieldError::new(&name, error))
        };
        let rest: Map<String, Value> = self.0.into_iter().map(field).collect::<Result<_, _>>()?;
        Ok(Some(Value::Object(rest).to_string()))
    }

    /// Of a name that was sent twice, the last one counts. One pass, however often it was sent.
    fn remove(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut removed = None;
        self.0.retain(|(sent, raw)| {
            let is_meant = sent == name;
            if is_meant {
                removed = Some(*raw);
            }
            !is_meant
        });
        removed
    }

    /// A field of any type.
    pub(super) fn any(&mut self, names: Names) -> Option<(&'static str, &'a RawValue)> {
        names
            .iter()
            .find_map(|name| self.remove(name).filter(|raw| raw.get() != "null").map(|raw| (*name, raw)))
    }

    fn take<T>(
        &mut self,
        names: Names,
        rule: impl FnOnce(&'a RawValue) -> Result<T, &'static str>,
    ) -> Taken<T> {
        match self.any(names) {
            None => Ok(None),
            Some((name, raw)) => rule(raw).map(Some).map_err(|error| FieldError::new(name, error)),
        }
    }

    /// The id of a record, or a reference to one; numbers are read as text.
    pub(super) fn id(&mut self, names: Names) -> Taken<String> {
        self.take(names, |raw| {
            let id = id_text(raw).ok_or("must be a string that isn't blank")?;
            if is_longer(&id, policy::MAX_ID_CHARS) { Err("is longer than 255 characters") } else { Ok(id) }
        })
    }

    /// Text of any length.
    pub(super) fn text(&mut self, names: Names) -> Taken<String> {
        self.take(names, string)
    }

    /// Text of a label's length.
    pub(super) fn label(&mut self, names: Names) -> Taken<String> {
        self.take(names, |raw| {
            let label = string(raw)?;
            if is_longer(&label, policy::MAX_LABEL_CHARS) {
                Err("is longer than 255 characters")
            } else {
                Ok(label)
            }
        })
    }

    /// One of a fixed set of words.
    pub(super) fn word(&mut self, names: Names, words: &[&str], error: &'static str) -> Taken<String> {
        self.take(names, |raw| {
            let word = string(raw)?;
            if words.contains(&word.as_str()) { Ok(word) } else { Err(error) }
        })
    }

    /// An http or https URL.
    pub(super) fn url(&mut self, names: Names) -> Taken<WebAddress> {
        self.take(names, |raw| web_address::check(string(raw)?))
    }

    /// A moment, in ms since the epoch.
    pub(super) fn moment_ms(&mut self, names: Names) -> Taken<i64> {
        self.take(names, |raw| timestamp::millis(&value(raw)?))
    }

    /// A number in a range, both ends included.
    pub(super) fn number(&mut self, names: Names, range: (f64, f64), error: &'static str) -> Taken<f64> {
        self.take(names, |raw| {
            let number = value(raw)?.as_f64().ok_or("must be a number")?;
            if (range.0..=range.1).contains(&number) { Ok(number) } else { Err(error) }
        })
    }

    /// A whole number in a range, both ends included. 7.0 is one as well: JavaScript has no other way to write it.
    pub(super) fn integer(&mut self, names: Names, range: (i64, i64), error: &'static str) -> Taken<i64> {
        self.take(names, |raw| {
            let number = whole_number(&value(raw)?).ok_or("must be a whole number")?;
            if (range.0..=range.1).contains(&number) { Ok(number) } else { Err(error) }
        })
    }

    /// Any JSON, as text.
    pub(super) fn json(&mut self, names: Names) -> Taken<String> {
        self.take(names, |raw| {
            let text = json_text(raw)?;
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
pub(super) fn id_text(raw: &RawValue) -> Option<String> {
    match value(raw) {
        Ok(Value::String(id)) if !id.trim().is_empty() => Some(id),
        Ok(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    }
}

/// Any value, built up.
pub(super) fn value(raw: &RawValue) -> Result<Value, &'static str> {
    serde_json::from_str(raw.get()).map_err(|_| UNREADABLE)
}

fn string(raw: &RawValue) -> Result<String, &'static str> {
    match value(raw)? {
        Value::String(text) => Ok(text),
        _ => Err("must be a string"),
    }
}

/// JSON as it was sent; written anew if it has escapes, so that the names of sites in it can be found.
fn json_text(raw: &RawValue) -> Result<String, &'static str> {
    if is_plain(raw) { Ok(raw.get().to_owned()) } else { Ok(value(raw)?.to_string()) }
}

/// Whether the text says what it means: it has no escapes.
pub(super) fn is_plain(raw: &RawValue) -> bool {
    !raw.get().contains('\\')
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

/// Looks through a whole record for what no database column takes: NUL characters, lone surrogates, and bottomless
/// nesting.
pub(super) fn check_content(raw: &RawValue) -> Result<(), FieldError> {
    // The first two can only be written as escapes, and nothing is nested deeper than it has brackets.
    let brackets = raw.get().bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if brackets <= policy::MAX_JSON_DEPTH && !raw.get().contains("\\u") {
        return Ok(());
    }
    let record: Map<String, Value> =
        serde_json::from_str(raw.get()).map_err(|error| unreadable(raw, &error))?;
    for (name, value) in &record {
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

const UNREADABLE: &str = "contains a broken character (a lone surrogate) or a number out of range";

/// Why a record of sound JSON syntax can't be read.
pub(super) fn unreadable(raw: &RawValue, error: &serde_json::Error) -> FieldError {
    if !raw.get().starts_with('{') {
        FieldError::record("must be an object")
    } else if error.to_string().starts_with("recursion limit") {
        FieldError::record("is nested too deeply")
    } else {
        FieldError::record(UNREADABLE)
    }
}

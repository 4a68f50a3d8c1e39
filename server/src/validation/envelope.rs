//! The outer shape of a batch. Records stay raw text here, so that one that can't be read blames only itself.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{BatchError, clamp_chars, fields};
use crate::policy;

/// The two arrays of a batch.
pub(super) struct Envelope<'a> {
    pub(super) page_visits: Vec<&'a RawValue>,
    pub(super) tab_aggregates: Vec<&'a RawValue>,
    /// Browser and extension, if the client said so.
    pub(super) client: Option<String>,
}

/// Other keys are read past.
#[derive(Deserialize)]
struct Arrays<'a> {
    #[serde(borrow, default, rename = "pageVisits", deserialize_with = "raw_value")]
    page_visits: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "tabAggregates", deserialize_with = "raw_value")]
    tab_aggregates: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "browserName")]
    browser_name: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "browserVersion")]
    browser_version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "extensionVersion")]
    extension_version: Option<&'a RawValue>,
}

/// Tells a key that is null from one that is absent.
fn raw_value<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&'a RawValue>::deserialize(deserializer).map(Some).map_err(de::Error::custom)
}

pub(super) fn read(body: &[u8]) -> Result<Envelope<'_>, BatchError> {
    let text = std::str::from_utf8(body).map_err(|_| BatchError::NotABatch("The body isn't UTF-8."))?;
    let arrays: Arrays<'_> = object(text.as_bytes())
        .ok_or(BatchError::NotABatch("The body isn't a JSON object with the arrays of a batch."))?;
    if arrays.page_visits.is_none() && arrays.tab_aggregates.is_none() {
        return Err(BatchError::NotABatch("The body has neither pageVisits nor tabAggregates."));
    }
    let client = [arrays.browser_name, arrays.browser_version, arrays.extension_version];
    Ok(Envelope {
        client: described_client(client),
        page_visits: records(arrays.page_visits, "pageVisits must be an array.")?,
        tab_aggregates: records(arrays.tab_aggregates, "tabAggregates must be an array.")?,
    })
}

fn records<'a>(
    raw: Option<&'a RawValue>,
    not_an_array: &'static str,
) -> Result<Vec<&'a RawValue>, BatchError> {
    raw.map_or(Ok(Vec::new()), |raw| array(raw, policy::MAX_RECORDS_PER_KIND, not_an_array))
}

/// The elements of an array, or of null. Beyond the limit they are only counted: they would take more than the text.
pub(super) fn array<'a>(
    raw: &'a RawValue,
    limit: usize,
    not_an_array: &'static str,
) -> Result<Vec<&'a RawValue>, BatchError> {
    let few = Few { limit, elements: Vec::new(), count: 0 };
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let Few { elements, count, .. } =
        json.deserialize_option(few).map_err(|_| BatchError::NotABatch(not_an_array))?;
    if count > limit { Err(BatchError::TooManyRecords(count)) } else { Ok(elements) }
}

struct Few<'a> {
    limit: usize,
    elements: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Visitor<'de> for Few<'de> {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_none<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<Self, A::Error> {
        while self.count < self.limit {
            let Some(element) = array.next_element()? else { return Ok(self) };
            self.elements.push(element);
            self.count += 1;
        }
        while array.next_element::<IgnoredAny>()?.is_some() {
            self.count += 1;
        }
        Ok(self)
    }
}

/// Reads a JSON object. An array is none, though serde would take one for a struct, field by field.
pub fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    text.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(text).ok()).flatten()
}

/// `Firefox 144.0 0.1.0`, of what can be read.
fn described_client(parts: [Option<&RawValue>; 3]) -> Option<String> {
    let words = parts.into_iter().flatten().filter_map(|raw| {
        let mut word: String = serde_json::from_str(raw.get()).ok()?;
        word.retain(|c| !c.is_control());
        clamp_chars(&mut word, policy::MAX_CLIENT_CHARS);
        Some(word)
    });
    let described = words.collect::<Vec<_>>().join(" ");
    (!described.is_empty()).then_some(described)
}

/// The id of a record that can't be read as a whole, if at least that can be.
pub(super) fn readable_id(record: &RawValue, names: &[&str]) -> Option<String> {
    let mut json = serde_json::Deserializer::from_str(record.get());
    let values = json.deserialize_map(Named(names)).ok()?;
    values.into_iter().find_map(|value| fields::id_text(value?))
}

/// The values of these names, of which the last one counts, and nothing else of an object.
struct Named<'n>(&'n [&'n str]);

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.0.len()];
        while let Some(fields::Name(name)) = map.next_key()? {
            match self.0.iter().zip(&mut values).find(|(meant, _)| **meant == name) {
                Some((_, value)) => *value = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(body: &str) -> Result<(usize, usize), BatchError> {
        read(body.as_bytes()).map(|envelope| (envelope.page_visits.len(), envelope.tab_aggregates.len()))
    }

    #[test]
    fn either_array_may_be_absent_or_null() {
        assert_eq!(counts(r#"{"pageVisits":[1,2]}"#), Ok((2, 0)));
        assert_eq!(counts(r#"{"pageVisits":null,"tabAggregates":[3],"browserName":"x"}"#), Ok((0, 1)));
    }

    #[test]
    fn a_body_without_the_arrays_is_no_batch() {
        for body in [
            "",
            "{}",
            "[]",
            "[[],[]]",
            "null",
            "1",
            r#"{"page_visits":[]}"#,
            r#"{"pageVisits":{}}"#,
            r#"{"pageVisits":"#,
        ] {
            assert!(matches!(counts(body), Err(BatchError::NotABatch(_))), "{body}");
        }
        assert!(matches!(read(b"{\"pageVisits\":[\"\xff\"]}"), Err(BatchError::NotABatch(_))));
    }

    #[test]
    fn one_record_too_many_is_too_many() {
        let body = |count: usize| format!(r#"{{"tabAggregates":[{}]}}"#, vec!["0"; count].join(","));
        assert_eq!(counts(&body(policy::MAX_RECORDS_PER_KIND)), Ok((0, policy::MAX_RECORDS_PER_KIND)));
        let one_more = policy::MAX_RECORDS_PER_KIND + 1;
        assert_eq!(counts(&body(one_more)), Err(BatchError::TooManyRecords(one_more)));
    }
}

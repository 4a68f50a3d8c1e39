//! The door: every record enters here, is checked, put into the form that travels, and summed up in its [`Head`].
//!
//! The rules are those of the published backend, read strictly, so that what passes here is not refused there. Values
//! are JSON throughout: only the fields in the rule tables are looked at, all others survive untouched, in their order.

pub mod address;
mod error;
mod field;
pub mod moment;
mod page_visit;
pub mod sites;
mod tab_aggregate;
mod text;
pub mod wire;

use serde_json::{Map, Value};

pub use error::RecordError;

use self::field::{Form, Grain, Rule};
use super::kind::Kind;

/// Most characters of an id; a UUID has 36, the first generation's ids about 25. Ids are keys of every table.
pub const MAX_ID_CHARS: usize = 128;
/// Most characters of a URL after normalisation, as the published backend counts.
pub const MAX_URL_CHARS: usize = 2048;
/// Most characters of a title; longer ones are clamped.
pub const MAX_TITLE_CHARS: usize = 500;
/// Most characters of a domain, from DNS.
pub const MAX_DOMAIN_CHARS: usize = 253;
/// Most bytes of `metadata` as compact JSON.
pub const MAX_METADATA_BYTES: usize = 51_200;
/// Most characters of a string within `metadata`; longer ones are cut and end in three dots.
pub const MAX_METADATA_STRING_CHARS: usize = 2000;
/// Most bytes of a whole record as compact JSON: half of the largest batch, so that every record fits one.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Deepest nesting of a record, itself included.
pub const MAX_DEPTH: usize = 32;
/// Most sites named in a head; beyond, [`sites::MORE_SITES`] stands for the rest.
pub const MAX_SITES: usize = 64;

/// What the outbox needs to know of a record without reading its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// What the record is about.
    pub kind: Kind,
    /// Its id, the same in every revision.
    pub id: String,
    /// Its revision, from 1.
    pub revision: u32,
    /// The page visit that must be known before it: a visit's source, an aggregate's visit.
    pub refers_to: Option<String>,
    /// UTF-8 length of the body.
    pub bytes: u32,
    /// Every host that a field names, lower-case, each once; a page visit's own comes first. At most [`MAX_SITES`],
    /// then [`sites::MORE_SITES`].
    pub sites: Vec<String>,
}

/// A record that passed the door: its head, and the compact JSON text that goes on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// What is known of it without its body.
    pub head: Head,
    /// The JSON text.
    pub body: String,
}

/// Who made a record: callers are refused, the tracker's records are made to fit (rule 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Somebody who calls the module.
    Caller,
    /// The core's own tracker.
    Tracker,
}

// What a user read where must not reach a log (rule 11); ids are random.
impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("revision", &self.revision)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("head", &self.head).finish_non_exhaustive()
    }
}

/// Checks a record and puts it into the form that travels: names as on the wire, URLs by RFC 3986 without user
/// information and tracking parameters, times as ISO-8601 in UTC with milliseconds, `revision` always there.
///
/// Admitting an admitted body again changes nothing.
///
/// # Errors
/// From a caller, the first rule that is broken, with the field's name. The tracker's numbers, texts and URLs are made
/// to fit, and an optional field that can't be is left out; it is refused only where id, URL or references are missing.
pub fn admit(kind: Kind, json_text: &str, maker: Maker) -> Result<Record, RecordError> {
    let sound = text::sound(json_text, maker)?;
    let Value::Object(fields) = serde_json::from_str(&sound).map_err(|_| RecordError::NotJson)? else {
        return Err(RecordError::NotAnObject);
    };
    let mut fields = field::canonical_names(fields, rules(kind))?;
    for rule in rules(kind) {
        rule.apply(&mut fields, kind, maker)?;
    }
    match kind {
        Kind::PageVisit => page_visit::complete(&mut fields, maker)?,
        Kind::TabAggregate => tab_aggregate::complete(&fields)?,
    }
    if fields.get("revision").is_none_or(Value::is_null) {
        fields.insert("revision".to_owned(), 1.into());
    }
    let body = bounded(&mut fields, kind, maker)?;
    Ok(Record { head: head(kind, fields, body.len()), body })
}

/// The highest revision wins at the server; a record that doesn't say is its first.
const REVISION: Rule =
    Rule::optional("revision", "", Form::Number { least: 1.0, most: 4_294_967_295.0, grain: Grain::Whole });

/// The fields that the door knows, by kind.
fn rules(kind: Kind) -> &'static [Rule] {
    match kind {
        Kind::PageVisit => page_visit::RULES,
        Kind::TabAggregate => tab_aggregate::RULES,
    }
}

/// The field in which a record notes what was cut off it.
fn notes_field(kind: Kind) -> &'static str {
    match kind {
        Kind::PageVisit => "metadata",
        Kind::TabAggregate => "statistics",
    }
}

/// The body, within [`MAX_RECORD_BYTES`]. The tracker's record loses its largest optional fields until it is.
fn bounded(fields: &mut Map<String, Value>, kind: Kind, maker: Maker) -> Result<String, RecordError> {
    loop {
        let text = serde_json::to_string(fields).map_err(|_| RecordError::NotJson)?;
        if text.len() <= MAX_RECORD_BYTES {
            return Ok(text);
        }
        let too_large = || RecordError::TooLarge(String::new());
        if maker == Maker::Caller {
            return Err(too_large());
        }
        let optional =
            fields.iter().filter(|(name, _)| !rules(kind).iter().any(|r| r.required && r.name == *name));
        let largest = optional
            .max_by_key(|(_, value)| serde_json::to_string(value).map_or(0, |text| text.len()))
            .map(|(name, _)| name.clone());
        fields.shift_remove(&largest.ok_or_else(too_large)?);
        field::note(fields, kind, "fields_dropped");
    }
}

fn head(kind: Kind, fields: Map<String, Value>, bytes: usize) -> Head {
    let text = |name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    Head {
        kind,
        id: text("id").unwrap_or_default(),
        revision: fields.get("revision").and_then(Value::as_u64).map_or(1, |number| number as u32),
        refers_to: match kind {
            Kind::PageVisit => text("source_page_visit_id"),
            Kind::TabAggregate => text("page_visit_id"),
        },
        bytes: bytes as u32,
        sites: sites::named_in(kind, fields),
    }
}

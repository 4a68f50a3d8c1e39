//! What a body loses when a batch is cut: the outbox keeps the record as it was captured.

use serde_json::{Map, Value};

use super::{moment, sites};
use crate::words::kind::Kind;
use crate::words::time::UnixMillis;

/// The body of a page visit with its source set to null, for a source that can't come first (rule 6); none where it
/// names no source.
pub fn without_source(body: &str) -> Option<String> {
    let mut fields = fields(body)?;
    let source = fields.get_mut("source_page_visit_id").filter(|source| !source.is_null())?;
    *source = Value::Null;
    serde_json::to_string(&fields).ok()
}

/// The body without the fields and entries that name an excluded site (rule 11); none where nothing does. The record's
/// own URL stays: whether that is excluded is asked with [`own_site`] first.
pub fn without_sites(kind: Kind, body: &str, excluded: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut fields = fields(body)?;
    let mut touched = false;
    sites::retain(kind, &mut fields, &mut |host| {
        let keeps = !excluded(&host);
        touched |= !keeps;
        keeps
    });
    touched.then(|| serde_json::to_string(&fields).ok())?
}

/// The record's own URL.
pub fn own_url(body: &str) -> Option<String> {
    fields(body)?.get("url")?.as_str().map(str::to_owned)
}

/// When the record's page was visited; an aggregate doesn't say.
pub fn visited_at(body: &str) -> Option<UnixMillis> {
    moment::from_iso(fields(body)?.get("visited_at")?.as_str()?)
}

/// The host of the record's own URL; an aggregate has none and follows its visit.
pub fn own_site(body: &str) -> Option<String> {
    sites::own_host(&fields(body)?)
}

fn fields(body: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(body) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

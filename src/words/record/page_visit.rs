//! A page visit's fields.

use serde_json::{Map, Value};

use super::address::{Address, without_www};
use super::field::{Form, Grain, Rule};
use super::{MAX_DOMAIN_CHARS, Maker, RecordError};

/// In the order in which they are applied: the notes field `metadata` behind `url`, whose loss is noted there.
pub(super) const RULES: &[Rule] = &[
    Rule::required("id", "visitId", Form::Id),
    Rule::required("url", "", Form::Url),
    Rule::required("visited_at", "startedAt", Form::Moment),
    Rule::optional("title", "", Form::Title),
    Rule::optional("opened_at", "openedAt", Form::Moment),
    Rule::optional("source_page_visit_id", "sourcePageVisitId", Form::Id),
    Rule::optional(
        "tabId",
        "",
        Form::Number { least: -2_147_483_648.0, most: 2_147_483_647.0, grain: Grain::Whole },
    ),
    Rule::optional("domain", "", Form::Domain),
    Rule::optional(
        "durationSeconds",
        "duration_seconds",
        Form::Number { least: 0.0, most: 86_400.0, grain: Grain::RoundedAndClamped },
    ),
    // Milliseconds; the published backend stores them as seconds in 32 bits.
    Rule::optional(
        "activeDuration",
        "",
        Form::Number { least: 0.0, most: 2_147_483_647_000.0, grain: Grain::Rounded },
    ),
    Rule::optional(
        "engagementRate",
        "engagement_rate",
        Form::Number { least: 0.0, most: 1.0, grain: Grain::Any },
    ),
    Rule::optional("idlePeriods", "idle_periods", Form::Array),
    Rule::optional(
        "lastHeartbeat",
        "last_heartbeat",
        Form::Number { least: 0.0, most: 8.64e15, grain: Grain::Rounded },
    ),
    Rule::optional("anonymousClientId", "anonymous_client_id", Form::Text),
    Rule::optional("category", "", Form::Category),
    Rule::optional("categoryConfidence", "", Form::Number { least: 0.0, most: 1.0, grain: Grain::Any }),
    Rule::optional("categoryMethod", "", Form::Text),
    Rule::optional("metadata", "", Form::Metadata),
    super::REVISION,
];

/// What no single field tells: the domain comes from the URL if it wasn't given, and no visit is its own source.
pub(super) fn complete(fields: &mut Map<String, Value>, maker: Maker) -> Result<(), RecordError> {
    let text = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let own_source = text("source_page_visit_id") == text("id");
    if text("domain").is_empty() {
        let address = Address::parse(text("url"));
        let domain = address.as_ref().map_or("", |address| without_www(address.host()));
        let domain: String = domain.chars().take(MAX_DOMAIN_CHARS).collect();
        fields.insert("domain".to_owned(), domain.into());
    }
    match (own_source, maker) {
        (false, _) => Ok(()),
        (true, Maker::Caller) => Err(RecordError::RefersToItself("source_page_visit_id".to_owned())),
        (true, Maker::Tracker) => {
            fields.insert("source_page_visit_id".to_owned(), Value::Null);
            Ok(())
        }
    }
}

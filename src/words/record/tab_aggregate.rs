//! A tab aggregate's fields (what the published backend takes for its API form, and what only other servers store).

use serde_json::{Map, Value};

use super::RecordError;
use super::field::{Form, Grain, Rule};

/// The published column holds 32 bits.
const SECONDS: Form = Form::Number { least: 0.0, most: 2_147_483_647.0, grain: Grain::Rounded };

/// In the order in which they are applied: the notes field `statistics` behind `current_url`, whose loss is noted there.
pub(super) const RULES: &[Rule] = &[
    Rule::required("id", "", Form::Id),
    Rule::required("page_visit_id", "pageVisitId", Form::Id),
    Rule::required("total_time_seconds", "totalTimeSeconds", SECONDS),
    Rule::required("active_time_seconds", "activeTimeSeconds", SECONDS),
    Rule::optional(
        "scroll_depth_percent",
        "scrollDepthPercent",
        Form::Number { least: 0.0, most: 100.0, grain: Grain::Any },
    ),
    Rule::optional("closed_at", "closedAt", Form::Moment),
    Rule::optional("domain_durations", "domainDurations", Form::SecondsPerHost),
    // Up to what a JavaScript number counts without gaps.
    Rule::optional(
        "page_count",
        "pageCount",
        Form::Number { least: 0.0, most: 9_007_199_254_740_991.0, grain: Grain::Whole },
    ),
    Rule::optional("current_url", "currentUrl", Form::Url),
    Rule::optional("current_domain", "currentDomain", Form::Domain),
    Rule::optional("statistics", "", Form::Object),
    super::REVISION,
];

/// What no single field tells: with a tab and a start time the published backend would read its other form (the
/// extension's), ignore the declared seconds, and drop the aggregate if its visit isn't in the same request.
pub(super) fn complete(fields: &Map<String, Value>) -> Result<(), RecordError> {
    let given = |name: &&str| fields.get(*name).is_some_and(|value| !value.is_null());
    match ["startTime", "start_time"].iter().find(|name| given(name)) {
        Some(start) if given(&"tabId") => Err(RecordError::ExtensionForm((*start).to_owned())),
        _ => Ok(()),
    }
}

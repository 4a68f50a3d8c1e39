//! The schemas of what clients send with records. The rules are in `validation`, which reads field by field so that
//! each error names its field; a test holds the two together.

use serde_json::{Map, Value, json};

use crate::policy;

/// Schemas by name.
pub(super) fn schemas() -> Map<String, Value> {
    let whole = |schema: Value| if let Value::Object(schemas) = schema { schemas } else { Map::new() };
    whole(json!({
        "Id": {
            "description": "A UUID as a rule; a number is read as text. Not blank.",
            "anyOf": [
                { "type": "string", "minLength": 1, "maxLength": policy::MAX_ID_CHARS, "pattern": "\\S" },
                { "type": "number" },
            ],
        },
        "Moment": {
            "description": "ISO 8601 (UTC if it names no zone), or ms since 1970; from 1970 to 9999.",
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "number", "minimum": 0, "maximum": policy::MAX_UNIX_MILLIS },
            ],
        },
        "Batch": {
            "description": "At least one of the arrays must be there.",
            "type": "object",
            "properties": {
                "pageVisits": {
                    "type": ["array", "null"], "maxItems": policy::MAX_RECORDS_PER_KIND,
                    "items": { "$ref": "#/components/schemas/PageVisit" },
                },
                "tabAggregates": {
                    "type": ["array", "null"], "maxItems": policy::MAX_RECORDS_PER_KIND,
                    "items": { "$ref": "#/components/schemas/TabAggregate" },
                },
                "extensionVersion": { "description": "For the log of syncs, as the next two." },
                "browserName": {},
                "browserVersion": {},
            },
            "anyOf": [{ "required": ["pageVisits"] }, { "required": ["tabAggregates"] }],
        },
        "PageVisit": page_visit(),
        "TabAggregate": tab_aggregate(),
        "KnownQuestion": {
            "description": format!("At least one of the arrays must be there; at most {} ids in both.", policy::MAX_KNOWN_IDS),
            "type": "object",
            "properties": { "pageVisits": ids_to_look_for(), "tabAggregates": ids_to_look_for() },
            "anyOf": [
                { "required": ["pageVisits"], "properties": { "pageVisits": { "type": "array" } } },
                { "required": ["tabAggregates"], "properties": { "tabAggregates": { "type": "array" } } },
            ],
        },
        "Erasure": {
            "description": "Without `to`, all of it that is held goes, and what comes later if it is of before now.",
            "oneOf": [
                { "title": "everything", "type": "object", "required": ["scope"], "properties": {
                    "scope": { "const": "all" }, "to": moment_or_null(), "from": { "type": "null" }, "site": { "type": "null" },
                } },
                { "title": "one site, subdomains included", "type": "object", "required": ["scope", "site"], "properties": {
                    "scope": { "const": "site" }, "site": { "type": "string", "format": "hostname" },
                    "from": moment_or_null(), "to": moment_or_null(),
                } },
                { "title": "a span of time", "type": "object", "required": ["scope", "from"], "properties": {
                    "scope": { "const": "range" }, "from": { "$ref": "#/components/schemas/Moment" },
                    "to": moment_or_null(), "site": { "type": "null" },
                } },
            ],
        },
    }))
}

fn page_visit() -> Value {
    json!({
        "description": "`visitId`, `startedAt`, `openedAt`, `sourcePageVisitId`, `duration_seconds`, `engagement_rate`, \
            `idle_periods`, `last_heartbeat` and `anonymous_client_id` are read as well. Null counts as absent. Fields \
            that aren't known are kept.",
        "type": "object",
        "required": ["id", "url", "visited_at"],
        "properties": {
            "id": { "$ref": "#/components/schemas/Id" },
            "url": { "type": "string", "format": "uri", "maxLength": policy::MAX_URL_CHARS,
                "description": "http or https; tracking parameters are cut out" },
            "visited_at": { "$ref": "#/components/schemas/Moment" },
            "revision": revision(),
            "title": { "type": ["string", "null"],
                "description": format!("Cut to {} characters", policy::MAX_TITLE_CHARS) },
            "opened_at": moment_or_null(),
            "source_page_visit_id": id_or_null(),
            "tabId": { "type": ["integer", "null"], "minimum": i32::MIN, "maximum": i32::MAX },
            "domain": { "type": ["string", "null"] },
            "durationSeconds": { "type": ["number", "null"], "minimum": 0, "description": "At most a day is kept" },
            "activeDuration": { "type": ["number", "null"], "minimum": 0, "description": "In milliseconds" },
            "engagementRate": { "type": ["number", "null"], "minimum": 0, "maximum": 1 },
            "idlePeriods": json_field(),
            "lastHeartbeat": moment_or_null(),
            "anonymousClientId": label(),
            "category": { "enum": crate::validation::CATEGORIES.iter().copied().map(Value::from)
                .chain([Value::Null]).collect::<Vec<_>>() },
            "categoryConfidence": { "type": ["number", "null"], "minimum": 0, "maximum": 1 },
            "categoryMethod": label(),
            "metadata": { "description": format!("An object of at most {} bytes of JSON; long strings in it are cut, \
                anything else counts as absent", policy::MAX_JSON_FIELD_BYTES) },
        },
    })
}

fn tab_aggregate() -> Value {
    let seconds = json!({ "type": "number", "minimum": 0, "maximum": policy::MAX_AGGREGATE_SECONDS });
    json!({
        "description": "The names in camel case are read as well. Null counts as absent. Fields that aren't known are kept.",
        "type": "object",
        "required": ["id", "page_visit_id", "total_time_seconds", "active_time_seconds"],
        "properties": {
            "id": { "$ref": "#/components/schemas/Id" },
            "page_visit_id": { "$ref": "#/components/schemas/Id", "description": "Its visit, which may come later" },
            "total_time_seconds": seconds,
            "active_time_seconds": seconds,
            "revision": revision(),
            "scroll_depth_percent": { "type": ["number", "null"], "minimum": 0, "maximum": 100 },
            "closed_at": moment_or_null(),
            "domain_durations": json_field(),
            "page_count": { "type": ["integer", "null"], "minimum": 0, "maximum": policy::MAX_REVISION },
            "current_url": { "type": ["string", "null"], "format": "uri", "maxLength": policy::MAX_URL_CHARS },
            "current_domain": { "type": ["string", "null"] },
            "statistics": json_field(),
        },
    })
}

fn revision() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 1, "maximum": policy::MAX_REVISION,
        "description": "The highest is kept, whatever the order of arrival; 1 if absent" })
}

fn label() -> Value {
    json!({ "type": ["string", "null"], "maxLength": policy::MAX_LABEL_CHARS })
}

fn json_field() -> Value {
    json!({ "description": format!("Any JSON of at most {} bytes", policy::MAX_JSON_FIELD_BYTES) })
}

fn or_null(name: &str) -> Value {
    json!({ "anyOf": [{ "$ref": format!("#/components/schemas/{name}") }, { "type": "null" }] })
}

fn moment_or_null() -> Value {
    or_null("Moment")
}

fn id_or_null() -> Value {
    or_null("Id")
}

fn ids_to_look_for() -> Value {
    json!({ "type": ["array", "null"], "maxItems": policy::MAX_KNOWN_IDS, "items": { "anyOf": [
        { "type": "string" },
        { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
    ] } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::{BatchError, check_batch};

    const KINDS: [(&str, &str); 2] = [("PageVisit", "pageVisits"), ("TabAggregate", "tabAggregates")];

    /// The schema with its first choice taken and its reference followed.
    fn resolved(schema: &Value) -> Value {
        let schema = schema.pointer("/anyOf/0").unwrap_or(schema);
        match schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
            Some(name) => resolved(&schemas()[name]),
            None => schema.clone(),
        }
    }

    /// Values at the edges of a schema, and values beyond them.
    fn edges(schema: &Value) -> (Vec<Value>, Vec<Value>) {
        let schema = resolved(schema);
        let is = |name: &str| schema["type"] == name || schema["type"][0] == name;
        let bound = |name: &str| schema[name].as_f64();
        if schema["format"] == "uri" {
            let long =
                |chars: usize| json!(format!("https://e.com/{}", "a".repeat(chars - "https://e.com/".len())));
            (
                vec![long(policy::MAX_URL_CHARS)],
                vec![long(policy::MAX_URL_CHARS + 1), json!("text"), json!(1)],
            )
        } else if schema["format"] == "date-time" {
            (
                vec![json!("1970-01-01T00:00:00Z"), json!(policy::MAX_UNIX_MILLIS)],
                vec![json!("text"), json!(-1), json!(true)],
            )
        } else if is("string")
            && let Some(most) = schema["maxLength"].as_u64()
        {
            let text = |chars: u64| json!("a".repeat(usize::try_from(chars).unwrap()));
            (vec![text(most)], vec![text(most + 1), json!([])])
        } else if is("string") {
            (vec![json!("")], vec![json!(1)])
        } else if is("integer") || is("number") {
            let least = bound("minimum").unwrap();
            let most = bound("maximum");
            let beyond = [Some(least - 1.0), most.map(|most| most * 1.1)].into_iter().flatten();
            let wrong = beyond.map(Value::from).chain([json!("1")]).collect();
            ([Some(least), most].into_iter().flatten().map(Value::from).collect(), wrong)
        } else if let Some(words) = schema["enum"].as_array() {
            (words.clone(), vec![json!("text")])
        } else {
            (vec![json!(1), json!([{}])], Vec::new())
        }
    }

    fn smallest(kind: &str) -> Map<String, Value> {
        let record = match kind {
            "PageVisit" => json!({ "id": "1", "url": "https://e.com/", "visited_at": 1 }),
            _ => {
                json!({ "id": "1", "page_visit_id": "1", "total_time_seconds": 1, "active_time_seconds": 1 })
            }
        };
        record.as_object().unwrap().clone()
    }

    /// The field that is to blame, and what was kept as unknown.
    fn judged(array: &str, record: &Map<String, Value>) -> (Option<String>, Option<String>) {
        match check_batch(json!({ array: [record] }).to_string().as_bytes()) {
            Ok(batch) => {
                let visit = batch.page_visits.into_iter().next().map(|visit| visit.extra);
                (
                    None,
                    visit
                        .or(batch.tab_aggregates.into_iter().next().map(|aggregate| aggregate.extra))
                        .flatten(),
                )
            }
            Err(BatchError::Refused { failed, .. }) => (failed[0].field.clone(), None),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn a_record_at_the_edges_of_its_schema_is_taken_and_every_field_is_known() {
        for (kind, array) in KINDS {
            for (name, schema) in schemas()[kind]["properties"].as_object().unwrap() {
                for value in edges(schema).0 {
                    let mut record = smallest(kind);
                    record.insert(name.clone(), value.clone());
                    assert_eq!(judged(array, &record), (None, None), "{kind} {name} {value}");
                }
            }
        }
    }

    #[test]
    fn beyond_the_edges_of_its_schema_a_record_is_refused_for_that_field() {
        for (kind, array) in KINDS {
            for (name, schema) in schemas()[kind]["properties"].as_object().unwrap() {
                for value in edges(schema).1 {
                    let mut record = smallest(kind);
                    record.insert(name.clone(), value.clone());
                    assert_eq!(judged(array, &record).0.as_ref(), Some(name), "{kind} {name} {value}");
                }
            }
            for name in schemas()[kind]["required"].as_array().unwrap() {
                let mut record = smallest(kind);
                record.remove(name.as_str().unwrap());
                assert_eq!(judged(array, &record).0.as_deref(), name.as_str(), "{kind}");
            }
        }
    }
}

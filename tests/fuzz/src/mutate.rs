//! New inputs from old ones: bytes, words of the protocol, and the tree of a JSON body.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// Room for both lists with several records; longer inputs are only slower.
const MOST_BYTES: usize = 1024;

/// Reproducible chance (xorshift64*).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        random as usize % end.max(1)
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What bodies are made of, answers and requests.
const BODY_WORDS: &str = r#"
    success ok error errors data message failed_records validation_errors id record_id record_type page_visit
    tab_aggregate page_visits_synced tab_aggregates_synced ignored_records_count rejected_records_count created updated
    retry_after true false null 0 1 2 3 4 5 -1 -0 1.0 2.5 1e3 1e400 18446744073709551615 18446744073709551616
    a b c 7 stranger " { } [ ] : , \u0000 \ud800 <html>
    pageVisits tabAggregates extensionVersion browserName url title visited_at startedAt opened_at
    source_page_visit_id tabId domain durationSeconds activeDuration engagementRate idlePeriods lastHeartbeat
    anonymousClientId category categoryConfidence categoryMethod metadata revision page_visit_id total_time_seconds
    active_time_seconds scroll_depth_percent closed_at domain_durations page_count current_url current_domain statistics
    https://e.com/ https://www.e.com/?utm_source=x&a=%zz#f http://[::1]/ news 2025-10-21T09:46:40.123Z
    +010000-01-01T00:00:00Z -9223372036854775808 9223372036854775807 2147483648 1e308 5e-324 __proto__ \udbff\udfff
"#;

/// What stands before a body, and what has blanks.
const PHRASES: [&str; 24] = [
    "Batch size exceeded",
    "200",
    "400 ",
    "413",
    "422",
    "429",
    "500",
    "503",
    " sent=1",
    " sent=2",
    " sent=9",
    " cut",
    " counts",
    " compressed",
    " redirected",
    "\nRetry-After: ",
    "\nX-RateLimit-Reset: ",
    "\nDate: ",
    "120",
    "1700000030",
    "1700000030000",
    "Tue, 14 Nov 2023 22:14:20 GMT",
    "Tue Nov 14 22:14:20 2023",
    "\n\n",
];

static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| BODY_WORDS.split_whitespace().chain(PHRASES).collect());

fn word(chance: &mut Chance) -> &'static str {
    WORDS[chance.below(WORDS.len())]
}

/// A change of `input`, or several of them; `other` is another input to take parts from.
pub fn mutate(chance: &mut Chance, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=chance.below(4) {
        match chance.below(10) {
            0 => flip(chance, &mut bytes),
            1 => {
                let piece = [chance.below(256) as u8];
                insert(chance, &mut bytes, &piece);
            }
            2 | 3 => insert_word(chance, &mut bytes),
            4 => {
                let (start, end) = range(chance, &bytes);
                bytes.drain(start..end);
            }
            5 => {
                let (start, end) = range(chance, &bytes);
                let piece = bytes[start..end].to_vec();
                insert(chance, &mut bytes, &piece);
            }
            6 => {
                let (start, end) = range(chance, other);
                insert(chance, &mut bytes, &other[start..end]);
            }
            _ => change_body(chance, &mut bytes),
        }
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

fn flip(chance: &mut Chance, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        bytes[chance.below(bytes.len())] ^= 1 << chance.below(8);
    }
}

fn insert(chance: &mut Chance, bytes: &mut Vec<u8>, piece: &[u8]) {
    let at = chance.below(bytes.len() + 1);
    bytes.splice(at..at, piece.iter().copied());
}

fn insert_word(chance: &mut Chance, bytes: &mut Vec<u8>) {
    let word = word(chance);
    insert(chance, bytes, word.as_bytes());
}

fn range(chance: &mut Chance, bytes: &[u8]) -> (usize, usize) {
    let start = chance.below(bytes.len() + 1);
    (start, (start + chance.below(24)).min(bytes.len()))
}

// Where a JSON object stands in the input, one place of its tree is changed, and the rest stays sound.
fn change_body(chance: &mut Chance, bytes: &mut Vec<u8>) {
    let Some(start) = bytes.iter().position(|byte| *byte == b'{') else { return };
    let Ok(mut body) = serde_json::from_slice::<Value>(&bytes[start..]) else { return };
    let places = count(&body);
    let mut place = chance.below(places);
    change(chance, &mut body, &mut place);
    bytes.truncate(start);
    bytes.extend(body.to_string().bytes());
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

// Changes the place that is `left` steps ahead; counts the steps down.
fn change(chance: &mut Chance, value: &mut Value, left: &mut usize) -> bool {
    if *left == 0 {
        change_here(chance, value);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| change(chance, item, left)),
        Value::Object(fields) => fields.values_mut().any(|field| change(chance, field, left)),
        _ => false,
    }
}

fn change_here(chance: &mut Chance, value: &mut Value) {
    let name = word(chance).to_owned();
    match (value, chance.below(4)) {
        (Value::Object(fields), 0 | 1) => drop(fields.insert(name, any_value(chance))),
        (Value::Object(fields), 2) if !fields.is_empty() => {
            let name = fields.keys().nth(chance.below(fields.len())).cloned().unwrap_or_default();
            fields.shift_remove(&name);
        }
        (Value::Array(items), 0 | 1) => items.push(any_value(chance)),
        (Value::Array(items), 2) => drop(items.pop()),
        (value, _) => *value = any_value(chance),
    }
}

fn any_value(chance: &mut Chance) -> Value {
    match chance.below(11) {
        0 => json!(null),
        1 => json!(chance.below(2) == 0),
        2 | 3 => json!(chance.below(6)),
        4 => json!(chance.pick(&[-1.0, 0.0, 2.5, 1e20])),
        5 => json!(word(chance)),
        6 => json!([]),
        7 => {
            json!({ "id": chance.pick(&["a", "b"]), "url": "https://e.com/", "visited_at": chance.below(6) })
        }
        8 => json!({
            "id": chance.pick(&["a", "b"]), "page_visit_id": chance.pick(&["a", "c"]),
            "total_time_seconds": 2, "active_time_seconds": 1, "revision": chance.below(6),
        }),
        9 => json!({ "record_id": chance.pick(&["a", "b", "c", "7"]), "record_type": word(chance) }),
        _ => json!({ "id": chance.pick(&["a", "b", "c", "7"]), "error": word(chance) }),
    }
}

//! A server with a model of its own: what it stores, refuses and answers, independent of the client's code.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use heyho_sync::decisions::protocol::Answer;
use heyho_sync::words::hash::HashSet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a server treats a batch with bad records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// All or nothing, naming what is bad (the reference server).
    Strict,
    /// Stores what it can, and names the rest in a 200.
    Partial,
    /// The published backend: partial, but the first bad record spoils all after it, and a batch of which nothing
    /// survives is refused without a word; what its database refuses, an unknown reference too, fails the whole batch;
    /// it knows no revisions, so that the newest write wins; it never counts what it ignores.
    Published,
}

/// Why the server refuses a record that the client's door lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// It says so.
    Named,
    /// It fails with 400 and no word.
    Silent,
    /// It fails with 500.
    Crash,
}

/// A record as it arrived: what a referee looks at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Arrived {
    pub id: String,
    pub revision: u64,
    pub page_visit_id: Option<String>,
    pub source_page_visit_id: Option<String>,
    /// What the world writes into each body: the revision once more, so that a body under another's number is seen.
    pub n: Option<u64>,
    /// All of it.
    #[serde(skip)]
    pub text: Rc<str>,
}

impl Arrived {
    pub fn read(text: &str) -> Self {
        let arrived: Self = serde_json::from_str(text).expect("a body that holds no records");
        Self { text: text.into(), ..arrived }
    }

    /// The page visit to which it refers.
    pub fn refers_to(&self) -> Option<&str> {
        self.page_visit_id.as_deref().or(self.source_page_visit_id.as_deref())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub revision: u64,
    /// The highest that ever was: where the newest write wins, a request that comes very late can put it back.
    pub highest: u64,
    pub arrived: Rc<Arrived>,
    /// How often it was written anew.
    pub writes: u32,
}

impl Stored {
    /// What is stored, whole.
    pub fn record(&self) -> Value {
        serde_json::from_str(&self.arrived.text).expect("a record")
    }
}

/// Kind ("v" or "a") and id.
pub type RecordKey = (char, String);

#[derive(Debug)]
pub struct Server {
    /// Its tokens begin with this.
    pub name: &'static str,
    pub manner: Manner,
    pub gives_counts: bool,
    /// References must be known or stand in the same batch.
    pub wants_order: bool,
    pub max_records: usize,
    pub can_refresh: bool,
    pub can_erase: bool,
    /// It remembers `Idempotency-Key`s, and answers what it knows without looking at the records.
    pub knows_keys: bool,
    /// What was answered under which key, by account.
    pub answers: BTreeMap<(String, String), Answer>,
    pub poison: BTreeMap<String, Poison>,
    /// What it asks for in `Retry-After` where it fails at a poisoned record.
    pub poison_asks_for: Option<&'static str>,
    /// What happened here since this was last looked at.
    pub happened: Vec<&'static str>,
    pub stored: BTreeMap<String, BTreeMap<RecordKey, Stored>>,
    /// Tokens and whose they are.
    pub tokens: BTreeMap<String, String>,
    /// Tokens that are accepted no more.
    pub ended: BTreeMap<String, String>,
    /// What it says of its abilities; none where it has no such route.
    pub abilities: Option<Value>,
    /// The status with which it refuses compressed bodies.
    pub gzip_refusal: Option<u16>,
    /// It has told somebody that it takes references in any order: that is believed for a day.
    pub offered_any_order: bool,
    /// Ids that were refused for a missing reference; a client that keeps the order never causes one.
    pub dangling: BTreeSet<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            name: "",
            manner: Manner::Strict,
            gives_counts: true,
            wants_order: true,
            max_records: 100,
            can_refresh: false,
            can_erase: true,
            knows_keys: false,
            answers: BTreeMap::new(),
            poison: BTreeMap::new(),
            poison_asks_for: None,
            happened: Vec::new(),
            stored: BTreeMap::new(),
            tokens: BTreeMap::from([("token-1".into(), "user-1".into())]),
            ended: BTreeMap::new(),
            abilities: None,
            gzip_refusal: None,
            offered_any_order: false,
            dangling: BTreeSet::new(),
        }
    }
}

// A record that the server holds.
#[derive(Serialize)]
struct Held {
    id: String,
    revision: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    page_visits: Vec<Held>,
    tab_aggregates: Vec<Held>,
    erased_page_visits: [(); 0],
}

#[derive(Serialize)]
struct Told<T> {
    success: bool,
    data: T,
}

fn answer(status: u16, body: &impl Serialize) -> Answer {
    let body = serde_json::to_string(body).expect("an answer");
    Answer { status, body, ..Answer::default() }
}

impl Server {
    /// Renews a login by its refresh token: `refresh-N`, behind the server's name, for `user-N`.
    pub fn refresh(&mut self, refresh_token: &str) -> Answer {
        let number = refresh_token.strip_prefix(self.name).and_then(|rest| rest.strip_prefix("refresh-"));
        let Some(number) = number.filter(|_| self.can_refresh) else {
            return Answer { status: 404, ..Answer::default() };
        };
        let token = format!("{}renewed-{number}-{}", self.name, self.tokens.len());
        self.tokens.insert(token.clone(), format!("user-{number}"));
        answer(
            200,
            &json!({ "data": { "AccessToken": token, "RefreshToken": refresh_token, "ExpiresIn": 3600 } }),
        )
    }

    /// Answers what is no upload.
    pub fn answer_question(&mut self, route: &str, bearer: &str, body: &Value) -> Answer {
        match route {
            "/auth/refresh" => self.refresh(body["refresh_token"].as_str().unwrap_or_default()),
            "/data/sync/capabilities" => match &self.abilities {
                Some(abilities) => {
                    self.offered_any_order |= abilities["references_in_any_order"] == true;
                    answer(200, &json!({ "success": true, "data": abilities }))
                }
                None => Answer { status: 404, ..Answer::default() },
            },
            "/data/sync/known" => self.known(bearer, body),
            "/data/sync/status" => self.status(bearer),
            "/data/erase" => self.erase(bearer, body),
            _ => Answer { status: 404, ..Answer::default() },
        }
    }

    // Preflight: which of these records are held, and at which revision.
    fn known(&mut self, bearer: &str, body: &Value) -> Answer {
        let offered = self.abilities.as_ref().is_some_and(|abilities| abilities["preflight"].is_object());
        let Some(account) = self.tokens.get(bearer).filter(|_| offered) else {
            return Answer { status: if offered { 401 } else { 404 }, ..Answer::default() };
        };
        let rows = self.stored.get(account);
        let held = |kind: char, list: &str| -> Vec<Held> {
            let ids = body[list].as_array().into_iter().flatten().filter_map(Value::as_str);
            ids.filter_map(|id| {
                let stored = rows?.get(&(kind, id.to_owned()))?;
                Some(Held { id: id.to_owned(), revision: stored.revision })
            })
            .collect()
        };
        self.happened.push("preflight answered");
        let data = Known {
            page_visits: held('v', "pageVisits"),
            tab_aggregates: held('a', "tabAggregates"),
            erased_page_visits: [],
        };
        answer(200, &Told { success: true, data })
    }

    // How much it holds of an account.
    fn status(&self, bearer: &str) -> Answer {
        let Some(rows) = self.tokens.get(bearer).and_then(|account| self.stored.get(account)) else {
            return Answer { status: 404, ..Answer::default() };
        };
        let count = |wanted: char| rows.keys().filter(|(kind, _)| *kind == wanted).count();
        let totals = json!({ "page_visits": count('v'), "tab_aggregates": count('a') });
        answer(200, &json!({ "success": true, "data": { "totals": totals } }))
    }

    // Deletes what it holds of an account or of one of its sites, and forgets about it: what arrives later is stored.
    fn erase(&mut self, bearer: &str, body: &Value) -> Answer {
        let Some(account) = self.tokens.get(bearer) else {
            return answer(401, &json!({ "success": false, "message": "sign in" }));
        };
        if !self.can_erase {
            return Answer { status: 404, ..Answer::default() };
        }
        let rows = self.stored.entry(account.clone()).or_default();
        let site = body["site"].as_str();
        let of_site = |url: &str| {
            let host = url.split('/').nth(2).unwrap_or_default();
            site.is_none_or(|site| host == site || host.ends_with(&format!(".{site}")))
        };
        let visits: HashSet<String> = rows
            .iter()
            .filter(|(_, stored)| stored.record()["url"].as_str().is_some_and(of_site))
            .map(|((_, id), _)| id.clone())
            .collect();
        rows.retain(|(_, id), stored| {
            !visits.contains(id)
                && !stored.arrived.page_visit_id.as_ref().is_some_and(|id| visits.contains(id))
        });
        answer(200, &json!({ "success": true, "data": { "page_visits_erased": visits.len() } }))
    }

    /// Takes one upload, and commits or refuses it. With a key that it knows, it answers as before.
    pub fn upload(
        &mut self,
        bearer: &str,
        key: Option<&str>,
        visits: &[Rc<Arrived>],
        aggregates: &[Rc<Arrived>],
    ) -> Answer {
        let Some(account) = self.tokens.get(bearer).cloned() else {
            return answer(401, &json!({ "success": false, "message": "sign in" }));
        };
        if visits.len() > self.max_records || aggregates.len() > self.max_records {
            return answer(413, &json!({ "success": false }));
        }
        let known = key.filter(|_| self.knows_keys).map(|key| (account.clone(), key.to_owned()));
        if let Some(before) = known.as_ref().and_then(|known| self.answers.get(known)) {
            self.happened.push("known key answered");
            return before.clone();
        }
        if visits.iter().chain(aggregates).any(|record| self.poison.contains_key(&record.id)) {
            self.happened.push("record refused");
        }
        let records: Vec<(char, &Rc<Arrived>)> =
            visits.iter().map(|v| ('v', v)).chain(aggregates.iter().map(|a| ('a', a))).collect();
        let answer = match self.manner {
            Manner::Strict => self.upload_strict(&account, &records),
            Manner::Partial => self.upload_partial(&account, &records, false),
            Manner::Published => self.upload_partial(&account, &records, true),
        };
        if let Some(known) = known.filter(|_| answer.status == 200) {
            self.answers.insert(known, answer.clone());
        }
        answer
    }

    fn upload_strict(&mut self, account: &str, records: &[(char, &Rc<Arrived>)]) -> Answer {
        if let Some(refusal) = self.wordless_refusal(records) {
            return refusal;
        }
        let is_bad = |record: &Arrived| self.poison.get(&record.id) == Some(&Poison::Named);
        let bad = records.iter().filter(|(_, record)| is_bad(record));
        let bad: Vec<Value> = bad.map(|(_, record)| json!({ "id": record.id, "error": "refused" })).collect();
        if !bad.is_empty() {
            let refusal = answer(400, &json!({ "error": "Validation failed", "failed_records": bad }));
            return Answer { retry_after: self.poison_asks_for.map(str::to_owned), ..refusal };
        }
        if self.wants_order && !self.references_hold(account, records) {
            return answer(500, &json!({ "success": false }));
        }
        self.store(account, records, None)
    }

    fn upload_partial(&mut self, account: &str, records: &[(char, &Rc<Arrived>)], published: bool) -> Answer {
        if !published && let Some(refusal) = self.wordless_refusal(records) {
            return refusal;
        }
        let mut spoiled = false;
        let mut rejected = Vec::new();
        let mut good = Vec::new();
        let mut rejected_visits: HashSet<&str> = HashSet::default();
        for (kind, record) in records {
            let orphan =
                record.page_visit_id.as_ref().is_some_and(|id| rejected_visits.contains(id.as_str()));
            let poison = self.poison.get(&record.id);
            let bad = poison == Some(&Poison::Named) || (poison.is_some() && !published);
            spoiled = bad || (spoiled && published) || (orphan && !published);
            if spoiled {
                rejected_visits.insert(&record.id);
                let record_type = if *kind == 'v' { "page_visit" } else { "tab_aggregate" };
                rejected
                    .push(json!({ "record_id": record.id, "record_type": record_type, "message": "bad" }));
            } else {
                good.push((*kind, *record));
            }
        }
        if published {
            if good.is_empty() {
                return answer(
                    400,
                    &json!({ "success": false, "message": "Validation failed", "errors": [] }),
                );
            }
            // What its validation lets pass and its database doesn't take.
            let falls = good.iter().any(|(_, record)| self.poison.contains_key(&record.id));
            if falls || !self.references_hold(account, &good) {
                return answer(
                    500,
                    &json!({ "success": false, "message": "Data sync failed", "errors": [] }),
                );
            }
        }
        self.store(account, &good, Some(rejected))
    }

    fn wordless_refusal(&self, records: &[(char, &Rc<Arrived>)]) -> Option<Answer> {
        if self.poison.is_empty() {
            return None;
        }
        let failure = records.iter().find_map(|(_, record)| match self.poison.get(&record.id) {
            Some(Poison::Silent) => Some(answer(400, &json!({ "success": false, "errors": [] }))),
            Some(Poison::Crash) => Some(answer(500, &json!({ "success": false }))),
            _ => None,
        });
        let retry_after = self.poison_asks_for.map(str::to_owned);
        failure.map(|failure| Answer { retry_after, ..failure })
    }

    fn references_hold(&mut self, account: &str, records: &[(char, &Rc<Arrived>)]) -> bool {
        let known = self.stored.entry(account.to_owned()).or_default();
        let visits = records.iter().filter(|(kind, _)| *kind == 'v');
        let here: HashSet<&str> = visits.map(|(_, record)| record.id.as_str()).collect();
        let is_missing = |(_, record): &&(char, &Rc<Arrived>)| {
            let refers_to = record.refers_to();
            refers_to.is_some_and(|id| !here.contains(id) && !known.contains_key(&('v', id.to_owned())))
        };
        let missing: Vec<String> =
            records.iter().filter(is_missing).map(|(_, record)| record.id.clone()).collect();
        let hold = missing.is_empty();
        match self.offered_any_order {
            true if !hold => self.happened.push("order demanded in spite of the offer"),
            true => {}
            false => self.dangling.extend(missing),
        }
        hold
    }

    fn store(
        &mut self,
        account: &str,
        records: &[(char, &Rc<Arrived>)],
        rejected: Option<Vec<Value>>,
    ) -> Answer {
        let published = self.manner == Manner::Published;
        let rows = self.stored.entry(account.to_owned()).or_default();
        let (mut visits, mut aggregates, mut ignored, mut created, mut updated) = (0, 0, 0, 0, 0);
        for (kind, record) in records {
            let (revision, arrived) = (record.revision, Rc::clone(record));
            match rows.entry((*kind, record.id.clone())) {
                Entry::Occupied(earlier) if !published && earlier.get().highest >= revision => {
                    ignored += 1;
                    continue;
                }
                Entry::Occupied(mut earlier) => {
                    updated += 1;
                    let (highest, writes) = (earlier.get().highest.max(revision), earlier.get().writes + 1);
                    earlier.insert(Stored { revision, highest, arrived, writes });
                }
                Entry::Vacant(place) => {
                    created += 1;
                    place.insert(Stored { revision, highest: revision, arrived, writes: 1 });
                }
            }
            if *kind == 'v' { visits += 1 } else { aggregates += 1 }
        }
        let refused = rejected.as_ref().map_or(0, Vec::len);
        let body = match (self.gives_counts, published) {
            (true, true) => json!({ "success": true, "data": {
                "page_visits_synced": visits, "tab_aggregates_synced": aggregates,
                "rejected_records_count": refused, "data_quality_score": 100.0,
                "validation_errors": rejected,
            }}),
            (true, false) => json!({ "success": true, "data": {
                "page_visits_synced": visits, "tab_aggregates_synced": aggregates,
                "ignored_records_count": ignored, "rejected_records_count": refused,
                "created": created, "updated": updated, "validation_errors": rejected,
            }}),
            (false, _) => json!({ "success": true, "data": { "validation_errors": rejected } }),
        };
        answer(200, &body)
    }
}

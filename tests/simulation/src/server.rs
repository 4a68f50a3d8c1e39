//! A server with a model of its own: what it stores, refuses and answers, independent of the client's code.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use heyho_sync::decisions::protocol::Answer;
use serde_json::{Value, json};

/// How a server treats a batch with bad records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// All or nothing, naming what is bad (the reference server).
    Strict,
    /// Stores what it can, and names the rest in a 200.
    Partial,
    /// The published backend: partial, but the first bad record spoils all after it, and a batch of which nothing
    /// survives is refused without a word; unknown references fail the whole batch; the newest write wins.
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

#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub revision: u64,
    pub record: Value,
    /// How often it was written anew.
    pub writes: u32,
}

/// Kind ("v" or "a") and id.
pub type RecordKey = (char, String);

#[derive(Debug)]
pub struct Server {
    pub manner: Manner,
    pub gives_counts: bool,
    /// References must be known or stand in the same batch.
    pub wants_order: bool,
    pub max_records: usize,
    pub can_refresh: bool,
    pub can_erase: bool,
    pub poison: BTreeMap<String, Poison>,
    pub stored: BTreeMap<String, BTreeMap<RecordKey, Stored>>,
    /// Tokens and whose they are.
    pub tokens: BTreeMap<String, String>,
    /// What it says of its abilities; none where it has no such route.
    pub abilities: Option<Value>,
    /// The status with which it refuses compressed bodies.
    pub gzip_refusal: Option<u16>,
    /// Ids that were refused for a missing reference; a client that keeps the order never causes one.
    pub dangling: BTreeSet<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            manner: Manner::Strict,
            gives_counts: true,
            wants_order: true,
            max_records: 100,
            can_refresh: false,
            can_erase: true,
            poison: BTreeMap::new(),
            stored: BTreeMap::new(),
            tokens: BTreeMap::from([("token-1".into(), "user-1".into())]),
            abilities: None,
            gzip_refusal: None,
            dangling: BTreeSet::new(),
        }
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, body: body.to_string(), ..Answer::default() }
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().unwrap_or_default().to_owned()
}

impl Server {
    /// Renews a login by its refresh token, `refresh-N` for `user-N`.
    pub fn refresh(&mut self, refresh_token: &str) -> Answer {
        let Some(number) = refresh_token.strip_prefix("refresh-").filter(|_| self.can_refresh) else {
            return Answer { status: 404, ..Answer::default() };
        };
        let token = format!("renewed-{number}-{}", self.tokens.len());
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
                Some(abilities) => answer(200, &json!({ "success": true, "data": abilities })),
                None => Answer { status: 404, ..Answer::default() },
            },
            "/data/sync/known" => self.known(bearer, body),
            "/data/erase" => self.erase(bearer, body),
            _ => Answer { status: 404, ..Answer::default() },
        }
    }

    // Preflight: which of these records are held, and at which revision.
    fn known(&self, bearer: &str, body: &Value) -> Answer {
        let offered = self.abilities.as_ref().is_some_and(|abilities| abilities["preflight"].is_object());
        let Some(account) = self.tokens.get(bearer).filter(|_| offered) else {
            return Answer { status: if offered { 401 } else { 404 }, ..Answer::default() };
        };
        let held = |kind: char, list: &str| -> Vec<Value> {
            let ids = body[list].as_array().into_iter().flatten().filter_map(Value::as_str);
            ids.filter_map(|id| {
                let stored = self.stored.get(account)?.get(&(kind, id.to_owned()))?;
                Some(json!({ "id": id, "revision": stored.revision }))
            })
            .collect()
        };
        let known = json!({
            "pageVisits": held('v', "pageVisits"), "tabAggregates": held('a', "tabAggregates"),
            "erasedPageVisits": [],
        });
        answer(200, &json!({ "success": true, "data": known }))
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
            .filter(|(_, stored)| stored.record["url"].as_str().is_some_and(of_site))
            .map(|((_, id), _)| id.clone())
            .collect();
        rows.retain(|(_, id), stored| {
            !visits.contains(id)
                && !stored.record["page_visit_id"].as_str().is_some_and(|id| visits.contains(id))
        });
        answer(200, &json!({ "success": true, "data": { "page_visits_erased": visits.len() } }))
    }

    /// Takes one upload, and commits or refuses it.
    pub fn upload(&mut self, bearer: &str, visits: &[Value], aggregates: &[Value]) -> Answer {
        let Some(account) = self.tokens.get(bearer).cloned() else {
            return answer(401, &json!({ "success": false, "message": "sign in" }));
        };
        if visits.len() > self.max_records || aggregates.len() > self.max_records {
            return answer(413, &json!({ "success": false }));
        }
        let records: Vec<(char, &Value)> =
            visits.iter().map(|v| ('v', v)).chain(aggregates.iter().map(|a| ('a', a))).collect();
        match self.manner {
            Manner::Strict => self.upload_strict(&account, &records),
            Manner::Partial => self.upload_partial(&account, &records, false),
            Manner::Published => self.upload_partial(&account, &records, true),
        }
    }

    fn upload_strict(&mut self, account: &str, records: &[(char, &Value)]) -> Answer {
        let bad: Vec<Value> = records
            .iter()
            .filter(|(_, record)| self.poison.get(&id_of(record)) == Some(&Poison::Named))
            .map(|(_, record)| json!({ "id": id_of(record), "error": "refused" }))
            .collect();
        if let Some(refusal) = self.silent_refusal(records) {
            return refusal;
        }
        if !bad.is_empty() {
            return answer(400, &json!({ "error": "Validation failed", "failed_records": bad }));
        }
        if !self.references_hold(account, records) {
            return answer(500, &json!({ "success": false }));
        }
        self.store(account, records)
    }

    fn upload_partial(&mut self, account: &str, records: &[(char, &Value)], sticky: bool) -> Answer {
        if let Some(refusal) = self.silent_refusal(records) {
            return refusal;
        }
        let mut spoiled = false;
        let mut rejected = Vec::new();
        let mut good = Vec::new();
        let mut rejected_visits: HashSet<String> = HashSet::new();
        for (kind, record) in records {
            let orphan = record["page_visit_id"].as_str().is_some_and(|id| rejected_visits.contains(id));
            spoiled = self.poison.contains_key(&id_of(record)) || (spoiled && sticky) || orphan;
            if spoiled {
                rejected_visits.insert(id_of(record));
            }
            if spoiled {
                let record_type = if *kind == 'v' { "page_visit" } else { "tab_aggregate" };
                rejected.push(
                    json!({ "record_id": id_of(record), "record_type": record_type, "message": "bad" }),
                );
            } else {
                good.push((*kind, *record));
            }
        }
        if good.is_empty() && !rejected.is_empty() && sticky {
            return answer(400, &json!({ "success": false, "message": "Validation failed", "errors": [] }));
        }
        // A kinder server than the published one takes a visit without its source.
        let strict_on_sources = self.wants_order;
        self.wants_order &= sticky;
        let holds = self.references_hold(account, &good);
        self.wants_order = strict_on_sources;
        if !holds {
            return answer(500, &json!({ "success": false, "message": "Data sync failed", "errors": [] }));
        }
        let mut confirmation = self.store(account, &good);
        let mut body: Value = serde_json::from_str(&confirmation.body).unwrap();
        if self.gives_counts {
            body["data"]["rejected_records_count"] = rejected.len().into();
        }
        body["data"]["validation_errors"] = rejected.into();
        confirmation.body = body.to_string();
        confirmation
    }

    fn silent_refusal(&self, records: &[(char, &Value)]) -> Option<Answer> {
        records.iter().find_map(|(_, record)| match self.poison.get(&id_of(record)) {
            Some(Poison::Silent) => Some(answer(400, &json!({ "success": false, "errors": [] }))),
            Some(Poison::Crash) => Some(answer(500, &json!({ "success": false }))),
            _ => None,
        })
    }

    fn references_hold(&mut self, account: &str, records: &[(char, &Value)]) -> bool {
        if !self.wants_order {
            return true;
        }
        let known = self.stored.entry(account.to_owned()).or_default();
        let here: HashSet<String> =
            records.iter().filter(|(kind, _)| *kind == 'v').map(|(_, r)| id_of(r)).collect();
        let missing: Vec<String> = records
            .iter()
            .filter(|(_, record)| {
                let refers_to = record["page_visit_id"].as_str().or(record["source_page_visit_id"].as_str());
                refers_to.is_some_and(|id| !here.contains(id) && !known.contains_key(&('v', id.to_owned())))
            })
            .map(|(_, record)| id_of(record))
            .collect();
        self.dangling.extend(missing.iter().cloned());
        missing.is_empty()
    }

    fn store(&mut self, account: &str, records: &[(char, &Value)]) -> Answer {
        let newest_wins = self.manner == Manner::Published;
        let rows = self.stored.entry(account.to_owned()).or_default();
        let (mut visits, mut aggregates, mut ignored, mut created, mut updated) = (0, 0, 0, 0, 0);
        for (kind, record) in records {
            let revision = record["revision"].as_u64().unwrap_or(1);
            let key = (*kind, id_of(record));
            let earlier = rows.get(&key).map(|stored| (stored.revision, stored.writes));
            if !newest_wins && earlier.is_some_and(|(known, _)| known >= revision) {
                ignored += 1;
                continue;
            }
            match earlier {
                None => created += 1,
                Some(_) => updated += 1,
            }
            if *kind == 'v' {
                visits += 1
            } else {
                aggregates += 1
            }
            let writes = earlier.map_or(0, |(_, writes)| writes) + 1;
            rows.insert(key, Stored { revision, record: (*record).clone(), writes });
        }
        let body = if self.gives_counts {
            json!({ "success": true, "data": {
                "page_visits_synced": visits, "tab_aggregates_synced": aggregates,
                "ignored_records_count": ignored, "rejected_records_count": 0,
                "created": created, "updated": updated, "validation_errors": [],
            }})
        } else {
            json!({ "success": true, "data": {} })
        };
        answer(200, &body)
    }
}

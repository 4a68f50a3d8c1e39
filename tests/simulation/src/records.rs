//! The records of a run, in the form in which the door leaves them.

use heyho_sync::words::kind::Kind;
use heyho_sync::words::record::{Head, Record};

use crate::model::{Known, Model, SITES, Somebody, site_name};
use crate::random::Random;
use crate::server::{Poison, RecordKey};

/// What distinguishes a record from others.
#[derive(Debug, Clone)]
pub struct Plan {
    pub kind: char,
    pub id: String,
    pub revision: u64,
    pub refers_to: Option<String>,
    pub site: u64,
    /// Decides what stands in it: the same makes the same.
    pub chance: u64,
}

/// A record made by its plan.
pub fn make(plan: &Plan) -> Record {
    let Plan { kind, id, revision, refers_to, site, chance } = plan;
    let random = Random::new(*chance);
    let mut sites = Vec::new();
    let target = refers_to.as_ref().map_or("null".to_owned(), |id| format!("\"{id}\""));
    let body = if *kind == 'v' {
        sites.push(site_name(*site));
        let site = site_name(*site);
        format!(
            r#"{{"id":"{id}","url":"https://{site}/{chance:x}","visited_at":"2026-11-21T10:00:00.000Z","source_page_visit_id":{target},"domain":"{site}","n":{revision},"revision":{revision}}}"#
        )
    } else {
        let elsewhere = random.chance(20).then(|| site_name(random.below(SITES)));
        let durations =
            elsewhere.as_ref().map_or(String::new(), |site| format!(r#""domain_durations":{{"{site}":1}},"#));
        sites.extend(elsewhere);
        format!(
            r#"{{"id":"{id}","page_visit_id":{target},"total_time_seconds":{},"active_time_seconds":1,{durations}"n":{revision},"revision":{revision}}}"#,
            chance % 1000
        )
    };
    let head = Head {
        kind: if *kind == 'v' { Kind::PageVisit } else { Kind::TabAggregate },
        id: id.clone(),
        revision: *revision as u32,
        refers_to: refers_to.clone(),
        bytes: body.len() as u32,
        sites,
    };
    Record { head, body }
}

impl Model {
    /// Makes a record and remembers it. Returns how the server is to refuse it, if it is.
    pub fn make(&mut self, plan: Plan, owner: Option<Somebody>, poison: Option<Poison>) -> Record {
        let record = make(&plan);
        let known = self.known.entry((plan.kind, plan.id)).or_insert(Known {
            owner,
            certain: 0,
            possible: 0,
            refers_to: plan.refers_to,
            site: plan.site,
            poison: poison.is_some(),
            was_poison: poison.is_some(),
            chance: plan.chance,
        });
        if plan.revision >= known.possible {
            known.possible = plan.revision;
            known.chance = plan.chance;
        }
        record
    }

    /// Whether a line of an export holds the latest revision of its record.
    pub fn is_latest(&self, line: &str) -> bool {
        let of = |name: &str| {
            let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
            rest.split([',', '}']).next().map(|value| value.trim_matches('"'))
        };
        let kind = if of("kind") == Some("page_visit") { 'v' } else { 'a' };
        let known = of("id").and_then(|id| self.known.get(&(kind, id.to_owned())));
        known.is_some_and(|known| of("revision") == Some(known.possible.to_string().as_str()))
    }

    /// A record that is surely captured, of those of whoever is signed in.
    pub fn one_of_mine(&self, which: u64) -> Option<(RecordKey, Known)> {
        let is_mine = |(_, known): &(&RecordKey, &Known)| known.owner == self.owner && known.certain > 0;
        let mine: Vec<_> = self.known.iter().filter(is_mine).collect();
        let (key, known) = mine.get(which as usize % mine.len().max(1))?;
        Some(((*key).clone(), (*known).clone()))
    }
}

/// The plan of a known record at `revision`.
pub fn plan_again(((kind, id), known): (RecordKey, Known), revision: u64, chance: u64) -> Plan {
    Plan { kind, id, revision, refers_to: known.refers_to, site: known.site, chance }
}

/// What a list of records holds.
pub fn identities(records: &[Record]) -> Vec<(RecordKey, u64)> {
    let kind = |record: &Record| if record.head.kind == Kind::PageVisit { 'v' } else { 'a' };
    let identity =
        |record: &Record| ((kind(record), record.head.id.clone()), u64::from(record.head.revision));
    records.iter().map(identity).collect()
}

#[cfg(test)]
mod tests {
    use heyho_sync::words::record::{Maker, admit};

    use super::*;

    #[test]
    fn what_the_world_captures_has_passed_the_door() {
        for chance in 0..50 {
            for (kind, refers_to) in [('v', None), ('v', Some("v000001")), ('a', Some("v000002"))] {
                let refers_to = refers_to.map(str::to_owned);
                let plan =
                    Plan { kind, id: "x".into(), revision: 3, refers_to, site: chance % SITES, chance };
                let record = make(&plan);
                let admitted = admit(record.head.kind, &record.body, Maker::Caller).unwrap();
                assert_eq!(admitted.body, record.body);
                assert!(admitted == record);
            }
        }
    }
}

//! The network between client and server: it loses, delays and replaces, and it checks every request against the rules.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use heyho_sync::decisions::protocol::{Answer, EMPTY_BODY_BYTES};
use heyho_sync::ports::store::Body;
use heyho_sync::ports::transport::{Payload, Request};
use heyho_sync::words::hash::{HashMap, HashSet};
use heyho_sync::words::policy::LONGEST_SERVER_WAIT;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fault::{NetworkFault, asked_secs};
use crate::random::Random;
use crate::scene::SERVER_URLS;
use crate::server::{Arrived, Server};
use crate::world::{START, World};

/// What a referee remembers of a request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at_ms: i64,
    pub bearer: Option<String>,
    pub idempotency_key: Option<String>,
    pub page_visits: Vec<Rc<Arrived>>,
    pub tab_aggregates: Vec<Rc<Arrived>>,
    pub bytes: usize,
    /// Whether it came compressed.
    pub packed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    page_visits: Vec<&'a RawValue>,
    #[serde(borrow)]
    tab_aggregates: Vec<&'a RawValue>,
}

#[derive(Debug)]
pub struct Network {
    pub world: Rc<World>,
    /// At the first of `SERVER_URLS`, and at every address that is not the second.
    pub server: RefCell<Server>,
    /// At the second.
    pub other: RefCell<Server>,
    /// Faults of the requests to come; none where it is empty.
    pub faults: RefCell<VecDeque<Option<NetworkFault>>>,
    pub seen: RefCell<Vec<Rc<Seen>>>,
    /// Every record that ever arrived, by its text: most arrive more than once.
    arrived: RefCell<HashMap<Rc<str>, Rc<Arrived>>>,
    pub latency_ms: Cell<i64>,
    /// Whether answers carry the true time in `Date`, whatever this machine's clock says.
    pub tells_date: Cell<bool>,
    /// Everything that was asked and is no upload: the route and the body.
    pub asked: RefCell<Vec<(String, Value)>>,
    /// Faults of the questions to come; none where it is empty.
    pub question_faults: RefCell<VecDeque<Option<NetworkFault>>>,
    /// Sites that no body may name.
    pub forbidden: RefCell<Vec<String>>,
    /// Whether anything may be sent at all.
    pub may_send: Cell<bool>,
    /// Nothing may be sent before these moments, by the world's monotonic clock: a server has asked for it.
    not_before_ms: [Cell<i64>; 2],
    /// The longest of the waits that were asked for.
    pub longest_wait_ms: Cell<i64>,
    /// Answers that may condemn innocent records: each one at most.
    pub forged: Cell<u64>,
    /// By how much the time that a request and its answer take differs from one to the next.
    pub latencies: RefCell<Option<(Random, u64)>>,
    /// Most bytes that a request may have.
    pub most_bytes: Cell<usize>,
    /// Hears of every request and what came of it.
    pub tell: Cell<Option<fn(&str)>>,
    /// Faults that fired.
    pub fired: RefCell<Vec<&'static str>>,
    pub in_flight: Cell<usize>,
    pub most_in_flight: Cell<usize>,
    /// Most uploads that a worker may have in flight together.
    pub most_together: Cell<usize>,
}

impl Network {
    pub fn new(world: &Rc<World>, server: Server) -> Rc<Self> {
        Rc::new(Self {
            world: Rc::clone(world),
            server: RefCell::new(server),
            other: RefCell::default(),
            faults: RefCell::default(),
            seen: RefCell::default(),
            arrived: RefCell::default(),
            latency_ms: Cell::new(5),
            tells_date: Cell::new(false),
            asked: RefCell::default(),
            question_faults: RefCell::default(),
            forbidden: RefCell::default(),
            may_send: Cell::new(true),
            not_before_ms: Default::default(),
            longest_wait_ms: Cell::default(),
            forged: Cell::default(),
            latencies: RefCell::default(),
            most_bytes: Cell::new(512 * 1024),
            tell: Cell::new(None),
            fired: RefCell::default(),
            in_flight: Cell::new(0),
            most_in_flight: Cell::new(0),
            most_together: Cell::new(3),
        })
    }

    /// Those of `SERVER_URLS`.
    pub const fn servers(&self) -> [&RefCell<Server>; 2] {
        [&self.server, &self.other]
    }

    /// The server that is asked at this address: the first, but where it is the second's.
    pub fn server_at(&self, url: &str) -> &RefCell<Server> {
        self.servers()[index_of(url)]
    }

    pub fn fail_next(&self, fault: NetworkFault) {
        self.faults.borrow_mut().push_back(Some(fault));
    }

    /// Waits that were asked for are not checked any more: a wrong clock can't keep them.
    pub fn forget_waits(&self) {
        self.not_before_ms.iter().for_each(|moment| moment.set(0));
    }

    // Notes the wait that an answer asks for.
    pub(crate) fn heed(&self, url: &str, answer: &Answer) {
        if let Some(secs) = asked_secs(answer) {
            self.must_wait(url, secs * 1000);
        }
    }

    fn must_wait(&self, url: &str, ms: i64) {
        let moment = &self.not_before_ms[index_of(url)];
        moment.set(moment.get().max(self.world.monotonic() + ms));
        self.longest_wait_ms.set(self.longest_wait_ms.get().max(ms));
    }

    // The end of a wait, told as a date. Without the server's own date a client whose clock runs ahead can't know when
    // that is; one whose clock is behind waits longer, but no longer than it believes a server.
    pub(crate) fn date_of_wait(&self, url: &str, secs: i64) -> String {
        let now = START.0 + self.world.monotonic();
        let end = http_date(now + secs * 1000);
        let ahead = self.world.wall().0 - now;
        if self.tells_date.get() || ahead <= 0 {
            // A date has whole seconds.
            self.must_wait(url, secs * 1000 - 1000);
        }
        if !self.tells_date.get() && ahead < 0 {
            self.longest_wait_ms.set(LONGEST_SERVER_WAIT.0);
        }
        end
    }

    // What an upload or its answer takes beyond what all take.
    pub(crate) fn latency_beyond(&self) -> i64 {
        self.latencies.borrow().as_ref().map_or(0, |(random, most)| random.below(*most) as i64)
    }

    pub(crate) fn note_forged(&self, answer: &Answer) {
        if matches!(answer.status, 200 | 400 | 413 | 422 | 500) {
            self.forged.set(self.forged.get() + 1);
        }
    }

    fn arrive(&self, text: &str) -> Rc<Arrived> {
        let mut known = self.arrived.borrow_mut();
        if let Some(arrived) = known.get(text) {
            return Rc::clone(arrived);
        }
        let arrived = Rc::new(Arrived::read(text));
        known.insert(Rc::clone(&arrived.text), Rc::clone(&arrived));
        arrived
    }

    // The rules that hold for every request, whatever else is tested.
    pub(crate) fn check<B: Body>(&self, request: &Request<B>) -> Rc<Seen> {
        assert!(self.may_send.get(), "a request while nothing may be sent");
        let kept = self.world.disk_failed.get()
            || self.world.monotonic() >= self.not_before_ms[index_of(&request.url)].get();
        assert!(kept, "a request within a wait that the server asked for");
        let name = self.server_at(&request.url).borrow().name;
        let bearer = request.bearer.as_deref().unwrap_or_default();
        assert!(bearer.starts_with(name), "a server is shown the login of another");
        let (bytes, page_visits, tab_aggregates) = match &request.payload {
            Payload::Batch { page_visits, tab_aggregates } => {
                let list = |bodies: &[B]| -> Vec<Rc<Arrived>> {
                    bodies.iter().map(|body| self.arrive(&body.text())).collect()
                };
                let (visits, aggregates) = (list(page_visits), list(tab_aggregates));
                let texts = visits.iter().chain(&aggregates).map(|record| record.text.len());
                let commas = [&visits, &aggregates].map(|list| list.len().saturating_sub(1));
                let bytes = EMPTY_BODY_BYTES + texts.sum::<usize>() + commas.iter().sum::<usize>();
                (bytes, visits, aggregates)
            }
            Payload::Gzip(packed) => {
                let body = unpack(packed);
                let parsed: Envelope<'_> = serde_json::from_str(&body).expect("a body that is no batch");
                let list = |records: Vec<&RawValue>| -> Vec<Rc<Arrived>> {
                    records.into_iter().map(|record| self.arrive(record.get())).collect()
                };
                (body.len(), list(parsed.page_visits), list(parsed.tab_aggregates))
            }
            Payload::Nothing | Payload::Json(_) => panic!("not a batch"),
        };
        assert!(bytes <= self.most_bytes.get(), "{bytes} bytes in a request");
        for site in self.forbidden.borrow().iter() {
            let names_it = |record: &Rc<Arrived>| record.text.contains(site);
            let named = page_visits.iter().chain(&tab_aggregates).any(names_it);
            assert!(!named, "an excluded site is named in a request");
        }
        let seen = Seen {
            at_ms: self.world.monotonic(),
            bearer: request.bearer.clone(),
            idempotency_key: request.idempotency_key.clone(),
            page_visits,
            tab_aggregates,
            bytes,
            packed: matches!(request.payload, Payload::Gzip(_)),
        };
        let (visits, aggregates) = (seen.page_visits.len(), seen.tab_aggregates.len());
        assert!(visits <= 100 && aggregates <= 100, "{visits} + {aggregates} records in a request");
        assert!(visits + aggregates > 0, "an empty request");
        for records in [&seen.page_visits, &seen.tab_aggregates] {
            let mut ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
            ids.sort_unstable();
            let before = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), before, "an id twice in a request");
        }
        Rc::new(seen)
    }

    // What one worker's uploads in flight may be to each other (rules 3 and 6): few enough, no record in two of them, and
    // nothing apart from what it refers to, where the server has that not yet and has not offered any order.
    pub(crate) fn check_beside(&self, seen: &Seen, others: &[Rc<Seen>], url: &str) {
        let most = self.most_together.get();
        assert!(others.len() < most, "more than {most} uploads in flight together");
        if others.is_empty() {
            return;
        }
        let server = self.server_at(url).borrow();
        let in_order =
            if server.offered_any_order { "uploads together" } else { "uploads together in order" };
        self.fired.borrow_mut().push(in_order);
        let account = server.tokens.get(seen.bearer.as_deref().unwrap_or_default());
        let stored = account.and_then(|account| server.stored.get(account));
        let is_there = |id: &str| stored.is_some_and(|rows| rows.contains_key(&('v', id.to_owned())));
        let (mine, my_aggregates) = (ids(&seen.page_visits), ids(&seen.tab_aggregates));
        for other in others {
            let theirs = ids(&other.page_visits);
            let aggregates = ids(&other.tab_aggregates);
            let twice = mine.intersection(&theirs).chain(my_aggregates.intersection(&aggregates)).next();
            assert!(twice.is_none(), "{twice:?} is in two uploads in flight");
            if server.offered_any_order {
                continue;
            }
            for (from, to) in [(seen, &theirs), (other, &mine)] {
                let records = from.page_visits.iter().chain(&from.tab_aggregates);
                let mut sources = records.filter_map(|record| record.refers_to());
                let apart = sources.find(|id| to.contains(id) && !is_there(id));
                assert!(apart.is_none(), "{apart:?} is in flight apart from what refers to it");
            }
        }
    }
}

fn ids(records: &[Rc<Arrived>]) -> HashSet<&str> {
    records.iter().map(|record| record.id.as_str()).collect()
}

/// As in RFC 9110, 5.6.7; the name of the weekday is of no use.
pub fn http_date(unix_ms: i64) -> String {
    let (days, secs) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000) / 1000);
    // Days since 0000-03-01, in eras of 400 years.
    let since = days + 719_468;
    let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let names = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let year = year_of_era + era * 400 + i64::from(month >= 10);
    let (hours, minutes) = (secs / 3600, secs / 60 % 60);
    format!("Sun, {day:02} {} {year} {hours:02}:{minutes:02}:{:02} GMT", names[month as usize], secs % 60)
}

fn index_of(url: &str) -> usize {
    usize::from(url.starts_with(SERVER_URLS[1]))
}

/// Begins a packing that can be told from plain text, and saves nothing.
pub const PACKED: &[u8] = b"packed:";

fn unpack(packed: &[u8]) -> String {
    let text = packed.strip_prefix(PACKED).expect("a packed body");
    String::from_utf8(text.to_vec()).expect("a text")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn upload(visits: &[&str]) -> Rc<Seen> {
        let record = |text: &&str| {
            let (id, source) = text.split_once('<').unwrap_or((text, ""));
            let source = if source.is_empty() { Value::Null } else { json!(source) };
            let body = json!({ "id": id, "revision": 1, "source_page_visit_id": source });
            Rc::new(Arrived::read(&body.to_string()))
        };
        Rc::new(Seen {
            at_ms: 0,
            bearer: None,
            idempotency_key: None,
            page_visits: visits.iter().map(record).collect(),
            tab_aggregates: Vec::new(),
            bytes: 0,
            packed: false,
        })
    }

    #[test]
    fn uploads_that_may_not_be_in_flight_together_are_seen() {
        let complaint = |mine: &[&str], others: &[&[&str]], any_order: bool| {
            let server = Server { offered_any_order: any_order, ..Server::default() };
            let network = Network::new(&World::new(1), server);
            let others: Vec<Rc<Seen>> = others.iter().map(|visits| upload(visits)).collect();
            let check = || network.check_beside(&upload(mine), &others, SERVER_URLS[0]);
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).err()?;
            panic.downcast_ref::<String>().cloned()
        };
        let says =
            |complaint: Option<String>, words: &str| complaint.is_some_and(|text| text.contains(words));
        assert_eq!(complaint(&["c"], &[&["a"], &["b<x"]], false), None);
        assert!(says(complaint(&["d"], &[&["a"], &["b"], &["c"]], false), "more than 3"));
        assert!(says(complaint(&["a"], &[&["b"], &["a"]], true), "in two uploads"));
        assert!(says(complaint(&["b<a"], &[&["a"]], false), "apart"));
        assert!(says(complaint(&["a"], &[&["b<a"]], false), "apart"));
        assert_eq!(complaint(&["b<a"], &[&["a"]], true), None);
    }
}

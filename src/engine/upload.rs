//! A batch, from the rows that it covers to the request that carries it.

use std::cell::OnceCell;
use std::rc::Rc;

use super::Settings;
use crate::decisions::batch::{Candidate, latest_of_each};
use crate::decisions::protocol::EMPTY_BODY_BYTES;
use crate::outbox::Fate;
use crate::ports::store::{Body, Row, Table};
use crate::ports::transport::{Payload, Request};
use crate::words::hash::{HashMap, HashSet};
use crate::words::key::RowKey;
use crate::words::kind::{Kind, PerKind};
use crate::words::order;
use crate::words::record::wire;
use crate::words::time::{Millis, UnixMillis};

/// A row as the cutting sees it.
pub(super) fn candidate<B>(row: &Row<B>) -> Candidate<'_> {
    Candidate {
        key: row.key,
        id: &row.head.id,
        revision: row.head.revision,
        bytes: row.head.bytes as usize,
        follows: row.follows,
    }
}

/// The id of the page visit to which a row's unit belongs (rule 6).
pub(super) fn unit_of<B>(row: &Row<B>) -> &str {
    match row.head.kind {
        Kind::PageVisit => &row.head.id,
        Kind::TabAggregate => row.head.refers_to.as_deref().unwrap_or(&row.head.id),
    }
}

/// Rows and what becomes of each, by kind.
pub(super) type Fates<B> = PerKind<Vec<(Row<B>, Fate)>>;

/// Rows that are sent together, in key order.
pub(super) type Batch<B> = Vec<Row<B>>;

/// The batch, split between units into an older and a younger half; within its only unit between records; none where
/// it is one record. `first` says how many units or records the older half has, the half of all if nothing.
pub(super) fn split<B>(batch: Batch<B>, first: Option<usize>) -> Result<(Batch<B>, Batch<B>), Batch<B>> {
    for by_record in [false, true] {
        let is_older = are_older(&batch, by_record, first);
        if !is_older.is_empty() {
            let mut is_older = is_older.into_iter();
            return Ok(batch.into_iter().partition(|_| is_older.next().unwrap_or_default()));
        }
    }
    Err(batch)
}

// Of each row whether it goes with the older half; nothing where the batch is but one unit (or record).
fn are_older<B>(batch: &Batch<B>, by_record: bool, first: Option<usize>) -> Vec<bool> {
    fn group_of<B>(row: &Row<B>, by_record: bool) -> (Option<Kind>, &str) {
        if by_record { (Some(row.head.kind), &row.head.id) } else { (None, unit_of(row)) }
    }
    // So few that looking through them is as quick as any map.
    let mut groups: Vec<(_, RowKey, Kind)> = Vec::new();
    for row in batch {
        let group = group_of(row, by_record);
        if groups.iter().all(|(known, ..)| *known != group) {
            groups.push((group, row.key, row.head.kind));
        }
    }
    if groups.len() < 2 {
        return Vec::new();
    }
    // A unit's visit comes before its aggregates, whatever their keys.
    order::by_number(&mut groups, |(_, key, kind)| key.behind_kind(*kind));
    groups.truncate(first.unwrap_or(groups.len() / 2).clamp(1, groups.len()));
    let is_older = |row: &Row<B>| groups.iter().any(|(group, ..)| *group == group_of(row, by_record));
    batch.iter().map(is_older).collect()
}

/// Records that the server has named as bad, with its words.
pub(super) type Named = HashMap<(Kind, String), String>;

/// Why records can't go, or not as they are.
#[derive(Default)]
pub(super) struct Obstacles {
    /// Page visits that are not on the server and won't be before this batch, and where they are.
    pub withheld: HashMap<String, Table>,
    /// Page visits that wait outside the batch: nothing may refer to them yet.
    pub unstored: HashSet<String>,
    /// Rows of page visits whose source stands behind them in the batch.
    pub behind: HashSet<RowKey>,
    /// Records that the server has named as bad, with its words.
    pub named: Named,
    /// The moment.
    pub now: UnixMillis,
}

/// What becomes of a row of the parcel.
enum Role<B> {
    /// This body of so many bytes is sent.
    Sent(B, usize),
    /// A later revision is sent for it.
    Covered,
    /// It leaves the outbox without being sent, when the parcel is settled.
    Leaves(Fate),
    /// It can't be sent now, and stays.
    Held,
}

/// A batch made ready: what is sent of it, and what becomes of the rest.
pub(super) struct Parcel<B> {
    rows: Vec<(Row<B>, Role<B>)>,
    altered: u32,
    id: OnceCell<String>,
    packed: Option<Vec<u8>>,
    /// The settings of the moment at which it was made ready.
    pub(super) settings: Rc<Settings>,
    /// When its request began, by the clock that only goes forward.
    pub(super) sent_at: Millis,
}

/// What is written down about a record that is set aside.
pub(super) fn note(reason: &str, words: Option<&str>, at: UnixMillis) -> String {
    serde_json::json!({ "reason": reason, "words": words, "at": at }).to_string()
}

impl<B: Body> Parcel<B> {
    /// Applies what the user excluded, what can't be referred to and what the server has named (rules 5, 6 and 11).
    pub(super) fn prepare(mut batch: Batch<B>, settings: Rc<Settings>, obstacles: &Obstacles) -> Self {
        in_order_of_records(&mut batch);
        let mut altered = 0;
        let mut roles: Vec<Role<B>> = batch.iter().map(|_| Role::Covered).collect();
        let mut left: HashMap<&str, Fate> = HashMap::default();
        for kind in Kind::ALL {
            let of_kind: Vec<usize> = (0..batch.len())
                .filter(|index| batch.get(*index).is_some_and(|row| row.head.kind == kind))
                .collect();
            let latest = latest_of_each(of_kind.iter().filter_map(|index| {
                let row = batch.get(*index)?;
                Some((row.head.id.as_str(), row.head.revision))
            }));
            for index in latest.into_iter().filter_map(|index| of_kind.get(index).copied()) {
                let Some(row) = batch.get(index) else { continue };
                let role = role_of(row, &settings, obstacles, &left, &mut altered);
                if let (Kind::PageVisit, Role::Leaves(fate)) = (kind, &role) {
                    left.insert(&row.head.id, fate.clone());
                }
                // The other revisions of a record share what becomes of it.
                let alike = |role: &Role<B>| match role {
                    Role::Leaves(fate) => Role::Leaves(fate.clone()),
                    Role::Held => Role::Held,
                    Role::Sent(..) | Role::Covered => Role::Covered,
                };
                if !matches!(role, Role::Sent(..)) {
                    let is_it =
                        |each: &&usize| batch.get(**each).is_some_and(|other| other.head.id == row.head.id);
                    for slot in of_kind.iter().filter(is_it) {
                        if let Some(slot) = roles.get_mut(*slot) {
                            *slot = alike(&role);
                        }
                    }
                }
                if let Some(slot) = roles.get_mut(index) {
                    *slot = role;
                }
            }
        }
        drop(left);
        let rows = batch.into_iter().zip(roles).collect();
        Self { rows, altered, id: OnceCell::new(), packed: None, settings, sent_at: Millis(0) }
    }

    /// The rows whose bodies are sent.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Row<B>> {
        self.rows.iter().filter(|(_, role)| matches!(role, Role::Sent(..))).map(|(row, _)| row)
    }

    /// How many records are sent.
    pub(super) fn records(&self) -> u64 {
        self.sent().count() as u64
    }

    /// Whether there is anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.sent().next().is_none()
    }

    /// Whether rows leave the outbox without being sent.
    pub(super) fn anything_leaves(&self) -> bool {
        self.rows.iter().any(|(_, role)| matches!(role, Role::Leaves(_)))
    }

    /// Whether page visits leave the outbox without being sent.
    pub(super) fn withholds_visits(&self) -> bool {
        let leaves = |(row, role): &(Row<B>, Role<B>)| {
            row.head.kind == Kind::PageVisit && matches!(role, Role::Leaves(_))
        };
        self.rows.iter().any(leaves)
    }

    /// Bytes of the request's body before compression.
    pub(super) fn bytes(&self) -> usize {
        let count = |kind| self.sent().filter(|row| row.head.kind == kind).count().saturating_sub(1);
        let commas: usize = Kind::ALL.into_iter().map(count).sum();
        let bodies =
            self.rows.iter().map(|(_, role)| if let Role::Sent(_, bytes) = role { *bytes } else { 0 });
        EMPTY_BODY_BYTES + commas + bodies.sum::<usize>()
    }

    /// Bytes of the request's body on the wire.
    pub(super) fn bytes_sent(&self) -> usize {
        self.packed.as_ref().map_or_else(|| self.bytes(), Vec::len)
    }

    /// Takes the compressed form of its [`Parcel::payload`]; with none it goes as it is.
    pub(super) fn pack(&mut self, packed: Option<Vec<u8>>) {
        self.packed = packed;
    }

    /// Whether it goes compressed.
    pub(super) const fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Most records of a kind.
    pub(super) fn most_records(&self) -> usize {
        let count = |kind| self.sent().filter(|row| row.head.kind == kind).count();
        Kind::ALL.into_iter().map(count).max().unwrap_or_default()
    }

    /// The rows again, after a failure.
    pub(super) fn into_batch(self) -> Batch<B> {
        self.rows.into_iter().map(|(row, _)| row).collect()
    }

    /// What is settled when the server has every record that was sent, and the rows that stay.
    pub(super) fn acknowledged(self) -> (Fates<B>, Batch<B>) {
        self.settled(&HashSet::default())
    }

    /// The same where the server has not these.
    pub(super) fn settled(self, but: &HashSet<(Kind, String)>) -> (Fates<B>, Batch<B>) {
        let mut settled = Fates::<B>::default();
        let mut staying = Vec::new();
        for (row, role) in self.rows {
            let refused = !but.is_empty() && but.contains(&(row.head.kind, row.head.id.clone()));
            match role {
                Role::Held => staying.push(row),
                Role::Sent(..) | Role::Covered if refused => staying.push(row),
                Role::Sent(..) | Role::Covered => {
                    settled.of_mut(row.head.kind).push((row, Fate::Acknowledged));
                }
                Role::Leaves(fate) => settled.of_mut(row.head.kind).push((row, fate)),
            }
        }
        (settled, staying)
    }

    /// What leaves without being sent, and the rows that stay.
    pub(super) fn only_leaving(self) -> (Fates<B>, Batch<B>) {
        let mut settled = Fates::<B>::default();
        let mut staying = Vec::new();
        for (row, role) in self.rows {
            match role {
                Role::Leaves(fate) => settled.of_mut(row.head.kind).push((row, fate)),
                _ => staying.push(row),
            }
        }
        (settled, staying)
    }

    /// The records as they travel.
    pub(super) fn payload(&self) -> Payload<B> {
        let bodies = |wanted: Kind| {
            let sent = self.rows.iter().filter(|(row, _)| row.head.kind == wanted);
            sent.filter_map(|(_, role)| match role {
                Role::Sent(body, _) => Some(body.clone()),
                _ => None,
            })
            .collect()
        };
        Payload::Batch { page_visits: bodies(Kind::PageVisit), tab_aggregates: bodies(Kind::TabAggregate) }
    }

    /// The request that carries the parcel.
    pub(super) fn request(&self, settings: &Settings) -> Request<B> {
        Request {
            url: format!("{}/data/sync", settings.server_url.trim_end_matches('/')),
            bearer: settings.session.as_ref().map(|session| session.access_token.clone()),
            idempotency_key: Some(self.id().to_owned()),
            payload: self.packed.clone().map_or_else(|| self.payload(), Payload::Gzip),
            timeout: settings.policy.request_timeout,
        }
    }

    /// The batch id: the same for the same content, since a body never changes under its id and revision (rule 4) but
    /// by what `prepare` alters. FNV-1a over these, twice with different beginnings: two batches of one account that
    /// collide would have to share all 128 bits.
    pub(super) fn id(&self) -> &str {
        self.id.get_or_init(|| self.made_id())
    }

    fn made_id(&self) -> String {
        let mut halves = [0xcbf2_9ce4_8422_2325_u64, 0x6c62_272e_07bb_0142];
        let mut take = |bytes: &[u8]| {
            for byte in bytes.iter().chain(&[0xff]) {
                for half in &mut halves {
                    *half = (*half ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
                }
            }
        };
        take(&self.altered.to_le_bytes());
        for row in self.sent() {
            take(&[row.head.kind as u8]);
            take(row.head.id.as_bytes());
            take(&row.head.revision.to_le_bytes());
        }
        let [first, second] = halves;
        format!("{first:016x}{second:016x}")
    }
}

fn role_of<B: Body>(
    row: &Row<B>,
    settings: &Settings,
    obstacles: &Obstacles,
    left: &HashMap<&str, Fate>,
    altered: &mut u32,
) -> Role<B> {
    let head = &row.head;
    let words = |kind, id: &str| match obstacles.named.is_empty() {
        true => None,
        false => obstacles.named.get(&(kind, id.to_owned())),
    };
    if let Some(words) = words(head.kind, &head.id) {
        return Role::Leaves(Fate::Quarantined(note("refused", Some(words), obstacles.now)));
    }
    let reference = head.refers_to.as_deref();
    let withheld = reference.and_then(|id| obstacles.withheld.get(id));
    let named = reference.is_some_and(|id| words(Kind::PageVisit, id).is_some());
    let unstored = reference.is_some_and(|id| obstacles.unstored.contains(id));
    let mut text = None;
    match head.kind {
        Kind::TabAggregate => {
            let follows = || note("follows_its_visit", None, obstacles.now);
            match (reference.and_then(|id| left.get(id)), withheld) {
                (Some(Fate::Discarded(_)), _) | (_, Some(Table::Discarded)) => {
                    return Role::Leaves(Fate::Discarded(follows()));
                }
                (Some(Fate::Archived(_)), _) | (_, Some(Table::Archive)) => {
                    return Role::Leaves(Fate::Archived(follows()));
                }
                (Some(_), _) | (_, Some(_)) => return Role::Leaves(Fate::Quarantined(follows())),
                (None, None) if named => return Role::Leaves(Fate::Quarantined(follows())),
                (None, None) if unstored => return Role::Held,
                (None, None) => {}
            }
        }
        Kind::PageVisit => {
            let late = unstored || obstacles.behind.contains(&row.key);
            let gone =
                withheld.is_some() || named || late || reference.is_some_and(|id| left.contains_key(id));
            if gone {
                text = wire::without_source(&row.body.text());
            }
        }
    }
    if settings.excluded.may_touch(&head.sites) {
        let body = text.unwrap_or_else(|| row.body.text());
        let excluded = |host: &str| settings.excluded.excludes(host);
        if wire::own_site(&body).is_some_and(|host| excluded(&host)) {
            return Role::Leaves(Fate::Discarded(note("excluded", None, obstacles.now)));
        }
        let cut = wire::without_sites(head.kind, &body, &excluded);
        text = if cut.is_some() { cut } else { (body != row.body.text()).then_some(body) };
    }
    match text {
        None => Role::Sent(row.body.clone(), row.head.bytes as usize),
        Some(text) => {
            *altered =
                text.bytes().fold(*altered, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
            let bytes = text.len();
            Role::Sent(text.into(), bytes)
        }
    }
}

// Records by the place of their first row: a later revision travels where the first one stood, ahead of what refers to
// it.
fn in_order_of_records<B>(batch: &mut Batch<B>) {
    let mut places = HashMap::<(Kind, &str), RowKey>::default();
    let mut revised = false;
    for row in batch.iter() {
        let place = places.entry((row.head.kind, &row.head.id)).or_insert(row.key);
        revised |= *place != row.key;
        *place = row.key.min(*place);
    }
    if revised {
        let place_of = |row: &Row<B>| places.get(&(row.head.kind, row.head.id.as_str())).copied();
        let ranks: HashMap<RowKey, u64> = batch
            .iter()
            .filter_map(|row| Some((row.key, place_of(row)?.behind_kind(row.head.kind))))
            .collect();
        order::by_number(batch, |row| row.key.packed());
        order::by_number(batch, |row| ranks.get(&row.key).copied().unwrap_or_default());
    }
}

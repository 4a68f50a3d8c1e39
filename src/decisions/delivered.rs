//! What was acknowledged last, so that a caller's repetition of it is known as one.

use std::fmt::Write;

use crate::words::hash::HashMap;
use crate::words::owner::Owner;
use crate::words::policy::MOST_DELIVERED_REMEMBERED;
use crate::words::record::Head;

/// The last records that the server has acknowledged, by id and revision, each with a hash of its body and of its
/// owner; a bounded text of one line a record. It says nothing of what is in them.
#[derive(Default)]
pub struct Delivered(String);

impl Delivered {
    /// What was stored.
    pub fn of(text: Option<String>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// What is to be stored: the last lines.
    pub fn into_text(self) -> String {
        let lines = self.0.bytes().filter(|byte| *byte == b'\n').count();
        let Some(last_to_go) = lines.checked_sub(MOST_DELIVERED_REMEMBERED + 1) else { return self.0 };
        match self.0.match_indices('\n').nth(last_to_go) {
            Some((end, _)) => self.0.split_at(end + 1).1.to_owned(),
            None => self.0,
        }
    }

    /// Adds a record.
    pub fn add(&mut self, owner: Option<&Owner>, head: &Head, body: &str) {
        if !head.id.contains(['\n', '\r']) {
            let (owner, body) = (hash_of_owner(owner), hash(&[body]));
            let _ = writeln!(
                self.0,
                "{} {} {owner:016x} {} {body:016x}",
                head.kind as u8, head.revision, head.id
            );
        }
    }

    /// The same to look records up in.
    pub fn index(&self) -> Index<'_> {
        Index(self.0.lines().filter_map(|line| line.rsplit_once(' ')).collect())
    }
}

/// The remembered bodies, by owner, id and revision.
pub struct Index<'a>(HashMap<&'a str, &'a str>);

impl Index<'_> {
    /// Whether it holds the record at this revision for this owner; if so, whether with the same body.
    pub fn holds(&self, owner: Option<&Owner>, head: &Head, body: &str) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let name = format!("{} {} {:016x} {}", head.kind as u8, head.revision, hash_of_owner(owner), head.id);
        let held = self.0.get(name.as_str())?;
        Some(*held == format!("{:016x}", hash(&[body])))
    }
}

/// A mark of an owner: it names nobody.
pub fn mark_of(owner: Option<&Owner>) -> String {
    format!("{:016x}", hash_of_owner(owner))
}

fn hash_of_owner(owner: Option<&Owner>) -> u64 {
    owner.map_or(0, |owner| hash(&[&owner.origin, &owner.account]))
}

// FNV-1a. Two bodies of one id and revision would have to share all 64 bits.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::kind::Kind;

    fn head(id: &str, revision: u32) -> Head {
        Head { kind: Kind::PageVisit, id: id.into(), revision, refers_to: None, bytes: 0, sites: Vec::new() }
    }

    fn owner(account: &str) -> Owner {
        Owner { origin: "https://a".into(), account: account.into() }
    }

    #[test]
    fn a_record_is_known_by_owner_id_revision_and_body() {
        let mut delivered = Delivered::default();
        delivered.add(Some(&owner("1")), &head("an id", 2), "{}");
        let delivered = Delivered::of(Some(delivered.into_text()));
        let holds = |account: &str, id: &str, revision, body: &str| {
            delivered.index().holds(Some(&owner(account)), &head(id, revision), body)
        };
        assert_eq!(holds("1", "an id", 2, "{}"), Some(true));
        assert_eq!(holds("1", "an id", 2, "{ }"), Some(false));
        for (account, id, revision) in
            [("2", "an id", 2), ("1", "an", 2), ("1", "an id", 1), ("1", "an id", 3)]
        {
            assert_eq!(holds(account, id, revision, "{}"), None);
        }
        let aggregate = Head { kind: Kind::TabAggregate, ..head("an id", 2) };
        assert_eq!(delivered.index().holds(Some(&owner("1")), &aggregate, "{}"), None);
    }

    #[test]
    fn only_the_last_are_remembered() {
        let mut text = None;
        for number in 0..MOST_DELIVERED_REMEMBERED + 7 {
            let mut delivered = Delivered::of(text);
            delivered.add(None, &head(&number.to_string(), 1), "{}");
            text = Some(delivered.into_text());
        }
        let delivered = Delivered::of(text);
        assert_eq!(delivered.0.lines().count(), MOST_DELIVERED_REMEMBERED);
        assert_eq!(delivered.index().holds(None, &head("6", 1), "{}"), None);
        assert_eq!(delivered.index().holds(None, &head("7", 1), "{}"), Some(true));
    }

    #[test]
    fn an_id_that_would_break_a_line_is_not_remembered() {
        let mut delivered = Delivered::default();
        delivered.add(None, &head("a\n0 1 0", 1), "{}");
        assert_eq!(delivered.into_text(), "");
    }
}

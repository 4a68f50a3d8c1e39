//! What the server has acknowledged, one by one, so that it can be asked later whether it still has it. A receipt says
//! nothing of what is in a record.

use std::fmt::Write;

use crate::words::kind::Kind;
use crate::words::record::Head;
use crate::words::time::UnixMillis;

/// One acknowledged revision of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its kind.
    pub kind: Kind,
    /// Its revision.
    pub revision: u64,
    /// When it was captured.
    pub captured_at: UnixMillis,
    /// Its id.
    pub id: String,
    /// The id of an aggregate's page visit.
    pub visit: Option<String>,
}

/// The receipts that one settlement gives, as a text of one line each.
#[derive(Debug, Default)]
pub struct Receipts {
    text: String,
    lines: u64,
}

impl Receipts {
    /// Adds one. An id that would not fit in a line gets none: it can't be compared.
    pub fn add(&mut self, head: &Head, captured_at: UnixMillis) {
        let visit = head.refers_to.as_deref().filter(|_| head.kind == Kind::TabAggregate);
        if head.id.contains(['\n', '\t']) || visit.is_some_and(|id| id.contains(['\n', '\t'])) {
            return;
        }
        let (kind, revision) = (head.kind as u8, head.revision);
        let _ = write!(self.text, "{kind} {revision} {} {}", captured_at.0, head.id);
        if let Some(visit) = visit {
            let _ = write!(self.text, "\t{visit}");
        }
        self.text.push('\n');
        self.lines += 1;
    }

    /// How many there are.
    pub const fn len(&self) -> u64 {
        self.lines
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// What is to be stored.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The receipts of a stored text; what is none is left out.
pub fn read(text: &str) -> impl Iterator<Item = Receipt> {
    text.split('\n').filter_map(|line| {
        let mut parts = line.splitn(4, ' ');
        let kind = match parts.next()? {
            "0" => Kind::PageVisit,
            "1" => Kind::TabAggregate,
            _ => return None,
        };
        let revision = parts.next()?.parse().ok()?;
        let captured_at = UnixMillis(parts.next()?.parse().ok()?);
        let rest = parts.next()?;
        let (id, visit) = rest.split_once('\t').map_or((rest, None), |(id, visit)| (id, Some(visit)));
        Some(Receipt { kind, revision, captured_at, id: id.to_owned(), visit: visit.map(str::to_owned) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: Kind, id: &str, refers_to: Option<&str>) -> Head {
        let refers_to = refers_to.map(str::to_owned);
        Head { kind, id: id.into(), revision: 3, refers_to, bytes: 0, sites: Vec::new() }
    }

    #[test]
    fn what_was_added_is_read_again() {
        let mut receipts = Receipts::default();
        receipts.add(&head(Kind::PageVisit, "an id ☃", Some("its source")), UnixMillis(-5));
        receipts.add(&head(Kind::TabAggregate, "b", Some("an id ☃")), UnixMillis(7));
        for unfit in ["a\nb", "a\tb"] {
            receipts.add(&head(Kind::PageVisit, unfit, None), UnixMillis(7));
            receipts.add(&head(Kind::TabAggregate, "c", Some(unfit)), UnixMillis(7));
        }
        assert_eq!(receipts.len(), 2);
        let found: Vec<Receipt> = read(&receipts.into_text()).collect();
        let visit = Receipt {
            kind: Kind::PageVisit,
            revision: 3,
            captured_at: UnixMillis(-5),
            id: "an id ☃".into(),
            visit: None,
        };
        let aggregate = Receipt {
            kind: Kind::TabAggregate,
            captured_at: UnixMillis(7),
            id: "b".into(),
            visit: Some("an id ☃".into()),
            ..visit.clone()
        };
        assert_eq!(found, [visit, aggregate]);
    }

    #[test]
    fn a_line_that_is_no_receipt_is_left_out() {
        assert_eq!(read("\n2 1 5 a\n0 -1 5 a\n0 1 x a\n0 1 5\n").count(), 0);
    }
}

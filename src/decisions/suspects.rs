//! Records that fail without the server's word, until something proves that it is they and not the server (rule 5).

use serde::{Deserialize, Serialize};

use crate::words::kind::Kind;
use crate::words::policy::MOST_SUSPECTS;

/// A record that failed in company and alone, with nothing stored between or since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// What the server said of it.
    #[serde(default)]
    pub refusal: Refusal,
}

/// How a record was refused.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It fails, and nobody says why.
    #[default]
    WithoutAWord,
    /// It was named, with these words; none where they were forgotten with a site.
    Named(String),
    /// It is too large by itself.
    TooLarge,
}

impl Refusal {
    /// The reason and the words for the note of a quarantined record.
    pub fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::WithoutAWord => ("refused_without_a_word", None),
            Self::Named(words) => ("refused", Some(words.as_str()).filter(|words| !words.is_empty())),
            Self::TooLarge => ("too_large", None),
        }
    }
}

// The server's words may repeat a field's content.
impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.told().0)
    }
}

/// How large the next piece of the head is, while nothing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// So many units.
    Units(usize),
    /// One record.
    Record,
}

/// What is known of trouble that nobody explains; forgotten as soon as something is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Unexplained {
    /// Two pieces of this size failed one after the other; the next attempt goes one split further.
    pub failed: Option<Piece>,
    /// Set aside; they block nobody.
    pub suspects: Vec<Suspect>,
    /// The ids of those that were condemned, and nothing was stored since.
    pub condemned: Vec<String>,
    /// Everything was tried, and nothing was stored: one record is tried at a time until something is.
    pub refuses_all: bool,
}

impl Unexplained {
    /// Whether there is anything to forget.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The size of the pieces of the next attempt; none where whole batches go.
    pub fn next_piece(&self) -> Option<Piece> {
        if self.refuses_all {
            return Some(Piece::Record);
        }
        self.failed.map(|failed| match failed {
            Piece::Units(units) if units > 1 => Piece::Units(units / 2),
            Piece::Units(_) | Piece::Record => Piece::Record,
        })
    }

    /// Whether a record waits for proof: it is a suspect, or the aggregate of one.
    pub fn holds(&self, kind: Kind, id: &str, refers_to: Option<&str>) -> bool {
        let suspected =
            |kind: Kind, id: &str| self.suspects.iter().any(|each| each.kind == kind && each.id == id);
        suspected(kind, id)
            || (kind == Kind::TabAggregate
                && refers_to.is_some_and(|visit| suspected(Kind::PageVisit, visit)))
    }

    /// Adds a suspect.
    pub fn suspect(&mut self, kind: Kind, id: &str, refusal: Refusal) {
        if !self.holds(kind, id, None) {
            self.suspects.push(Suspect { kind, id: id.to_owned(), refusal });
        }
    }

    /// Forgets what the server has said: it may name what is to be gone.
    pub fn forget_words(&mut self) {
        for suspect in &mut self.suspects {
            if let Refusal::Named(words) = &mut suspect.refusal {
                words.clear();
            }
        }
    }

    /// Whether so many records fail that the server itself is to be doubted: probe forward.
    pub fn is_doubtful(&self) -> bool {
        self.suspects.len() + self.condemned.len() > MOST_SUSPECTS
    }

    /// Whether one more may be condemned before something is stored.
    pub fn may_condemn(&self) -> bool {
        !self.refuses_all && self.condemned.len() < MOST_SUSPECTS
    }

    /// What is left to remember when the trouble is over but nothing was stored.
    pub fn only_condemned(&self) -> Self {
        Self { condemned: self.condemned.clone(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_later_attempt_goes_one_split_further() {
        let mut trouble = Unexplained::default();
        assert_eq!(trouble.next_piece(), None);
        trouble.failed = Some(Piece::Units(50));
        assert_eq!(trouble.next_piece(), Some(Piece::Units(25)));
        trouble.failed = Some(Piece::Units(1));
        assert_eq!(trouble.next_piece(), Some(Piece::Record));
        trouble.failed = Some(Piece::Record);
        assert_eq!(trouble.next_piece(), Some(Piece::Record));
    }

    #[test]
    fn a_suspect_visit_holds_its_aggregates_and_nobody_else() {
        let mut trouble = Unexplained::default();
        trouble.suspect(Kind::PageVisit, "v", Refusal::default());
        assert!(trouble.holds(Kind::PageVisit, "v", None));
        assert!(trouble.holds(Kind::TabAggregate, "a", Some("v")));
        assert!(!trouble.holds(Kind::PageVisit, "w", Some("v")));
        assert!(!trouble.holds(Kind::TabAggregate, "v", None));
    }

    #[test]
    fn the_server_is_doubted_after_more_than_ten_suspects() {
        let mut trouble = Unexplained::default();
        for number in 0..10 {
            trouble.suspect(Kind::PageVisit, &number.to_string(), Refusal::default());
        }
        assert!(!trouble.is_doubtful());
        trouble.suspect(Kind::PageVisit, "one more", Refusal::default());
        assert!(trouble.is_doubtful());
    }

    #[test]
    fn nobody_else_is_condemned_after_ten_with_nothing_stored() {
        let mut trouble = Unexplained::default();
        assert!(trouble.may_condemn());
        trouble.condemned = (0..10).map(|number| number.to_string()).collect();
        assert!(!trouble.may_condemn() && !trouble.is_doubtful());
        trouble.suspect(Kind::PageVisit, "one more", Refusal::TooLarge);
        assert!(trouble.is_doubtful());
        assert_eq!(trouble.only_condemned().condemned.len(), 10);
        assert!(trouble.only_condemned().suspects.is_empty());
    }
}

//! How the last uploads went: a rolling account over a fixed number of them, and what to be alarmed about.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::verdict::{Cause, Verdict};
use crate::words::order;
use crate::words::policy::{FEWEST_JUDGED, LEAST_SUCCESS_RATE, MOST_QUARANTINED_SHARE, UPLOADS_REMEMBERED};

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The server stored what it carried, or all but what it named.
    Stored,
    /// It was answered, and nothing was stored.
    Failed,
    /// No answer came.
    Network,
}

/// The last uploads, oldest first: of each its milliseconds and a letter for how it ended. A text, because it is read and
/// written with every step of a sync, and looked into only for the status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uploads(String);

impl Uploads {
    /// Adds one.
    pub fn add(&mut self, ms: u32, ended: Ended) {
        let _ = write!(self.0, "{ms}{}", ended.letter());
        self.forget_surplus();
    }

    /// Adds others behind these.
    pub fn extend(&mut self, others: Self) {
        self.0.push_str(&others.0);
        self.forget_surplus();
    }

    fn forget_surplus(&mut self) {
        let uploads = self.0.bytes().filter(u8::is_ascii_alphabetic).count();
        let surplus = self.0.split_inclusive(is_letter).take(uploads.saturating_sub(UPLOADS_REMEMBERED));
        let bytes: usize = surplus.map(str::len).sum();
        self.0.drain(..bytes);
    }

    fn all(&self) -> Vec<(u32, Ended)> {
        let read = |upload: &str| {
            let (ms, letter) = upload.split_at_checked(upload.len().checked_sub(1)?)?;
            Some((ms.parse().ok()?, Ended::of(letter)?))
        };
        self.0.split_inclusive(is_letter).filter_map(read).collect()
    }
}

const fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
}

impl Ended {
    const fn letter(self) -> &'static str {
        match self {
            Self::Stored => "s",
            Self::Failed => "f",
            Self::Network => "n",
        }
    }

    fn of(letter: &str) -> Option<Self> {
        [Self::Stored, Self::Failed, Self::Network].into_iter().find(|ended| ended.letter() == letter)
    }

    /// What a verdict says of the upload.
    pub const fn with(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Acknowledged(_) | Verdict::PartlyAcknowledged(..) => Self::Stored,
            Verdict::Transient { cause: Cause::NoAnswer(_), .. } => Self::Network,
            _ => Self::Failed,
        }
    }
}

/// The account that `status` shows.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Uploads that it is about, at most [`UPLOADS_REMEMBERED`].
    pub uploads: usize,
    /// Share of them that stored something; none before the first.
    pub success_rate: Option<f64>,
    /// Uploads without an answer.
    pub network_errors: usize,
    /// Mean time of those that stored something, in milliseconds.
    pub mean_batch_ms: Option<f64>,
    /// The time within which 95 of 100 of them ended, in milliseconds.
    pub p95_batch_ms: Option<u32>,
    /// Share of all captured records that is in quarantine.
    pub quarantined_share: f64,
    /// What is out of bounds: `success_rate` below 99 %, `quarantined` above 1 %.
    pub alerts: Vec<&'static str>,
}

/// Draws the account.
pub fn metrics(uploads: &Uploads, captured: u64, quarantined: u64) -> Metrics {
    let uploads = uploads.all();
    let of = |which: Ended| uploads.iter().filter(|(_, ended)| *ended == which).count();
    let all = uploads.len();
    let stored = of(Ended::Stored);
    let mut times: Vec<u32> =
        uploads.iter().filter(|(_, ended)| *ended == Ended::Stored).map(|(ms, _)| *ms).collect();
    order::by_number(&mut times, |ms| u64::from(*ms));
    let success_rate = (all > 0).then(|| stored as f64 / all as f64);
    let quarantined_share = if captured > 0 { quarantined as f64 / captured as f64 } else { 0.0 };
    let mut alerts = Vec::new();
    if all >= FEWEST_JUDGED && success_rate.is_some_and(|rate| rate < LEAST_SUCCESS_RATE) {
        alerts.push("success_rate");
    }
    if captured >= FEWEST_JUDGED as u64 && quarantined_share > MOST_QUARANTINED_SHARE {
        alerts.push("quarantined");
    }
    Metrics {
        uploads: all,
        success_rate,
        network_errors: of(Ended::Network),
        mean_batch_ms: (stored > 0)
            .then(|| times.iter().map(|ms| f64::from(*ms)).sum::<f64>() / stored as f64),
        p95_batch_ms: times.get((stored * 95).div_ceil(100).saturating_sub(1)).copied(),
        quarantined_share,
        alerts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads(list: impl IntoIterator<Item = (u32, Ended)>) -> Uploads {
        let mut uploads = Uploads::default();
        list.into_iter().for_each(|(ms, ended)| uploads.add(ms, ended));
        uploads
    }

    #[test]
    fn times_are_those_of_uploads_that_stored_something() {
        let mut list: Vec<(u32, Ended)> = (1..=20).map(|ms| (ms * 10, Ended::Stored)).collect();
        list.extend([(25_000, Ended::Network), (7, Ended::Failed)]);
        let text = serde_json::to_string(&uploads(list)).unwrap();
        let metrics = metrics(&serde_json::from_str(&text).unwrap(), 0, 0);
        assert_eq!((metrics.uploads, metrics.network_errors), (22, 1));
        assert_eq!((metrics.mean_batch_ms, metrics.p95_batch_ms), (Some(105.0), Some(190)));
        assert_eq!(metrics.success_rate, Some(20.0 / 22.0));
        assert_eq!(metrics.alerts, ["success_rate"]);
    }

    #[test]
    fn only_the_last_uploads_count() {
        let failed = (0..50).map(|_| (1, Ended::Failed));
        let stored = (0..UPLOADS_REMEMBERED).map(|_| (1, Ended::Stored));
        let metrics = metrics(&uploads(failed.chain(stored)), 0, 0);
        assert_eq!((metrics.uploads, metrics.success_rate), (UPLOADS_REMEMBERED, Some(1.0)));
        assert!(metrics.alerts.is_empty());
    }

    #[test]
    fn one_record_in_a_hundred_may_be_refused_and_few_prove_nothing() {
        let quarantined = |captured, quarantined| metrics(&Uploads::default(), captured, quarantined).alerts;
        assert!(quarantined(100, 1).is_empty() && quarantined(5, 5).is_empty());
        assert_eq!(quarantined(100, 2), ["quarantined"]);
        assert!(metrics(&uploads([(1, Ended::Failed)]), 0, 0).alerts.is_empty());
    }
}

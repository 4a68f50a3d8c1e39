//! What a user has erased, as predicates over records. Pure decisions.

use crate::{
    policy,
    time::UnixMillis,
    validation::{PageVisit, TabAggregate},
};

/// One erasure: visits of these sites, in this span of time, are not to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Host in normal form, subdomains included; none means every site.
    pub site: Option<String>,
    /// First moment that falls under it.
    pub from: UnixMillis,
    /// Last moment that falls under it; none means whatever is held.
    pub to: Option<UnixMillis>,
}

impl Erasure {
    /// What of an erasure that was made at `erased_at` is held against a record that arrives at `now`.
    ///
    /// `to` is by the asking client's clock. Up to the server's moment it stands for ever. The rest is for what was on
    /// its way: a moment that is still to come when the record arrives tells of a clock that is ahead, as the asking
    /// one was. A moment that has come tells nothing: the clock may have been put right, and the record be new.
    pub fn standing(self, erased_at: UnixMillis, now: UnixMillis) -> impl Iterator<Item = Self> {
        let to = self.to.unwrap_or(erased_at);
        let ahead = Self {
            site: self.site.clone(),
            from: self.from.max(now.plus_millis(1)),
            to: Some(to.min(erased_at.plus_seconds(policy::MAX_CLOCK_AHEAD_SECONDS))),
        };
        let for_ever = Self { to: Some(to.min(erased_at)), ..self };
        [for_ever, ahead].into_iter().filter(|each| each.to.is_some_and(|to| each.from <= to))
    }

    /// `to` for the database.
    pub fn last_ms(&self) -> i64 {
        self.to.map_or(i64::MAX, |to| to.0)
    }

    /// Whether this visit must not be held.
    pub fn covers_visit(&self, visit: &PageVisit) -> bool {
        self.covers_moment(visit.visited_at_ms)
            && self.site.as_deref().is_none_or(|site| {
                is_of_site(&visit.host, site)
                    || visit.domain.as_deref().is_some_and(|domain| is_of_site(domain, site))
            })
    }

    /// Whether this aggregate must not be held if nobody knows its visit: only its own moment tells then. One that
    /// doesn't say when it ended falls under an erasure of everything up to a moment.
    pub fn covers_orphan(&self, aggregate: &TabAggregate) -> bool {
        self.site.is_none()
            && aggregate
                .closed_at_ms
                .map_or(self.from == UnixMillis(0), |closed_at| self.covers_moment(closed_at))
    }

    fn covers_moment(&self, moment_ms: i64) -> bool {
        (self.from.0..=self.last_ms()).contains(&moment_ms)
    }
}

/// Takes out of a visit that may stay what names an erased site.
pub fn redact_visit(erasures: &[Erasure], visit: &mut PageVisit) {
    let sites = sites(erasures, |erasure| erasure.covers_moment(visit.visited_at_ms));
    let texts = [&mut visit.title, &mut visit.extra, &mut visit.idle_periods];
    redact_visit_texts(&sites, &mut visit.metadata, texts);
}

/// Takes out of an aggregate that may stay what names an erased site. One that doesn't say when it ended is taken to
/// belong to the span.
pub fn redact_aggregate(erasures: &[Erasure], aggregate: &mut TabAggregate) {
    let closed_at_ms = aggregate.closed_at_ms;
    let sites =
        sites(erasures, |erasure| closed_at_ms.is_none_or(|closed_at| erasure.covers_moment(closed_at)));
    let texts = [
        &mut aggregate.current_url,
        &mut aggregate.current_host,
        &mut aggregate.current_domain,
        &mut aggregate.statistics,
        &mut aggregate.extra,
    ];
    redact_aggregate_texts(&sites, &mut aggregate.domain_durations, texts);
}

fn sites(erasures: &[Erasure], are_meant: impl Fn(&Erasure) -> bool) -> Vec<&str> {
    erasures
        .iter()
        .filter(|erasure| are_meant(erasure))
        .filter_map(|erasure| erasure.site.as_deref())
        .collect()
}

/// Whether a host is the site or one of its subdomains.
pub fn is_of_site(host: &str, site: &str) -> bool {
    host.strip_suffix(site).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a text holds the name of one of the sites as a word of its own: `a.example.com/x` names `example.com`,
/// `badexample.com` and `example.com.evil` don't.
pub fn names_site(text: &str, sites: &[&str]) -> bool {
    if sites.is_empty() {
        return false;
    }
    let text = text.to_lowercase();
    sites.iter().any(|site| is_named_in(&text, site))
}

fn is_named_in(text: &str, site: &str) -> bool {
    text.match_indices(site).any(|(start, found)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let mut after = text.get(start + found.len()..).unwrap_or_default().chars();
        let next = after.next();
        let ends = match next {
            Some('.') => !after.next().is_some_and(char::is_alphanumeric),
            next => !is_part_of_name(next),
        };
        !is_part_of_name(before) && ends
    })
}

fn is_part_of_name(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

/// The fields of a visit that may name sites which it isn't a visit of. Metadata is never null.
pub fn redact_visit_texts(sites: &[&str], metadata: &mut String, texts: [&mut Option<String>; 3]) {
    if names_site(metadata, sites) {
        *metadata = "{}".to_owned();
    }
    texts.into_iter().for_each(|text| clear_if_names(text, sites));
}

/// The same for an aggregate. Durations lose only the shares of the sites.
pub fn redact_aggregate_texts(
    sites: &[&str],
    durations: &mut Option<String>,
    texts: [&mut Option<String>; 5],
) {
    *durations = durations.take().and_then(|durations| without_sites(&durations, sites));
    texts.into_iter().for_each(|text| clear_if_names(text, sites));
}

fn clear_if_names(field: &mut Option<String>, sites: &[&str]) {
    if field.as_deref().is_some_and(|text| names_site(text, sites)) {
        *field = None;
    }
}

/// The durations without those of the sites. Anything but an object of hosts goes as a whole if it names one.
fn without_sites(durations: &str, sites: &[&str]) -> Option<String> {
    if !names_site(durations, sites) {
        return Some(durations.to_owned());
    }
    let mut by_host: serde_json::Map<String, serde_json::Value> = serde_json::from_str(durations).ok()?;
    by_host.retain(|host, value| !names_site(host, sites) && !names_site(&value.to_string(), sites));
    Some(serde_json::Value::Object(by_host).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_servers_moment_only_what_is_still_to_come_falls_under_an_erasure() {
        let hours = |hours: i64| UnixMillis(0).plus_seconds(hours * 3_600);
        let spans = |from: i64, to: Option<i64>, now: i64| -> Vec<(i64, i64)> {
            Erasure { site: None, from: hours(from), to: to.map(hours) }
                .standing(hours(100), hours(now))
                .map(|each| (each.from.0, each.last_ms()))
                .collect()
        };
        let span = |from: i64, to: i64| (hours(from).0, hours(to).0);
        assert_eq!(spans(0, Some(90), 101), [span(0, 90)]);
        assert_eq!(spans(0, None, 101), [span(0, 100)]);
        assert_eq!(spans(0, Some(105), 101), [span(0, 100), (hours(101).0 + 1, hours(105).0)]);
        assert_eq!(spans(103, Some(105), 101), [span(103, 105)]);
        assert_eq!(spans(0, Some(105), 105), [span(0, 100)]);
        assert_eq!(spans(0, Some(9_000), 101)[1].1, hours(126).0, "a clock a year ahead");
        assert_eq!(spans(0, Some(9_000), 126), [span(0, 100)]);
    }

    #[test]
    fn a_site_includes_its_subdomains_and_no_look_alikes() {
        for (host, expected) in [
            ("example.com", true),
            ("a.b.example.com", true),
            ("badexample.com", false),
            ("example.com.evil", false),
        ] {
            assert_eq!(is_of_site(host, "example.com"), expected, "{host}");
        }
    }

    #[test]
    fn a_name_is_found_in_text_as_a_word_of_its_own() {
        for (text, expected) in [
            ("https://Example.com/x", true),
            (r#"{"a":"see a.example.com."}"#, true),
            ("example.com", true),
            ("badexample.com", false),
            ("example.com.evil", false),
            ("example.community", false),
        ] {
            assert_eq!(names_site(text, &["other.org", "example.com"]), expected, "{text}");
        }
    }

    #[test]
    fn durations_lose_only_the_erased_site() {
        let kept = without_sites(r#"{"a.example.com":5,"other.org":7}"#, &["example.com"]);
        assert_eq!(kept.as_deref(), Some(r#"{"other.org":7}"#));
        assert_eq!(without_sites(r#"[["example.com",5]]"#, &["example.com"]), None);
    }
}

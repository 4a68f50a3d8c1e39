//! Sites: which a record names, and which the user excluded.

use serde_json::{Map, Value};

use super::address::{host_named, is_ipv6, without_www};
use super::{MAX_SITES, rules};
use crate::words::kind::Kind;

/// The last of a head's sites where the record names more than fit: only the body tells the rest.
pub const MORE_SITES: &str = "*";

/// The sites that a user excluded from recording and sending.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SiteRules {
    rules: Vec<SiteRule>,
}

#[derive(Clone, PartialEq, Eq)]
struct SiteRule {
    host: String,
    subdomains_only: bool,
}

impl SiteRules {
    /// Reads what the user typed: `example.com` means the site and all its subdomains, `*.example.com` the subdomains
    /// only, a URL its host. Case, ports and a leading `www.` mean nothing; what names no host is passed over.
    pub fn new<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Self {
        let rule = |entry: S| {
            let entry = entry.as_ref().trim();
            let (subdomains_only, name) = match entry.strip_prefix("*.") {
                Some(name) => (true, name),
                None => (false, entry),
            };
            let host = host_of(name)?;
            Some(SiteRule { host: without_www(&host).to_owned(), subdomains_only })
        };
        Self { rules: entries.into_iter().filter_map(rule).collect() }
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `host` is excluded; a port and the case of its letters mean nothing.
    pub fn excludes(&self, host: &str) -> bool {
        let Some(host) = (!self.is_empty()).then(|| host_of(host)).flatten() else { return false };
        self.rules.iter().any(|rule| match host.strip_suffix(rule.host.as_str()) {
            Some("") => !rule.subdomains_only,
            Some(sub) => sub.ends_with('.'),
            None => false,
        })
    }

    /// Whether a record whose head names these sites may name an excluded one: only then its body must be read.
    pub fn may_touch(&self, sites: &[String]) -> bool {
        !self.is_empty() && sites.iter().any(|site| site == MORE_SITES || self.excludes(site))
    }
}

// Which sites somebody keeps to himself is the last thing to log.
impl std::fmt::Debug for SiteRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SiteRules({})", self.rules.len())
    }
}

/// The host of a site that is to be forgotten with its subdomains, read as [`SiteRules::new`] reads it; none where the
/// text names none, or only subdomains.
pub fn site_named(entry: &str) -> Option<String> {
    let entry = Some(entry.trim()).filter(|entry| !entry.starts_with("*."))?;
    host_of(entry).map(|host| without_www(&host).to_owned())
}

/// How a text may name a site.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Naming {
    /// It is a host or a URL.
    Always,
    /// It is one if it has the shape: `https://host/...`, `//host`, `host.tld`, `host.tld/path`, an IPv4 address.
    IfItLooksSo,
}

/// Every host that the record names, its own first.
pub(super) fn named_in(kind: Kind, mut fields: Map<String, Value>) -> Vec<String> {
    let mut sites: Vec<String> = own_host(&fields).into_iter().collect();
    retain(kind, &mut fields, &mut |host| {
        if sites.len() <= MAX_SITES && !sites.contains(&host) {
            sites.push(if sites.len() < MAX_SITES { host } else { MORE_SITES.to_owned() });
        }
        true
    });
    sites
}

/// The host of a page visit's URL.
pub(super) fn own_host(fields: &Map<String, Value>) -> Option<String> {
    host_of(fields.get("url")?.as_str()?)
}

/// Removes what names a host that `keeps` refuses: whole fields, and entries at any depth. Fields without which the
/// record is nothing stay.
pub(super) fn retain(kind: Kind, fields: &mut Map<String, Value>, keeps: &mut dyn FnMut(String) -> bool) {
    fields.retain(|name, value| {
        let naming = match rules(kind).iter().find(|rule| rule.name == name) {
            None if !keeps_text(name, Naming::IfItLooksSo, keeps) => return false,
            None => Some(Naming::IfItLooksSo),
            Some(rule) => rule.naming(),
        };
        naming.is_none_or(|naming| keeps_value(value, naming, keeps))
    });
}

fn keeps_value(value: &mut Value, naming: Naming, keeps: &mut dyn FnMut(String) -> bool) -> bool {
    match value {
        Value::String(text) => return keeps_text(text, naming, keeps),
        Value::Array(items) => items.retain_mut(|item| keeps_value(item, naming, keeps)),
        Value::Object(map) => {
            map.retain(|key, inner| keeps_text(key, naming, keeps) && keeps_value(inner, naming, keeps));
        }
        _ => {}
    }
    true
}

fn keeps_text(text: &str, naming: Naming, keeps: &mut dyn FnMut(String) -> bool) -> bool {
    // Most texts of a record are titles and words: passed over before anything is copied.
    if naming == Naming::IfItLooksSo && !text.bytes().any(|byte| matches!(byte, b'.' | b'/')) {
        return true;
    }
    match host_named(text) {
        Some((host, says_so)) if says_so || naming == Naming::Always || looks_like_host(&host) => keeps(host),
        _ => true,
    }
}

fn looks_like_host(host: &str) -> bool {
    let mut labels = host.rsplit('.');
    let last = labels.next().unwrap_or_default();
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let is_top_level = last.len() > 1 && last.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_ipv4 = || host.split('.').count() == 4 && host.split('.').all(|part| part.parse::<u8>().is_ok());
    (is_top_level && is_label(last) && host.contains('.') && labels.all(is_label)) || is_ipv4()
}

fn host_of(text: &str) -> Option<String> {
    let bracketed = is_ipv6(text).then(|| format!("[{text}]"));
    host_named(bracketed.as_deref().unwrap_or(text)).map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_excluded_with_its_subdomains() {
        let rules = SiteRules::new(["Example.com", " https://www.bank.de:8443/login?x "]);
        for host in
            ["example.com", "EXAMPLE.com:8080", "a.b.example.com", "example.com.", "bank.de", "www.bank.de"]
        {
            assert!(rules.excludes(host), "{host}");
        }
        for host in ["", "notexample.com", "example.com.org", "com", "ank.de"] {
            assert!(!rules.excludes(host), "{host}");
        }
    }

    #[test]
    fn a_site_to_be_forgotten_is_one_host() {
        assert_eq!(site_named(" https://www.Example.com:8080/x ").as_deref(), Some("example.com"));
        for entry in ["", "  ", "*.example.com", "two words", "https://"] {
            assert_eq!(site_named(entry), None, "{entry}");
        }
    }

    #[test]
    fn a_star_excludes_the_subdomains_only() {
        let rules = SiteRules::new(["*.example.com"]);
        assert!(rules.excludes("a.example.com") && rules.excludes("a.b.example.com"));
        assert!(!rules.excludes("example.com"));
    }

    #[test]
    fn names_without_dots_addresses_and_scripts_outside_ascii_are_sites_too() {
        let rules = SiteRules::new([
            "localhost:3000",
            "192.168.0.1",
            "::1",
            "[2001:DB8::1]:80",
            "MÜNCHEN.de",
            "",
            "https://",
        ]);
        for host in [
            "localhost",
            "app.localhost",
            "192.168.0.1:80",
            "[::1]",
            "::1",
            "[2001:db8::1]",
            "xn--mnchen-3ya.de",
        ] {
            assert!(rules.excludes(host), "{host}");
        }
        assert!(!rules.excludes("example.com") && !SiteRules::new([" "]).excludes("example.com"));
    }

    #[test]
    fn a_leading_www_never_widens_a_rule_to_a_top_level_domain() {
        let rules = SiteRules::new(["www.com"]);
        assert!(rules.excludes("www.com") && !rules.excludes("example.com"));
    }

    #[test]
    fn a_head_that_could_not_name_every_site_has_to_be_looked_into() {
        let more = [MORE_SITES.to_owned()];
        assert!(SiteRules::new(["example.com"]).may_touch(&more));
        assert!(!SiteRules::default().may_touch(&more));
    }

    #[test]
    fn texts_that_name_sites_are_told_from_others() {
        let named = |text: &str| {
            let mut host = None;
            keeps_text(text, Naming::IfItLooksSo, &mut |found| {
                host = Some(found);
                true
            });
            host
        };
        for (text, host) in [
            ("https://User@Sub.Example.com:8080/x", Some("sub.example.com")),
            ("//cdn.example.com/x.js", Some("cdn.example.com")),
            ("view-source:https://example.com/", Some("example.com")),
            ("wss://localhost/socket", Some("localhost")),
            ("example.com/path", Some("example.com")),
            ("www.example.com", Some("www.example.com")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("see https://example.com for more", Some("example.com")),
            ("A sentence. With dots.", None),
            ("/a/path.html", None),
            ("3.14", None),
            ("and/or", None),
            ("", None),
        ] {
            assert_eq!(named(text).as_deref(), host, "{text}");
        }
    }
}

//! URLs and host names.

use url::Url;

use super::{clamp_chars, is_longer};
use crate::policy;

/// Query parameters that only say where a click came from; the list of the published backend.
const TRACKING: [&str; 10] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "fbclid",
    "gclid",
    "msclkid",
    "mc_eid",
    "_ga",
];

/// A URL that may be stored, and its host in lower case and without `www.`.
#[derive(Debug, PartialEq)]
pub(super) struct WebAddress {
    pub(super) url: String,
    pub(super) host: String,
}

/// Takes what browsers report, which is more than RFC 3986 allows.
pub(super) fn check(url: String) -> Result<WebAddress, &'static str> {
    if is_longer(&url, policy::MAX_URL_CHARS) {
        return Err("is longer than 2048 characters");
    }
    if url.chars().any(char::is_control) {
        return Err("contains a control character");
    }
    let parsed = Url::parse(&url).map_err(|_| "isn't a URL")?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err("must be http or https");
    }
    let host = parsed.host_str().map(normal_domain).unwrap_or_default();
    Ok(WebAddress { url, host })
}

/// Lower case, trimmed, one leading `www.` and the dot of the root removed, cut to the length of a host name.
pub(super) fn normal_domain(domain: &str) -> String {
    let lower = domain.trim().to_lowercase();
    let rootless = lower.strip_suffix('.').unwrap_or(&lower);
    let mut normal = rootless.strip_prefix("www.").unwrap_or(rootless).to_owned();
    clamp_chars(&mut normal, policy::MAX_DOMAIN_CHARS);
    normal
}

/// A site as a person writes it, as the host that URLs of it have; none if it is no host name.
pub fn site(written: &str) -> Option<String> {
    let host = normal_domain(written);
    let parsed = Url::parse(&format!("http://{host}/")).ok()?;
    let is_only_a_host = parsed.path() == "/" && parsed.port().is_none() && parsed.username().is_empty();
    let normal = normal_domain(parsed.host_str()?);
    (is_only_a_host && parsed.query().is_none() && parsed.fragment().is_none() && !normal.is_empty())
        .then_some(normal)
}

/// Cuts tracking parameters out of the query, and leaves every other character as it is.
pub(super) fn without_tracking(url: String) -> String {
    let (before_fragment, fragment) = match url.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (url.as_str(), None),
    };
    let Some((path, query)) = before_fragment.split_once('?') else { return url };
    if !query.split('&').any(is_tracking) {
        return url;
    }
    let kept: Vec<&str> = query.split('&').filter(|parameter| !is_tracking(parameter)).collect();
    let mut cleaned = path.to_owned();
    if !kept.is_empty() {
        cleaned.push('?');
        cleaned.push_str(&kept.join("&"));
    }
    if let Some(fragment) = fragment {
        cleaned.push('#');
        cleaned.push_str(fragment);
    }
    cleaned
}

fn is_tracking(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    TRACKING.iter().any(|tracking| name.eq_ignore_ascii_case(tracking))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_report_is_taken() {
        for url in [
            "https://docs.rs/rexie/latest/?search=a|b",
            "https://e.com/a^b/%zz#a#b",
            "https://e.com/?q=100%",
            "HTTPS://E.COM/a",
            "http://localhost:3000/",
            "https://xn--mnchen-3ya.de/",
            "https://münchen.de/café",
            "http://[::1]/",
        ] {
            assert_eq!(check(url.to_owned()).map(|address| address.url), Ok(url.to_owned()));
        }
    }

    #[test]
    fn other_schemes_and_broken_urls_are_refused() {
        for url in [
            "",
            "e.com",
            "ftp://e.com/",
            "javascript:alert(1)",
            "https://",
            "https://e.com/a\nb",
            "about:blank",
        ] {
            assert!(check(url.to_owned()).is_err(), "{url}");
        }
        assert!(check(format!("https://e.com/{}", "a".repeat(policy::MAX_URL_CHARS))).is_err());
    }

    #[test]
    fn tracking_parameters_go_and_the_rest_stays_untouched() {
        let cleaned =
            without_tracking("https://e.com/a?UTM_Source=x&b=%20|&gclid=1&c#utm_source=y".to_owned());
        assert_eq!(cleaned, "https://e.com/a?b=%20|&c#utm_source=y");
        assert_eq!(without_tracking("https://e.com/a?fbclid=1".to_owned()), "https://e.com/a");
    }

    #[test]
    fn a_site_is_a_host_name_and_nothing_more() {
        assert_eq!(site(" WWW.Example.com").as_deref(), Some("example.com"));
        assert_eq!(site("münchen.de").as_deref(), Some("xn--mnchen-3ya.de"));
        for other in
            ["", "a b", "example.com/path", "example.com:8080", "user@example.com", "example.com?x", "a%"]
        {
            assert_eq!(site(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_is_in_lower_case_and_without_www() {
        let host = |url: &str| check(url.to_owned()).unwrap().host;
        assert_eq!(host("https://WWW.Docs.RS:443/x"), "docs.rs");
        assert_eq!(normal_domain(" www.www.e.com "), "www.e.com");
        assert_eq!(
            (host("https://e.com./x"), site("e.com.")),
            ("e.com".to_owned(), Some("e.com".to_owned()))
        );
    }
}

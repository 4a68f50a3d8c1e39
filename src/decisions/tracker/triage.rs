//! Which addresses are pages of the web at all, by parsed scheme and host.

use crate::words::record::address::lower_case;

/// The host of an http or https address, in lower case and without one leading `www.`; `None` for anything else.
///
/// This is triage, not validation: browsers report addresses in the normal form of the URL standard, and the
/// record door checks them fully.
pub fn web_domain(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
    let host = match host_and_port.strip_prefix('[') {
        Some(v6) => host_and_port.get(..v6.find(']')? + 2)?,
        None => host_and_port.split_once(':').map_or(host_and_port, |(host, _port)| host),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let host = lower_case(host);
    Some(
        host.strip_prefix("www.").filter(|bare| !bare.is_empty()).map_or_else(|| host.clone(), str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_and_https_are_pages() {
        for url in [
            "",
            "about:blank",
            "about:newtab",
            "chrome://newtab/",
            "brave://settings",
            "chrome-extension://abc/popup.html",
            "moz-extension://abc/popup.html",
            "view-source:https://example.com/",
            "file:///etc/hosts",
            "ftp://example.com/a",
            "ws://example.com/",
            "javascript:alert('http://example.com/')",
            "data:text/html,http://example.com/",
            "blob:https://example.com/1",
            "http:/example.com",
            "https://",
            "https:///path",
            "https://user@/",
            "https://[::1",
            "https://a b/",
        ] {
            assert_eq!(web_domain(url), None, "{url}");
        }
    }

    #[test]
    fn a_host_is_read_from_its_place_and_not_from_the_rest_of_the_address() {
        for (url, domain) in [
            ("https://newtab-dashboard.com/", "newtab-dashboard.com"),
            ("https://moz-extension.example/chrome-extension", "moz-extension.example"),
            ("HTTPS://WWW.Example.COM/Path", "example.com"),
            ("https://www.www.example.com", "www.example.com"),
            ("https://wwwexample.com", "wwwexample.com"),
            ("http://localhost:3000/a", "localhost"),
            ("http://user:p@ss@example.com:8080?q=http://other.example/", "example.com"),
            ("https://example.com#@other.example", "example.com"),
            ("https://example.com\\@other.example", "example.com"),
            ("http://[2001:DB8::1]:8080/", "[2001:db8::1]"),
            ("http://127.0.0.1/", "127.0.0.1"),
            ("https://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de"),
        ] {
            assert_eq!(web_domain(url).as_deref(), Some(domain), "{url}");
        }
    }
}

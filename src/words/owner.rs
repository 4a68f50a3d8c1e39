//! Whose data it is, and the login that sends it.

use serde::{Deserialize, Serialize};

/// An account on a server: the server's origin and the user id which that server verified (rule 10).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Scheme, host and port of the server, lower-case, as in `https://api.example.com`.
    pub origin: String,
    /// The user id which the server gave.
    pub account: String,
}

/// A login. Its tokens reach the transport and the session document, nothing else.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The user id which the server verified; the caller vouches for it.
    pub account: String,
    /// The bearer token.
    pub access_token: String,
    /// What a new access token is asked for with, if the server has given one.
    #[serde(default)]
    pub refresh_token: Option<String>,
    /// When the access token ends, in milliseconds since the epoch, if known.
    #[serde(default)]
    pub expires_at: Option<f64>,
}

impl Owner {
    /// Whoever it was whose name is lost with a damaged database: no account that can sign in.
    pub const fn unknown() -> Self {
        Self { origin: String::new(), account: String::new() }
    }
}

// Accounts and tokens stay out of every log (rule 11).
impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owner(..)")
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(..)")
    }
}

/// The origin of a server's base URL, lower-case; none where it is not an http(s) URL.
pub fn origin_of(base_url: &str) -> Option<String> {
    let (scheme, rest) = base_url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    // Browsers end it at a backslash too (WHATWG URL, 4.4).
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.to_ascii_lowercase();
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    (!host.is_empty()).then(|| format!("{scheme}://{host}"))
}

/// Whether data may leave the machine to this base URL: https, or http to the machine itself (rule 11).
pub fn may_be_sent_to(base_url: &str) -> bool {
    let Some(origin) = origin_of(base_url) else { return false };
    let Some(host) = origin.strip_prefix("http://") else { return true };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name == "::1"
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_alone() {
        assert_eq!(
            origin_of("HTTPS://Api.Example.com:443/api/v1").as_deref(),
            Some("https://api.example.com")
        );
        assert_eq!(origin_of("http://127.0.0.1:3001/api/v1").as_deref(), Some("http://127.0.0.1:3001"));
        assert_eq!(origin_of("ftp://example.com"), None);
        assert_eq!(origin_of("https:///x"), None);
    }

    #[test]
    fn only_https_leaves_the_machine() {
        assert!(may_be_sent_to("https://api.example.com/api/v1"));
        for loopback in
            ["http://127.0.0.1:3001/a", "http://localhost:1/", "http://[::1]:3/", "http://127.8.8.8"]
        {
            assert!(may_be_sent_to(loopback), "{loopback}");
        }
        for other in
            ["http://example.com", "http://127.0.0.1.example.com", "http://localhost.example.com", "ws://x"]
        {
            assert!(!may_be_sent_to(other), "{other}");
        }
    }
}

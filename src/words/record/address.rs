//! URLs, normalised to RFC 3986: what browsers report and strict parsers refuse (`|`, `^`, a lone `%`, a second `#`,
//! raw non-ASCII) is percent-encoded; what is encoded already stays as it is, byte for byte.

/// Parameters that only tell where a visitor came from, as the published backend cuts them.
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
/// Most characters of a host: 253 of DNS, and the brackets and zones that aren't DNS.
const MAX_HOST_CHARS: usize = 255;

/// An http or https URL without user information and tracking parameters, in normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    origin: String,
    host: String,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

impl Address {
    /// Reads a URL as leniently as a browser's address; none if it is not http or https, or names no host.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.trim_matches(|c| c <= ' ').split(['\t', '\n', '\r']).collect();
        let (scheme, rest) = text.split_once(':')?;
        let (scheme, rest) = (scheme.to_ascii_lowercase(), rest.strip_prefix("//")?);
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let (authority, rest) =
            rest.split_at_checked(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()))?;
        let (host, port) = host_and_port(authority)?;
        let port =
            port.filter(|port| *port != default_port).map(|port| format!(":{port}")).unwrap_or_default();
        let (rest, fragment) = split_off(rest, '#');
        let (path, query) = split_off(rest, '?');
        // A browser reads a backslash behind the host as the slash that begins the path.
        let path = path.strip_prefix('\\').map_or_else(|| path.to_owned(), |tail| format!("/{tail}"));
        Some(Self {
            origin: format!("{scheme}://{host}{port}"),
            host,
            path: encoded(path.as_bytes(), PATH),
            query: query.and_then(without_tracking).map(|query| encoded(query.as_bytes(), PATH)),
            fragment: fragment.map(|fragment| encoded(fragment.as_bytes(), PATH)),
        })
    }

    /// The host in lower case, non-ASCII labels in punycode, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL's text, ASCII throughout.
    pub fn text(&self) -> String {
        let mut text = format!("{}{}", self.origin, self.path);
        for (mark, part) in [('?', &self.query), ('#', &self.fragment)] {
            if let Some(part) = part {
                text.push(mark);
                text.push_str(part);
            }
        }
        text
    }

    /// The text in at most `most` characters, for a `most` that no origin exceeds: a longer one loses its query, then
    /// its tail, never the half of a percent-escape.
    pub fn shortened(mut self, most: usize) -> String {
        self.query = None;
        let mut text = self.text();
        if text.len() > most {
            text.truncate(most);
            let escape = text.rfind('%').filter(|at| at + 3 > text.len());
            text.truncate(escape.unwrap_or(text.len()));
        }
        text
    }
}

// A URL must not reach a log (rule 11).
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}

/// The host that a text names, and whether the text says so with a scheme or a leading `//`: a URL of any scheme, or a
/// bare host with or without port and path. None where nothing in it can be a host.
pub(super) fn host_named(text: &str) -> Option<(String, bool)> {
    let text = text.trim();
    let after_slashes = text.split_once('/').filter(|(head, _)| head.is_empty() || head.ends_with(':'));
    let after_slashes = after_slashes.and_then(|(_, tail)| tail.strip_prefix('/'));
    let (says_so, rest) = (after_slashes.is_some(), after_slashes.unwrap_or(text));
    let ends = |c: char| matches!(c, '/' | '\\' | '?' | '#') || says_so && c.is_whitespace();
    let authority = rest.split(ends).next().filter(|authority| !authority.contains(char::is_whitespace))?;
    let (mut host, _) = host_and_port(authority)?;
    while host.ends_with('.') {
        host.pop();
    }
    (!host.is_empty()).then_some((host, says_so))
}

/// The host without leading `www.`, unless nothing but a top-level domain would remain.
pub(super) fn without_www(mut host: &str) -> &str {
    while let Some(rest) = host.strip_prefix("www.").filter(|rest| rest.contains('.')) {
        host = rest;
    }
    host
}

fn split_off(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

/// The query without tracking parameters; none if nothing else was in it.
fn without_tracking(query: &str) -> Option<String> {
    let tracks = |part: &str| {
        let name = decoded(part.split('=').next().unwrap_or_default());
        TRACKING.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(&name))
    };
    if !query.split('&').any(tracks) {
        return Some(query.to_owned());
    }
    let kept: Vec<&str> = query.split('&').filter(|part| !tracks(part)).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// The normalised host and the port of an authority; its user information is left out.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (is_ipv6(address).then(|| format!("[{}]", address.to_ascii_lowercase()))?, port)
        }
        None => {
            let name = place.split(':').next()?;
            (registered_name(name)?, place.get(name.len()..)?)
        }
    };
    match port.strip_prefix(':').unwrap_or(port) {
        "" => Some((host, None)),
        digits if port.len() > digits.len() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(digits.parse().ok()?)))
        }
        _ => None,
    }
}

fn registered_name(raw: &str) -> Option<String> {
    if raw.is_empty() || raw.len() > 3 * MAX_HOST_CHARS {
        return None;
    }
    let name = lower_case(&String::from_utf8_lossy(&decoded(raw)));
    let labels: Vec<String> = name.split('.').map(ascii_label).collect();
    Some(labels.join(".")).filter(|host| host.len() <= MAX_HOST_CHARS)
}

/// Whether the text is an IPv6 address as browsers write it: hexadecimal groups, one gap at most, no dots.
pub(super) fn is_ipv6(text: &str) -> bool {
    let groups = |half: &str| match half {
        "" => Some(0),
        _ => half.split(':').try_fold(0, |count, group| {
            let is_group =
                (1..=4).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_group.then_some(count + 1)
        }),
    };
    let half = |range| groups(text.get(range).unwrap_or_default());
    match text.as_bytes().windows(2).position(|pair| pair == b"::") {
        Some(gap) => half(0..gap).zip(half(gap + 2..text.len())).is_some_and(|(head, tail)| head + tail < 8),
        None => groups(text) == Some(8),
    }
}

/// The text in lower case. Beyond ASCII only the Latin, Greek and Cyrillic letters of European names: Unicode's whole
/// table would weigh as much as the rest of this file, and browsers report hosts in lower case anyway.
pub(crate) fn lower_case(text: &str) -> String {
    let lower = |c: char| {
        let distance = match c {
            'À'..='Ö' | 'Ø'..='Þ' | 'Α'..='Ρ' | 'Σ'..='Ω' | 'А'..='Я' => 32,
            'Ѐ'..='Џ' => 80,
            'Ā'..='Į' | 'Ĳ'..='Ķ' | 'Ŋ'..='Ŷ' => 1 - u32::from(c) % 2,
            'Ĺ'..='Ň' | 'Ź'..='Ž' => u32::from(c) % 2,
            _ => return c.to_ascii_lowercase(),
        };
        char::from_u32(u32::from(c) + distance).unwrap_or(c)
    };
    text.chars().map(lower).collect()
}

fn ascii_label(label: &str) -> String {
    if label.is_ascii() { encoded(label.as_bytes(), NAME) } else { encoded(punycode(label).as_bytes(), NAME) }
}

/// Characters beside letters and digits that stay as they are in a host; `%` never does.
const NAME: &[u8] = b"-._~!$&'()*+,;=";
/// The same for path, query and fragment, where `%` stays if two hexadecimal digits follow.
const PATH: &[u8] = b"-._~!$&'()*+,;=:@/?%";

fn encoded(text: &[u8], kept: &[u8]) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let mut out = String::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let stays = byte.is_ascii_alphanumeric() || kept.contains(&byte);
        if stays && (byte != b'%' || escaped_byte(text.get(at..)).is_some()) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
        }
    }
    out
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = escaped_byte(Some(rest));
        out.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { rest.get(3..).unwrap_or_default() } else { tail };
    }
    out
}

/// The byte that the text's start stands for, if that is `%` and two hexadecimal digits.
fn escaped_byte(text: Option<&[u8]>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    match text? {
        [b'%', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// A label in the ASCII form of RFC 3492, `xn--` included. Labels are short, see [`registered_name`]: no overflow.
fn punycode(label: &str) -> String {
    let mut out = String::from("xn--");
    out.extend(label.chars().filter(char::is_ascii));
    let basic = (out.len() - 4) as u32;
    if basic > 0 {
        out.push('-');
    }
    let (mut point, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while let Some(next) = label.chars().map(u32::from).filter(|c| *c >= point).min() {
        delta += (next - point) * (handled + 1);
        for c in label.chars().map(u32::from) {
            delta += u32::from(c < next);
            if c == next {
                push_delta(&mut out, delta, bias);
                bias = adapted(delta, handled + 1, handled == basic);
                (delta, handled) = (0, handled + 1);
            }
        }
        (point, delta) = (next + 1, delta + 1);
    }
    out
}

fn push_delta(out: &mut String, mut delta: u32, bias: u32) {
    let digit =
        |value: u32| char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 });
    for k in (36_u32..).step_by(36) {
        let threshold = k.saturating_sub(bias).clamp(1, 26);
        if delta < threshold {
            break;
        }
        out.push(digit(threshold + (delta - threshold) % (36 - threshold)));
        delta = (delta - threshold) / (36 - threshold);
    }
    out.push(digit(delta));
}

fn adapted(delta: u32, handled: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / handled;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        Address::parse(text).map_or_else(|| "refused".to_owned(), |address| address.text())
    }

    #[test]
    fn what_strict_parsers_refuse_is_percent_encoded() {
        for (given, normalised) in [
            ("https://e.com/?q=100%", "https://e.com/?q=100%25"),
            ("https://e.com/?q=100%&r=1", "https://e.com/?q=100%25&r=1"),
            ("https://e.com/%zz", "https://e.com/%25zz"),
            ("https://e.com/a b", "https://e.com/a%20b"),
            ("https://e.com/^a", "https://e.com/%5Ea"),
            ("https://e.com/#a#b", "https://e.com/#a%23b"),
            ("https://e.com/#!/x|y", "https://e.com/#!/x%7Cy"),
            ("https://münchen.de/", "https://xn--mnchen-3ya.de/"),
            ("https://e.com/café", "https://e.com/caf%C3%A9"),
            ("https://e.com/?a=x|y", "https://e.com/?a=x%7Cy"),
            ("https://e.com/?x={y}", "https://e.com/?x=%7By%7D"),
            ("https://e.com/?x=[1]", "https://e.com/?x=%5B1%5D"),
            ("https://e.com/?q=\"x\"", "https://e.com/?q=%22x%22"),
            ("https://e.com/`<>\\", "https://e.com/%60%3C%3E%5C"),
            ("https://e.com/\u{1}\u{7f}", "https://e.com/%01%7F"),
        ] {
            assert_eq!(normal(given), normalised, "{given}");
        }
    }

    #[test]
    fn what_is_encoded_already_stays_byte_for_byte() {
        for url in [
            "https://e.com",
            "https://e.com/a%2fb%20c?x=%E2%82%ac+y&&z=a,b;c#%41",
            "https://e_x.com/",
            "http://localhost:3000/",
            "http://[2001:db8::1]:8080/",
            "https://xn--mnchen-3ya.de/?",
            "https://e.com//a//?b?c=/d:@!$'()*",
        ] {
            assert_eq!(normal(url), url);
        }
    }

    #[test]
    fn scheme_and_host_are_lower_case_and_default_ports_go() {
        assert_eq!(normal("HTTPS://E.COM:443/A"), "https://e.com/A");
        assert_eq!(normal("http://e.com:00080"), "http://e.com");
        assert_eq!(normal("http://e.com:443/"), "http://e.com:443/");
        assert_eq!(normal("http://e.com:/"), "http://e.com/");
        assert_eq!(normal("https://M%C3%9CNCHEN.de/"), "https://xn--mnchen-3ya.de/");
        assert_eq!(normal(" \thttps://e.com/a\nb "), "https://e.com/ab");
    }

    #[test]
    fn user_information_is_cut() {
        assert_eq!(normal("https://user:p@ss@e.com/a@b"), "https://e.com/a@b");
        assert_eq!(normal("https://good.com\\@evil.com/"), "https://good.com/@evil.com/");
    }

    #[test]
    fn tracking_parameters_are_cut_and_the_others_keep_order_and_bytes() {
        assert_eq!(
            normal("https://e.com/?b=2&UTM_Source=x&a=%20+1&fbclid&c&utm_sourced=1#utm_source=y"),
            "https://e.com/?b=2&a=%20+1&c&utm_sourced=1#utm_source=y"
        );
        assert_eq!(normal("https://e.com/?utm%5Fmedium=x&_ga=1"), "https://e.com/");
    }

    #[test]
    fn what_names_no_http_host_is_refused() {
        for url in [
            "",
            "e.com",
            "ftp://e.com/",
            "javascript:alert(1)",
            "https://",
            "https:///a",
            "https://?q",
            "https:e.com",
            "http://u@/",
            "http://e.com:99999/",
            "http://e.com:8a/",
            "http://a:1:2/",
            "http://[::g]/",
            "http://[::1/",
            "http://[::1]x/",
            "about:blank",
            "chrome://newtab/",
        ] {
            assert_eq!(normal(url), "refused", "{url}");
        }
        assert_eq!(normal(&format!("https://{}.com/", "a".repeat(300))), "refused");
    }

    #[test]
    fn a_long_url_loses_its_query_then_its_tail_and_never_half_an_escape() {
        let shortened = |text: &str, most| Address::parse(text).map(|address| address.shortened(most));
        assert_eq!(shortened("https://e.com/a?b=cccccc#d", 17), Some("https://e.com/a#d".to_owned()));
        for (most, expected) in
            [(19, "https://e.com/a%20b"), (18, "https://e.com/a%20"), (17, "https://e.com/a")]
        {
            assert_eq!(shortened("https://e.com/a%20b?c", most).as_deref(), Some(expected));
        }
    }

    #[test]
    fn european_letters_are_lowered_as_unicode_does() {
        for c in ('\0'..'\u{460}')
            .filter(|c| !matches!(u32::from(*c), 0x130 | 0x178 | 0x181..=0x390 | 0x3AA..=0x3FF))
        {
            assert_eq!(lower_case(&c.to_string()), c.to_lowercase().to_string(), "{c}");
        }
    }

    #[test]
    fn addresses_of_version_6_have_eight_groups_or_a_gap() {
        for text in ["::", "::1", "1::", "2001:DB8::1", "1:2:3:4:5:6:7:8", "1::3:4:5:6:7:8"] {
            assert!(is_ipv6(text), "{text}");
        }
        for text in [
            "",
            ":",
            "1",
            ":::",
            "1::2::3",
            "12345::",
            "::g",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8",
        ] {
            assert!(!is_ipv6(text), "{text}");
        }
    }

    #[test]
    fn labels_outside_ascii_become_what_browsers_report() {
        for (unicode, ascii) in [
            ("bücher", "xn--bcher-kva"),
            ("例え", "xn--r8jz45g"),
            ("правда", "xn--80aafi6cg"),
            ("faß", "xn--fa-hia"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("ليهمابتكلموشعربي؟", "xn--egbpdaj6bu4bxfgehfvwxn"),
        ] {
            assert_eq!(punycode(unicode), ascii);
        }
    }
}

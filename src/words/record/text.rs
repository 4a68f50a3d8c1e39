//! The JSON text before it is parsed: nesting, and characters that no database takes.

use std::borrow::Cow;
use std::ops::Range;

use super::{MAX_DEPTH, Maker, RecordError};

/// Most characters of an unknown field's name in an error.
const MAX_NAME_CHARS: usize = 64;

/// The text, if it is not nested too deeply and holds neither NUL nor half of a surrogate pair (JavaScript's
/// `JSON.stringify` writes these as `\ud800`). From the tracker NUL is cut and half a pair replaced by U+FFFD.
///
/// Anything else that is wrong with the text is left to the parser.
pub(super) fn sound(json: &str, maker: Maker) -> Result<Cow<'_, str>, RecordError> {
    let bytes = json.as_bytes();
    let (mut mended, mut copied) = (String::new(), 0);
    let (mut field, mut last_string) = (0..0, 0..0);
    let (mut depth, mut string_from, mut at) = (0_usize, None, 0);
    while let Some(&byte) = bytes.get(at) {
        let mut length = 1;
        match (string_from, byte) {
            (Some(from), b'"') => {
                last_string = from..at;
                string_from = None;
            }
            (Some(_), b'\\') => {
                let (escape_length, flaw) = escape(bytes.get(at..).unwrap_or_default());
                length = escape_length;
                if let Some(replacement) = flaw {
                    if maker == Maker::Caller {
                        return Err(RecordError::BrokenText(name(json, field)));
                    }
                    mended.push_str(json.get(copied..at).unwrap_or_default());
                    mended.push_str(replacement);
                    copied = at + length;
                }
            }
            (Some(_), _) => {}
            (None, b'"') => string_from = Some(at + 1),
            (None, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(RecordError::TooDeep(name(json, field)));
                }
            }
            (None, b'}' | b']') => depth = depth.saturating_sub(1),
            (None, b':') if depth == 1 => field = last_string.clone(),
            (None, b',') if depth == 1 => field = 0..0,
            (None, _) => {}
        }
        at += length;
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(json));
    }
    mended.push_str(json.get(copied..).unwrap_or_default());
    Ok(Cow::Owned(mended))
}

fn name(json: &str, field: Range<usize>) -> String {
    json.get(field).unwrap_or_default().chars().take(MAX_NAME_CHARS).collect()
}

/// The length of the escape at the start of `bytes`, and what it is to be replaced by if it is flawed.
fn escape(bytes: &[u8]) -> (usize, Option<&'static str>) {
    match code_unit(bytes) {
        None => (2, None),
        Some(0) => (6, Some("")),
        Some(0xD800..=0xDBFF) => match code_unit(bytes.get(6..).unwrap_or_default()) {
            Some(0xDC00..=0xDFFF) => (12, None),
            _ => (6, Some("\\ufffd")),
        },
        Some(0xDC00..=0xDFFF) => (6, Some("\\ufffd")),
        Some(_) => (6, None),
    }
}

/// The code unit that `bytes` start with as `\uXXXX`.
fn code_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_text_is_refused_under_the_name_of_its_field() {
        for (json, field) in [
            (r#"{"id":"a","title":"x\ud800y"}"#, "title"),
            (r#"{"title":"\udc00\ud800"}"#, "title"),
            (r#"{"title":"\ud83d\ud83d\ude00"}"#, "title"),
            (r#"{"metadata" : {"a":[{"b":"\u0000"}]},"id":"a"}"#, "metadata"),
            (r#"{"id":"a","\ud800":1}"#, ""),
            (r#"{"a\"":"\ud800"}"#, "a\\\""),
        ] {
            let refused =
                sound(json, Maker::Caller).map_err(|error| (error.code(), error.field().to_owned()));
            assert_eq!(refused, Err(("broken_text", field.to_owned())), "{json}");
        }
    }

    #[test]
    fn sound_text_is_passed_on_as_it_is() {
        for json in
            [r#"{"title":"\ud83d\ude00 \\ud800 \\u0000 \uFFFD"}"#, "{", r#""\u12"#, r#""\"#, "}}]", ""]
        {
            assert_eq!(sound(json, Maker::Caller), Ok(Cow::Borrowed(json)));
            assert_eq!(sound(json, Maker::Tracker), Ok(Cow::Borrowed(json)));
        }
    }

    #[test]
    fn the_trackers_broken_text_is_mended() {
        let mended = sound(r#"{"title":"\ud800a\u0000b\udc00\u0000","n":"\ud83d\ude00"}"#, Maker::Tracker);
        assert_eq!(mended, Ok(Cow::Owned(r#"{"title":"\ufffdab\ufffd","n":"\ud83d\ude00"}"#.to_owned())));
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_texts_do_not_count() {
        let nested = |levels: usize| {
            format!(r#"{{"t":"[[[[","metadata":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
        };
        assert!(sound(&nested(MAX_DEPTH - 1), Maker::Caller).is_ok());
        assert_eq!(
            sound(&nested(MAX_DEPTH), Maker::Caller),
            Err(RecordError::TooDeep("metadata".to_owned()))
        );
        assert_eq!(sound(&nested(100_000), Maker::Tracker), Err(RecordError::TooDeep("metadata".to_owned())));
    }
}

//! The fields that the door knows, each with the rule it is held to.

use serde_json::{Map, Value};

use super::address::{Address, lower_case, without_www};
use super::sites::Naming;
use super::{
    MAX_DOMAIN_CHARS, MAX_ID_CHARS, MAX_METADATA_BYTES, MAX_METADATA_STRING_CHARS, MAX_TITLE_CHARS,
    MAX_URL_CHARS, Maker, RecordError, moment, notes_field,
};
use crate::words::kind::Kind;
use crate::words::number;
use crate::words::time::UnixMillis;

/// Milliseconds below this would be before March 1973: a caller's number so small counts seconds.
const LEAST_MILLIS: f64 = 1e11;
/// The first generation's categories; the published backend refuses every other.
const CATEGORIES: [&str; 14] = [
    "work_coding",
    "work_code_review",
    "work_communication",
    "work_documentation",
    "learning_video",
    "learning_reading",
    "entertainment_video",
    "entertainment_browsing",
    "entertainment_short_form",
    "social_media",
    "news",
    "shopping",
    "reference",
    "unclassified",
];
/// Keys that would reach into the prototype of an object that JavaScript builds from the metadata.
const PROTOTYPE_KEYS: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// One field: its name on the wire, its other accepted name (empty if none), and what it must be.
pub(super) struct Rule {
    pub(super) name: &'static str,
    alias: &'static str,
    pub(super) required: bool,
    form: Form,
}

/// What a field must be. Null counts as absent.
pub(super) enum Form {
    /// A text that isn't blank, at most [`MAX_ID_CHARS`] long.
    Id,
    /// Any text.
    Text,
    /// A text, clamped and freed of control characters.
    Title,
    /// An http or https URL.
    Url,
    /// A host name.
    Domain,
    /// A moment: ISO-8601 text or milliseconds since the epoch; becomes ISO-8601 with milliseconds.
    Moment,
    /// A number within bounds.
    Number { least: f64, most: f64, grain: Grain },
    /// One of [`CATEGORIES`].
    Category,
    /// Free-form notes on a page.
    Metadata,
    /// An object of any content.
    Object,
    /// An object of host names with a number of seconds each.
    SecondsPerHost,
    /// An array of any content.
    Array,
}

/// What may stand behind the point of a number.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Grain {
    /// Any fraction.
    Any,
    /// A fraction is rounded away: the published column holds integers.
    Rounded,
    /// As rounded, and what exceeds the upper bound is set to it.
    RoundedAndClamped,
    /// Whole numbers only.
    Whole,
}

impl Rule {
    pub(super) const fn required(name: &'static str, alias: &'static str, form: Form) -> Self {
        Self { name, alias, required: true, form }
    }

    pub(super) const fn optional(name: &'static str, alias: &'static str, form: Form) -> Self {
        Self { name, alias, required: false, form }
    }

    /// How the field's content may name sites; none where it can't, or where the record is nothing without it.
    pub(super) fn naming(&self) -> Option<Naming> {
        match self.form {
            Form::Id | Form::Moment | Form::Number { .. } | Form::Category => None,
            _ if self.required => None,
            Form::Domain | Form::SecondsPerHost => Some(Naming::Always),
            _ => Some(Naming::IfItLooksSo),
        }
    }

    /// Holds the field of `fields` to its rule, changing its value into the form that travels.
    pub(super) fn apply(
        &self,
        fields: &mut Map<String, Value>,
        kind: Kind,
        maker: Maker,
    ) -> Result<(), RecordError> {
        let Some(value) = fields.get_mut(self.name).filter(|value| !value.is_null()) else {
            return if self.required { Err(RecordError::MissingField(self.name.to_owned())) } else { Ok(()) };
        };
        match self.fit(value, maker) {
            Ok(None) => Ok(()),
            Ok(Some(loss)) => {
                note(fields, kind, loss);
                Ok(())
            }
            Err(_) if maker == Maker::Tracker && !self.required => {
                fields.shift_remove(self.name);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Changes the value into its form. Returns the name of the note, if something was cut that the user should know.
    fn fit(&self, value: &mut Value, maker: Maker) -> Result<Option<&'static str>, RecordError> {
        let wrong_type = || RecordError::WrongType(self.name.to_owned());
        let too_large = || RecordError::TooLarge(self.name.to_owned());
        let text = || value.as_str().ok_or_else(wrong_type);
        let fits = match self.form {
            Form::Id if text()?.trim().is_empty() => {
                return Err(RecordError::MissingField(self.name.to_owned()));
            }
            Form::Id if text()?.chars().count() > MAX_ID_CHARS => return Err(too_large()),
            Form::Id | Form::Text => text()?.into(),
            Form::Title => {
                text()?.chars().filter(|c| !c.is_control()).take(MAX_TITLE_CHARS).collect::<String>().into()
            }
            Form::Url => {
                let address =
                    Address::parse(text()?).ok_or_else(|| RecordError::BadUrl(self.name.to_owned()))?;
                let whole = address.text();
                if whole.len() > MAX_URL_CHARS {
                    if maker == Maker::Caller {
                        return Err(too_large());
                    }
                    *value = address.shortened(MAX_URL_CHARS).into();
                    return Ok(Some("url_truncated"));
                }
                whole.into()
            }
            Form::Domain => {
                let domain = lower_case(&text()?.split_whitespace().collect::<String>());
                let domain = without_www(&domain);
                if domain.chars().count() > MAX_DOMAIN_CHARS {
                    return Err(too_large());
                }
                domain.into()
            }
            Form::Moment => self.moment(value, maker)?,
            Form::Number { .. } => self.number(value, maker)?,
            Form::Category if CATEGORIES.contains(&text()?) => return Ok(None),
            Form::Category => return Err(RecordError::UnknownCategory(self.name.to_owned())),
            Form::Metadata => return self.metadata(value.as_object_mut().ok_or_else(wrong_type)?, maker),
            Form::SecondsPerHost => {
                for seconds in value.as_object().ok_or_else(wrong_type)?.values() {
                    if number::of_json(seconds.as_number().ok_or_else(wrong_type)?) < 0.0 {
                        return Err(RecordError::OutOfRange(self.name.to_owned()));
                    }
                }
                return Ok(None);
            }
            Form::Object => return value.is_object().then_some(None).ok_or_else(wrong_type),
            Form::Array => return value.is_array().then_some(None).ok_or_else(wrong_type),
        };
        *value = fits;
        Ok(None)
    }

    fn moment(&self, value: &Value, maker: Maker) -> Result<Value, RecordError> {
        let moment = match value {
            Value::String(text) => {
                moment::from_iso(text).ok_or_else(|| RecordError::BadTime(self.name.to_owned()))?
            }
            Value::Number(ms) => {
                let ms = number::of_json(ms).round();
                let most = moment::LAST_MOMENT.0 as f64;
                if maker == Maker::Caller && !(LEAST_MILLIS..=most).contains(&ms) {
                    return Err(RecordError::OutOfRange(self.name.to_owned()));
                }
                UnixMillis(ms.max(0.0).min(most) as i64)
            }
            _ => return Err(RecordError::WrongType(self.name.to_owned())),
        };
        Ok(moment::to_iso(moment).into())
    }

    fn number(&self, value: &Value, maker: Maker) -> Result<Value, RecordError> {
        let wrong_type = || RecordError::WrongType(self.name.to_owned());
        let Form::Number { least, most, grain } = self.form else { return Err(wrong_type()) };
        let given = number::of_json(value.as_number().ok_or_else(wrong_type)?);
        if maker == Maker::Caller {
            if grain == Grain::Whole && given.fract() != 0.0 {
                return Err(wrong_type());
            }
            if given < least || given > most && grain != Grain::RoundedAndClamped {
                return Err(RecordError::OutOfRange(self.name.to_owned()));
            }
        }
        let fits = given.max(least).min(most);
        Ok(match grain {
            Grain::Any if fits == given => value.clone(),
            // A bound then; those are whole.
            Grain::Any => (fits as i64).into(),
            _ => (fits.round() as i64).into(),
        })
    }

    fn metadata(
        &self,
        map: &mut Map<String, Value>,
        maker: Maker,
    ) -> Result<Option<&'static str>, RecordError> {
        let bytes =
            |map: &Map<String, Value>| serde_json::to_string(map).map_or(usize::MAX, |text| text.len());
        if maker == Maker::Caller && bytes(map) > MAX_METADATA_BYTES {
            return Err(RecordError::TooLarge(self.name.to_owned()));
        }
        map.retain(|key, _| !PROTOTYPE_KEYS.contains(&key.as_str()));
        map.values_mut().for_each(cut_strings);
        if bytes(map) > MAX_METADATA_BYTES {
            map.clear();
            return Ok(Some("metadata_dropped"));
        }
        Ok(None)
    }
}

fn cut_strings(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_METADATA_STRING_CHARS) {
                *text = format!("{}...", text.get(..end).unwrap_or_default());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut_strings),
        Value::Object(map) => map.values_mut().for_each(cut_strings),
        _ => {}
    }
}

/// Notes a loss in the record's own field for such notes.
pub(super) fn note(fields: &mut Map<String, Value>, kind: Kind, loss: &str) {
    if fields.get(notes_field(kind)).is_none_or(Value::is_null) {
        fields.insert(notes_field(kind).to_owned(), Value::Object(Map::new()));
    }
    if let Some(Value::Object(notes)) = fields.get_mut(notes_field(kind)) {
        notes.insert(loss.to_owned(), Value::Bool(true));
    }
}

/// The record with every field under its name on the wire.
pub(super) fn canonical_names(
    mut fields: Map<String, Value>,
    rules: &[Rule],
) -> Result<Map<String, Value>, RecordError> {
    let given =
        |fields: &Map<String, Value>, name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    for Rule { name, alias, .. } in rules {
        if alias.is_empty() || !given(&fields, alias) {
            continue;
        }
        if given(&fields, name) {
            return Err(RecordError::GivenTwice((*alias).to_owned()));
        }
        fields.shift_remove(*name);
        let renamed = |key: String| if key == *alias { (*name).to_owned() } else { key };
        fields = fields.into_iter().map(|(key, value)| (renamed(key), value)).collect();
    }
    Ok(fields)
}

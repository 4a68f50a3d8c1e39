//! Why the door refused a record.

use thiserror::Error;

/// A broken rule, with the name of the field that broke it and nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The text is no JSON.
    #[error("the record is not JSON")]
    NotJson,
    /// The JSON is no object.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// A required field is absent, null or blank, or an id is blank.
    #[error("{0} is missing or blank")]
    MissingField(String),
    /// A field has another JSON type than its meaning needs, or a fraction where a whole number is meant.
    #[error("{0} has the wrong type")]
    WrongType(String),
    /// A number outside its bounds; for a time, one that can't be milliseconds.
    #[error("{0} is out of range")]
    OutOfRange(String),
    /// Not an http or https URL with a host.
    #[error("{0} is not an http or https URL")]
    BadUrl(String),
    /// Not an ISO-8601 date with a time.
    #[error("{0} is not an ISO-8601 time")]
    BadTime(String),
    /// Not one of the fourteen categories.
    #[error("{0} is not a known category")]
    UnknownCategory(String),
    /// Longer than its bound; the whole record where the name is empty.
    #[error("{} is too large", if .0.is_empty() { "the record" } else { .0.as_str() })]
    TooLarge(String),
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("{0} is nested too deeply")]
    TooDeep(String),
    /// Half of a surrogate pair or a NUL character, which no database takes.
    #[error("{0} holds broken text")]
    BrokenText(String),
    /// The field stands under both of its names.
    #[error("{0} is given under two names")]
    GivenTwice(String),
    /// A page visit that names itself as its source.
    #[error("{0} names the record itself")]
    RefersToItself(String),
    /// A tab aggregate with a tab and a start time, which the published backend reads as another form and drops.
    #[error("{0} does not go together with tabId")]
    ExtensionForm(String),
    /// The record is held already at this revision with other content: its maker must raise the revision.
    #[error("revision is held already with other content")]
    RevisionHeld,
}

impl RecordError {
    /// A stable name of the broken rule, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::MissingField(_) => "missing_field",
            Self::WrongType(_) => "wrong_type",
            Self::OutOfRange(_) => "out_of_range",
            Self::BadUrl(_) => "bad_url",
            Self::BadTime(_) => "bad_time",
            Self::UnknownCategory(_) => "unknown_category",
            Self::TooLarge(_) => "too_large",
            Self::TooDeep(_) => "too_deep",
            Self::BrokenText(_) => "broken_text",
            Self::GivenTwice(_) => "given_twice",
            Self::RefersToItself(_) => "refers_to_itself",
            Self::ExtensionForm(_) => "extension_form",
            Self::RevisionHeld => "revision_held",
        }
    }

    /// The top-level field's name as the caller wrote it; empty where the record as a whole is meant.
    pub fn field(&self) -> &str {
        match self {
            Self::NotJson | Self::NotAnObject => "",
            Self::RevisionHeld => "revision",
            Self::MissingField(field)
            | Self::WrongType(field)
            | Self::OutOfRange(field)
            | Self::BadUrl(field)
            | Self::BadTime(field)
            | Self::UnknownCategory(field)
            | Self::TooLarge(field)
            | Self::TooDeep(field)
            | Self::BrokenText(field)
            | Self::GivenTwice(field)
            | Self::RefersToItself(field)
            | Self::ExtensionForm(field) => field,
        }
    }
}

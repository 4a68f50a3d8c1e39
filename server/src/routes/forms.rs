//! The rules for what people type into forms.

use crate::{error::ApiError, policy, validation::is_longer};

/// What in a mail header makes more than one address of a text, or hides one (RFC 5322, 3.2.3).
const SPECIALS: &str = "()<>[]:;,\\\"";

/// An address in lower case. Whether it exists is for a message to find out, not for a pattern.
pub(super) fn email(given: Option<String>) -> Result<String, ApiError> {
    let refuse = |message| ApiError::InvalidField { field: "email", message };
    let email = given.ok_or(refuse("is missing"))?.trim().to_lowercase();
    let plausible = email
        .split_once('@')
        .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if !plausible || email.chars().any(|c| c.is_control() || c.is_whitespace() || SPECIALS.contains(c)) {
        return Err(refuse("isn't an e-mail address"));
    }
    if is_longer(&email, policy::MAX_EMAIL_CHARS) { Err(refuse("is too long")) } else { Ok(email) }
}

/// A password as it was typed.
pub(super) fn password(field: &'static str, given: Option<String>) -> Result<String, ApiError> {
    let password = given.ok_or(ApiError::InvalidField { field, message: "is missing" })?;
    if password.len() > policy::MAX_PASSWORD_BYTES {
        return Err(ApiError::InvalidField { field, message: "may have at most 72 bytes" });
    }
    Ok(password)
}

/// A password that is good enough to be set.
pub(super) fn new_password(field: &'static str, given: Option<String>) -> Result<String, ApiError> {
    let password = password(field, given)?;
    if password.chars().count() < policy::MIN_PASSWORD_CHARS {
        return Err(ApiError::InvalidField { field, message: "must have at least 8 characters" });
    }
    Ok(password)
}

/// A first or last name.
pub(super) fn name(field: &'static str, given: Option<String>) -> Result<Option<String>, ApiError> {
    match given {
        Some(name) if name.contains('\0') => Err(ApiError::InvalidField { field, message: "contains a NUL" }),
        Some(name) if is_longer(&name, policy::MAX_NAME_CHARS) => {
            Err(ApiError::InvalidField { field, message: "is too long" })
        }
        given => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_address_for_the_mail_program_too() {
        for good in ["anna@example.com", "anna+hey@mail.example.com", "o'brien@example.com", "anna@localhost"]
        {
            assert_eq!(email(Some(good.to_uppercase())).ok().as_deref(), Some(good));
        }
        for bad in [
            "anna",
            "@example.com",
            "anna@",
            "x1@a<victim@b.org>",
            "x1@a<victim",
            "x1@a(victim)",
            "x1@a;victim",
            "x:victim@b.org",
            "x,victim@b.org",
            "a@b@c",
            "\"a\"@b.org",
            "a@[::1]",
            "a\\@b.org",
            "a b@c.org",
            "a@b.org\r\nBcc:victim",
        ] {
            assert!(email(Some(bad.to_owned())).is_err(), "{bad}");
        }
    }
}

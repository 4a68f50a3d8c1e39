//! Times as records carry them: ISO-8601 in UTC with milliseconds, which the published backend keeps whole.

use crate::words::time::UnixMillis;

/// The last moment that four digits of year can name: 9999-12-31T23:59:59.999Z.
pub const LAST_MOMENT: UnixMillis = UnixMillis(253_402_300_799_999);

const DAY_MS: i64 = 86_400_000;
const FIRST_MOMENT: UnixMillis = UnixMillis(-62_167_219_200_000);

/// Reads `YYYY-MM-DDThh:mm[:ss[.fraction]][Z|±hh:mm]`; a time without zone is taken for UTC, a fraction is cut to
/// milliseconds. None where the text has another shape or names no moment (month 13, 30 February).
pub fn from_iso(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, offset_min) = match time.find(['Z', '+', '-']).and_then(|at| time.split_at_checked(at)) {
        None => (time, 0),
        Some((time, "Z")) => (time, 0),
        Some((time, zone)) => {
            let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
            let minutes = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            (time, if zone.starts_with('-') { -minutes } else { minutes })
        }
    };
    let (time, fraction_ms) = match time.split_once('.') {
        None => (time, 0),
        Some((time, digits)) if time.len() == 8 && (1..=9).contains(&digits.len()) => {
            number(digits, digits.len())?;
            (time, number(format!("{digits:0<3}").get(..3)?, 3)?)
        }
        Some(_) => return None,
    };
    let [hour, minute, second] = match time.len() {
        5 => numbers(time, ':', [2, 2]).map(|[hour, minute]| [hour, minute, 0]),
        _ => numbers(time, ':', [2, 2, 2]),
    }?;
    let days = days_since_epoch(year, month, day);
    if hour > 23
        || minute > 59
        || second > 59
        || !(1..=12).contains(&month)
        || date_of(days) != (year, month, day)
    {
        return None;
    }
    let moment = days * DAY_MS + ((hour * 60 + minute - offset_min) * 60 + second) * 1000 + fraction_ms;
    (FIRST_MOMENT.0..=LAST_MOMENT.0).contains(&moment).then_some(UnixMillis(moment))
}

/// Writes `YYYY-MM-DDThh:mm:ss.mmmZ`. The years 0 to 9999 have this form.
pub fn to_iso(moment: UnixMillis) -> String {
    let (year, month, day) = date_of(moment.0.div_euclid(DAY_MS));
    let ms = moment.0.rem_euclid(DAY_MS);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (slot, width) in found.iter_mut().zip(widths) {
        *slot = number(parts.next()?, width)?;
    }
    parts.next().is_none().then_some(found)
}

fn number(text: &str, width: usize) -> Option<i64> {
    let digits = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March, so that the leap day
/// is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, months_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before_month = (153 * months_from_march + 2) / 5;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days_before_month + day
        - 719_469
}

/// The inverse of [`days_since_epoch`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_shape_names_its_moment() {
        for (text, iso) in [
            ("2025-10-21T09:46:40.123Z", "2025-10-21T09:46:40.123Z"),
            ("2025-10-21T09:46:40.1234567+02:00", "2025-10-21T07:46:40.123Z"),
            ("2025-10-21T09:46:40.5Z", "2025-10-21T09:46:40.500Z"),
            ("2025-10-21T09:46:40", "2025-10-21T09:46:40.000Z"),
            ("2025-10-21T09:46", "2025-10-21T09:46:00.000Z"),
            ("2025-12-31T23:30-01:30", "2026-01-01T01:00:00.000Z"),
            ("2024-02-29T00:00Z", "2024-02-29T00:00:00.000Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00Z", "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(from_iso(text).map(to_iso).as_deref(), Some(iso), "{text}");
        }
        assert_eq!(from_iso("2025-10-21T09:46:40.123Z"), Some(UnixMillis(1_761_040_000_123)));
        assert_eq!(to_iso(LAST_MOMENT), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_names_no_moment_is_none() {
        for text in [
            "",
            "not a time",
            "2025-10-21",
            "2025-13-01T00:00Z",
            "2025-00-01T00:00Z",
            "2025-02-29T00:00Z",
            "2100-02-29T00:00Z",
            "2025-10-21T24:00Z",
            "2025-10-21T09:60Z",
            "2025-10-21T09:46:60Z",
            "2025-10-21 09:46Z",
            "2025-10-21T09:46:40.Z",
            "2025-10-21T09:46.5Z",
            "2025-10-21T09:46:40.12x4Z",
            "2025-10-21T09:46z",
            "2025-10-21T09Z",
            "2025-1-1T00:00Z",
            "2025-10-21T09:46+2:00",
            "2025-10-21T09:46+24:00",
            "2025-10-21T09:46ZZ",
            "+025-10-21T09:46Z",
            "0000-01-01T00:00+01:00",
            "9999-12-31T23:59-00:01",
            "2025-10-21T09:46:4\u{660}Z",
            "T",
            "2025-10-21T",
        ] {
            assert_eq!(from_iso(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_its_own_inverse() {
        for day in days_since_epoch(1800, 1, 1)..days_since_epoch(2201, 1, 1) {
            let (year, month, date) = date_of(day);
            assert_eq!(days_since_epoch(year, month, date), day);
        }
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
    }
}

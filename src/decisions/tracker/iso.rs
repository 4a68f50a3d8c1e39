//! Moments as ISO-8601 text, without a calendar crate: every kilobyte counts in the browser.

use serde::Serializer;

use crate::words::time::UnixMillis;

const MS_PER_DAY: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z, the years that four digits can write.
const WRITABLE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// `at` as `2025-10-21T09:46:40.123Z`; a moment outside the years 0 to 9999 is moved to the nearest of them.
pub fn iso8601(at: UnixMillis) -> String {
    let ms = at.0.clamp(WRITABLE.0, WRITABLE.1);
    let (year, month, day) = civil_date(ms.div_euclid(MS_PER_DAY));
    let of_day = ms.rem_euclid(MS_PER_DAY);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar (Howard Hinnant's
/// `civil_from_days`): eras of 400 years, and years that begin in March so that the leap day comes last.
const fn civil_date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let january_or_february = if month <= 2 { 1 } else { 0 };
    (year_of_era + era * 400 + january_or_february, month, day)
}

pub(super) fn serialize<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso8601(*at))
}

pub(super) fn serialize_option<S: Serializer>(
    at: &Option<UnixMillis>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serialize(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_milliseconds_and_z() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_078_012_800_000, "2004-02-29T00:00:00.000Z"),
            (1_761_040_000_123, "2025-10-21T09:46:40.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso8601(UnixMillis(ms)), text);
        }
    }

    #[test]
    fn a_senseless_clock_still_gives_a_writable_moment() {
        assert_eq!(iso8601(UnixMillis(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso8601(UnixMillis(i64::MIN)), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut before = civil_date(0);
        for day in 1..146_097 {
            let date = civil_date(day);
            let next_day = (before.0, before.1, before.2 + 1);
            let next_month = (before.0, before.1 + 1, 1);
            let next_year = (before.0 + 1, 1, 1);
            assert!(date == next_day || date == next_month || date == next_year, "{before:?} then {date:?}");
            before = date;
        }
        assert_eq!(civil_date(146_097), (2370, 1, 1));
    }
}

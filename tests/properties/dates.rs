//! HTTP dates, against a calendar that is counted on the fingers.

use heyho_sync::decisions::backoff::http_date;
use heyho_sync::words::time::UnixMillis;
use proptest::prelude::*;

use crate::cases;

const MONTHS: [(&str, i64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

struct Calendar {
    weekday: &'static str,
    year: i64,
    month: &'static str,
    day: i64,
    clock: String,
}

/// Year by year and month by month from 1970-01-01, a Thursday.
fn calendar(secs: i64) -> Calendar {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut days, second) = (secs / 86_400, secs % 86_400);
    let weekday = WEEKDAYS[(days % 7) as usize];
    let mut year = 1970;
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let mut months = MONTHS.into_iter();
    let mut month = months.next().unwrap();
    loop {
        let length = month.1 + i64::from(month.0 == "Feb" && is_leap(year));
        if days < length {
            break;
        }
        days -= length;
        month = months.next().unwrap();
    }
    let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    Calendar { weekday, year, month: month.0, day: days + 1, clock }
}

/// A moment in the form that servers are to use.
pub fn written(secs: i64) -> String {
    let Calendar { weekday, year, month, day, clock } = calendar(secs);
    format!("{}, {day:02} {month} {year} {clock} GMT", &weekday[..3])
}

const UNTIL_9999: i64 = 253_402_300_799;

proptest! {
    #![proptest_config(cases(2_048))]

    #[test]
    fn every_moment_is_read_back_to_the_second(secs in prop_oneof![0..=UNTIL_9999, 0..4_102_444_800_i64]) {
        prop_assert_eq!(http_date(&written(secs)), Some(UnixMillis(secs * 1000)));
    }

    #[test]
    fn the_forms_of_old_servers_are_read_too(secs in 0..2_208_988_800_i64) {
        let Calendar { weekday, year, month, day, clock } = calendar(secs);
        let rfc_850 = format!("{weekday}, {day:02}-{month}-{:02} {clock} GMT", year % 100);
        prop_assert_eq!(http_date(&rfc_850), Some(UnixMillis(secs * 1000)), "{}", rfc_850);
        let asctime = format!("{} {month} {day:2} {clock} {year}", &weekday[..3]);
        prop_assert_eq!(http_date(&asctime), Some(UnixMillis(secs * 1000)), "{}", asctime);
    }

    #[test]
    fn whatever_is_read_as_a_date_lies_between_1970_and_9999(
        text in "[A-Z][a-z]{2}, [0-9]{1,3} (Jan|Feb|Sep|Dec|Foo) [0-9]{1,6} [0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3} (GMT|UTC)",
        noise in any::<String>(),
    ) {
        for text in [&text, &noise] {
            if let Some(moment) = http_date(text) {
                // Two days of leeway: a server may count a leap second, or the 31st of a shorter month.
                prop_assert!((0..=(UNTIL_9999 + 2 * 86_400) * 1000).contains(&moment.0), "{text}");
            }
        }
    }
}

//! Numbers from texts, without the 15 KB of code and tables that the standard library's exact last digit takes.

use serde_json::Number;

/// The number of a decimal text such as `-1.5e3`; none where it isn't one. Whole numbers up to 2^53 and fractions of up
/// to 15 digits are exact; others may be off in their last digits.
pub fn decimal(text: &str) -> Option<f64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |text| (-1.0, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
    let digits_alone = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if !digits_alone(whole) || !fraction.is_none_or(digits_alone) || !digits_alone(exponent_digits) {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    let value = whole
        .bytes()
        .chain(fraction.bytes())
        .fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    let beyond_all = if exponent.starts_with('-') { -1_000 } else { 1_000 };
    let shift = exponent.parse().unwrap_or(beyond_all).clamp(-1_000, 1_000) - fraction.len() as i32;
    // In two steps: one power of ten alone may be beyond all numbers where the result isn't.
    let near = shift.clamp(-300, 300);
    Some([near, shift - near].into_iter().fold(sign * value, |value, shift| match 10_f64.powi(shift.abs()) {
        _ if value == 0.0 => value,
        power if shift < 0 => value / power,
        power => value * power,
    }))
}

/// The number that JSON writes.
pub fn of_json(number: &Number) -> f64 {
    decimal(number.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_usual_fractions_are_exact() {
        let usual = [
            "0",
            "-0",
            "7",
            "1.5",
            "-2.25",
            "0.1",
            "90.4222529",
            "1721470000000",
            "9007199254740991",
            "-9007199254740989",
            "1e3",
            "1E+3",
            "25e-1",
        ];
        for text in usual {
            assert_eq!(decimal(text), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn numbers_of_any_length_come_close() {
        for text in [
            "123456789012345678901234567890",
            "0.000001234567890123456789",
            "1e300",
            "1e-300",
            "-2.671342402614771e-297",
            "1.5e-307",
        ] {
            let (read, exact) = (decimal(text).unwrap(), text.parse::<f64>().unwrap());
            assert!((read / exact - 1.0).abs() < 1e-12, "{text}");
        }
        assert_eq!(decimal("1e999999999999"), Some(f64::INFINITY));
        assert_eq!(decimal("1e-999999999999"), Some(0.0));
        assert_eq!(decimal("0e999999999999"), Some(0.0));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in
            ["", "-", ".5", "5.", "e3", "1e", "1e+-", "1.2.3", "0x10", "NaN", "inf", "1 ", "--1", "+1"]
        {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }
}

//! Durations as users write them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

/// A duration that can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidDuration {
    #[error("{0:?} is not a duration: write a number with a unit, such as 5s, 10m or 1h30m")]
    NotADuration(String),
    #[error("{0:?} is too long: write a week (168h) or less")]
    TooLong(String),
}

/// Nothing that a person waits for takes longer, and sums with a point in time stay in range.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads a duration made of whole hours, minutes and seconds, in that order or any other.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration::NotADuration(text.to_owned());
    let too_long = || InvalidDuration::TooLong(text.to_owned());
    let mut seconds: u64 = 0;
    let mut number = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let unit = match character {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(invalid()),
        };
        if number.is_empty() {
            return Err(invalid());
        }
        // Digits alone: what can't be read is too large.
        let count: u64 = number.parse().map_err(|_| too_long())?;
        seconds = count
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(too_long)?;
        number.clear();
    }
    if text.is_empty() || !number.is_empty() {
        return Err(invalid());
    }
    let duration = Duration::from_secs(seconds);
    if duration > LONGEST {
        return Err(too_long());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_hours_minutes_and_seconds() {
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn what_is_not_a_duration_says_what_to_write() {
        for wrong in ["", "5", "s", "5x", "1.5h", "-5s", "5s3"] {
            let error = parse_duration(wrong).map_err(|error| error.to_string());
            assert!(
                error.is_err_and(|text| text.contains("such as 5s")),
                "{wrong:?} was taken for a duration"
            );
        }
    }

    #[test]
    fn what_no_clock_can_add_is_too_long() {
        assert_eq!(parse_duration("168h"), Ok(LONGEST));
        for wrong in ["169h", "168h1s", "99999999999999h", "99999999999999999999s"] {
            let error = parse_duration(wrong).map_err(|error| error.to_string());
            assert!(
                error.is_err_and(|text| text.contains("168h")),
                "{wrong:?} was taken for a duration"
            );
        }
    }
}

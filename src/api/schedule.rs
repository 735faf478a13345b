//! Times that users write as in a crontab, by the clock of a place.

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Moments that come again: five fields as in a crontab, by the clock of a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: TimeZone,
}

/// Why a schedule can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error(
        "the schedule {text:?} can't be read ({why}): write five fields as in a crontab (minute, hour, day of month, month, day of week), such as \"0 2 * * 1-5\""
    )]
    Pattern { text: String, why: String },
    #[error("the schedule {0:?} names no day that ever comes")]
    Never(String),
    #[error(
        "the time zone {0:?} is not known: write its name as in the IANA database, such as Europe/Berlin, or leave it out for UTC"
    )]
    Zone(String),
}

/// As it was written, and its time zone.
impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Schedule {
    /// Reads a schedule; without a zone it goes by UTC. In the hour that a clock skips a moment comes when
    /// the clock goes on, in the hour that it repeats it comes once.
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Self, InvalidSchedule> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(text)
            .map_err(|error| InvalidSchedule::Pattern {
                text: text.to_owned(),
                why: error.to_string(),
            })?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => {
                TimeZone::get(name).map_err(|_| InvalidSchedule::Zone(name.to_owned()))?
            }
        };
        let place = zone.iana_name().unwrap_or("UTC");
        let schedule = Self {
            text: format!("{text} {place}"),
            cron,
            zone,
        };
        match schedule.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Never(text.to_owned())),
        }
    }

    /// The last moment at or before `now`.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        let found = self.cron.find_previous_occurrence(&now, true).ok()?;
        Some(found.timestamp())
    }

    /// The next moment after `now`.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        let found = self.cron.find_next_occurrence(&now, false).ok()?;
        Some(found.timestamp())
    }
}

/// A time that opens by a schedule and stays open for a while.
#[derive(Clone, Debug)]
pub struct OpenTime {
    pub opens: Schedule,
    pub length: Duration,
}

impl OpenTime {
    /// Whether it is open at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let closes = self
            .opens
            .last(now)
            .and_then(|opened| opened.checked_add(self.length).ok());
        closes.is_some_and(|closes| now < closes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_schedule_goes_by_the_clock_of_its_place() {
        let berlin = Schedule::parse("30 2 * * 1-5", Some("Europe/Berlin")).unwrap();
        // A Friday in summer (UTC+2); the next weekday is Monday.
        let friday = at("2026-07-03T00:30:00Z");
        assert_eq!(berlin.last(friday), Some(friday));
        assert_eq!(berlin.next(friday), Some(at("2026-07-06T00:30:00Z")));
        // In winter (UTC+1).
        assert_eq!(
            berlin.next(at("2026-01-05T00:00:00Z")),
            Some(at("2026-01-05T01:30:00Z"))
        );
    }

    #[test]
    fn a_time_that_the_clock_skips_or_repeats_comes_once() {
        let berlin = Schedule::parse("30 2 * * *", Some("Europe/Berlin")).unwrap();
        let spring = berlin.next(at("2026-03-28T12:00:00Z")).unwrap();
        assert_eq!(spring.to_string()[..10], *"2026-03-29");
        let autumn = berlin.next(at("2026-10-24T12:00:00Z")).unwrap();
        let after = berlin.next(autumn).unwrap();
        assert_eq!(after, at("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn a_window_is_open_from_its_start_until_its_length_is_over() {
        let night = OpenTime {
            opens: Schedule::parse("0 22 * * *", None).unwrap(),
            length: Duration::from_hours(4),
        };
        for (time, open) in [
            ("2026-01-01T21:59:59Z", false),
            ("2026-01-01T22:00:00Z", true),
            ("2026-01-02T01:59:59Z", true),
            ("2026-01-02T02:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at(time)), open, "{time}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_said_with_what_to_write() {
        for (text, zone, says) in [
            ("0 25 * * *", None, "five fields"),
            ("0 0 2 * * *", None, "five fields"),
            ("0 0 30 2 *", None, "no day that ever comes"),
            ("0 2 * * *", Some("Europe/Atlantis"), "IANA"),
        ] {
            let error = Schedule::parse(text, zone).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}

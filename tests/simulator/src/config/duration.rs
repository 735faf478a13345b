//! Durations as Go writes them: `1m0s`, `500ms`, `1.5h`.

use std::time::Duration;

pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.trim().is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

/// As Go prints one: `10s`, `1m0s`, `500ms`, `1.951413ms`, `106.678µs`.
pub(crate) fn print(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let seconds = duration.as_secs();
    if nanos == 0 {
        "0s".to_owned()
    } else if nanos < 1_000_000 {
        format!("{}µs", trimmed(duration.as_secs_f64() * 1e6, 3))
    } else if nanos < 1_000_000_000 {
        format!("{}ms", trimmed(duration.as_secs_f64() * 1e3, 6))
    } else if seconds < 60 {
        format!("{}s", trimmed(duration.as_secs_f64(), 9))
    } else if seconds < 3600 {
        format!("{}m{}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_as_go_does() {
        assert_eq!(parse("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse("1m0s"), Some(Duration::from_secs(60)));
        assert_eq!(parse("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(
            (parse("abc"), parse("10"), parse(""), parse("10s5")),
            (None, None, None, None)
        );
        assert_eq!(print(Duration::from_secs(90)), "1m30s");
        assert_eq!(print(Duration::from_micros(1_951)), "1.951ms");
        assert_eq!(print(Duration::from_nanos(106_678)), "106.678µs");
        assert_eq!(print(Duration::from_secs(5)), "5s");
    }
}

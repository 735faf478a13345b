//! The two forms in which Prometheus reads metrics: the text of old, which anything reads, and `OpenMetrics`.

/// A form of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// The form that an `Accept` header prefers; the text of old where it has no preference.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut open, mut text) = (0.0, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let quality: f32 = quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            if kind.eq_ignore_ascii_case(OPEN_METRICS) {
                open = quality.max(open);
            } else if ["text/plain", "text/*", "*/*"].contains(&kind) {
                text = quality.max(text);
            }
        }
        if open > text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// What the answer says that it is.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// This form of what is written as `OpenMetrics`.
    pub(super) fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => text_of_old(&open_metrics),
        }
    }
}

/// The text of old names a counter and an info by what its samples are called, and knows no units and no end.
fn text_of_old(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if line.starts_with("# HELP ") {
            help = line;
            continue;
        }
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|described| described.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            let said = help.strip_prefix("# HELP ").unwrap_or_default();
            let said = said.strip_prefix(name).unwrap_or_default();
            text.extend(["# HELP ", name, suffix, said, "\n"]);
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

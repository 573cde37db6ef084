//! Chooses the text format of the metrics: OpenMetrics if the scraper asks for it, otherwise the older format,
//! which every scraper reads and which people and scripts expect.

use hyper::HeaderMap;
use hyper::header;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// That of Prometheus, 0.0.4.
    Prometheus,
}

impl TextFormat {
    /// The one that a request's `Accept` prefers. OpenMetrics has to be asked for by its name.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT);
        let ranges = accepted.iter().filter_map(|value| value.to_str().ok());
        let (mut open, mut plain) = (0.0_f32, 0.0_f32);
        for range in ranges.flat_map(|value| value.split(',')) {
            match weight(range) {
                Some((Self::OpenMetrics, weight)) => open = open.max(weight),
                Some((Self::Prometheus, weight)) => plain = plain.max(weight),
                None => {}
            }
        }
        if open > 0.0 && open >= plain {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// What is written in OpenMetrics, in this format.
    pub(super) fn written(self, open: String) -> String {
        match self {
            Self::OpenMetrics => open,
            Self::Prometheus => plain(&open),
        }
    }
}

/// Which format a media range with its parameters asks for, and how much it is wanted.
fn weight(range: &str) -> Option<(TextFormat, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let (mut weight, mut version) = (1.0, None);
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.trim().parse::<f32>().ok().filter(|q| q.is_finite())?,
            "version" => version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    let format = match (name.as_str(), version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => TextFormat::OpenMetrics,
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => TextFormat::Prometheus,
        _ => return None,
    };
    Some((format, weight))
}

/// OpenMetrics names a counter or an info without the suffix of its samples, and ends with `# EOF`. The older
/// format uses the name of the samples, without info and without an end mark.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 1024);
    let mut help = "";
    for line in open.lines() {
        let comment = line.strip_prefix("# ");
        match comment.map(|comment| comment.split_once(' ')) {
            None => text.extend([line, "\n"]),
            Some(Some(("HELP", told))) => {
                help = told.split_once(' ').map_or("", |(_, help)| help);
            }
            Some(Some(("TYPE", told))) => {
                let (name, kind) = told.split_once(' ').unwrap_or((told, "untyped"));
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
                text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            }
            // The end mark, and what the older format does not have.
            Some(_) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn open_metrics_is_served_to_who_asks_for_it_and_to_nobody_else() {
        let open = TextFormat::OpenMetrics;
        let plain = TextFormat::Prometheus;
        for (accepted, expected) in [
            ("", plain),
            ("*/*", plain),
            ("text/html,*/*;q=0.8", plain),
            ("text/plain;version=0.0.4", plain),
            ("application/openmetrics-text", open),
            ("APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"", open),
            ("application/openmetrics-text;version=0.0.1", plain),
            ("application/openmetrics-text;version=2.0.0", plain),
            ("application/openmetrics-text;q=0", plain),
            ("application/openmetrics-text;q=x", plain),
            ("application/openmetrics-text;q=NaN", plain),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.5", plain),
            // Prometheus 2.42, and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                open,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                open,
            ),
            ("application/json", plain),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accepted));
            assert_eq!(TextFormat::wanted(&headers), expected, "{accepted:?}");
        }
        assert_eq!(TextFormat::wanted(&HeaderMap::new()), plain);
    }

    #[test]
    fn the_older_format_names_a_metric_as_its_samples_are_named() {
        let open = "# HELP elected Won.\n# TYPE elected counter\nelected_total 1\n\
                    # HELP build What.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                    # HELP up Up.\n# TYPE up gauge\nup 1.0\n# EOF\n";
        let expected = "# HELP elected_total Won.\n# TYPE elected_total counter\nelected_total 1\n\
                        # HELP build_info What.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
                        # HELP up Up.\n# TYPE up gauge\nup 1.0\n";
        assert_eq!(TextFormat::Prometheus.written(open.to_owned()), expected);
        assert_eq!(TextFormat::OpenMetrics.written(open.to_owned()), open);
    }
}

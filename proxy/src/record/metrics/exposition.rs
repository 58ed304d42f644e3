//! What scrapers read: `OpenMetrics` with exemplars where it is asked for, else Prometheus' own text.

use std::fmt::{self, Write as _};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::latency::Exemplars;

/// The form that a scraper wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Version 0.0.4.
    Text,
    /// Version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// `OpenMetrics` is for who names it, and wants it no less than text.
    pub(crate) fn of(accept: Option<&str>) -> Self {
        let (mut open_metrics, mut text) = (0.0, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1.0, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => (),
                }
            }
            let knows = |ours: &str| version.is_none_or(|version| version == ours);
            if kind.eq_ignore_ascii_case("application/openmetrics-text") && knows("1.0.0") {
                open_metrics = f64::max(open_metrics, weight);
            } else if kind.eq_ignore_ascii_case("text/plain") && knows("0.0.4") {
                text = f64::max(text, weight);
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One series now.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// Those of a family of counters or gauges.
pub(super) fn samples(family: &MetricFamily) -> Vec<Sample> {
    let value = |metric: &Metric| match family.get_field_type() {
        MetricType::COUNTER => Some(metric.get_counter().get_value()),
        MetricType::GAUGE => Some(metric.get_gauge().get_value()),
        MetricType::HISTOGRAM | MetricType::SUMMARY | MetricType::UNTYPED => None,
    };
    let sample = |metric: &Metric| {
        let labels = metric.get_label().iter();
        let labels = labels.map(|label| (label.name().to_owned(), label.value().to_owned()));
        Some(Sample {
            name: family.name().to_owned(),
            labels: labels.collect(),
            value: value(metric)?,
        })
    };
    family.get_metric().iter().filter_map(sample).collect()
}

/// All families, in `OpenMetrics` 1.0.
pub(super) fn open_metrics(families: &[MetricFamily], exemplars: &[&Exemplars]) -> String {
    let mut text = String::new();
    for family in families {
        let exemplars = exemplars.iter().find(|exemplars| exemplars.name == family.name());
        // Nothing fails to be written to a string.
        write(&mut text, family, exemplars.copied()).unwrap_or_default();
    }
    text.push_str("# EOF\n");
    text
}

fn write(text: &mut String, family: &MetricFamily, exemplars: Option<&Exemplars>) -> fmt::Result {
    let kind = family.get_field_type();
    // A counter's samples have the suffix, its family has not.
    let counted = family.name().strip_suffix("_total").filter(|_| kind == MetricType::COUNTER);
    let name = counted.unwrap_or(family.name());
    let called = match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY | MetricType::UNTYPED => "unknown",
    };
    writeln!(text, "# HELP {name} {}", Escaped(family.help()))?;
    writeln!(text, "# TYPE {name} {called}")?;
    for metric in family.get_metric() {
        let labels = Labels(metric.get_label(), None);
        match kind {
            MetricType::COUNTER => {
                writeln!(text, "{name}_total{labels} {}", metric.get_counter().get_value())?;
            }
            MetricType::GAUGE => {
                writeln!(text, "{name}{labels} {}", metric.get_gauge().get_value())?;
            }
            MetricType::HISTOGRAM => histogram(text, name, metric, exemplars)?,
            // We have none.
            MetricType::SUMMARY | MetricType::UNTYPED => (),
        }
    }
    Ok(())
}

fn histogram(
    text: &mut String,
    name: &str,
    metric: &Metric,
    exemplars: Option<&Exemplars>,
) -> fmt::Result {
    let (labels, histogram) = (metric.get_label(), metric.get_histogram());
    let route = labels.iter().find(|label| label.name() == "route").map_or("", LabelPair::value);
    let count = histogram.get_sample_count();
    let finite = histogram.get_bucket().iter();
    let finite = finite.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let all = finite.filter(|(bound, _)| bound.is_finite()).chain([(f64::INFINITY, count)]);
    for (number, (bound, count)) in all.enumerate() {
        write!(text, "{name}_bucket{} {count}", Labels(labels, Some(bound)))?;
        if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.of(number, route)) {
            let trace_id = Escaped(&exemplar.trace_id);
            write!(text, " # {{trace_id=\"{trace_id}\"}} {} {:.3}", exemplar.value, exemplar.at)?;
        }
        text.push('\n');
    }
    let labels = Labels(labels, None);
    writeln!(text, "{name}_sum{labels} {}", histogram.get_sample_sum())?;
    writeln!(text, "{name}_count{labels} {count}")
}

/// As a sample has them; with a bucket's bound.
struct Labels<'a>(&'a [LabelPair], Option<f64>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for label in self.0 {
            write!(f, "{before}{}=\"{}\"", label.name(), Escaped(label.value()))?;
            before = ',';
        }
        match self.1 {
            Some(bound) if bound.is_infinite() => write!(f, "{before}le=\"+Inf\"}}"),
            // The one spelling of a number that is always good: with a point in it.
            Some(bound) => write!(f, "{before}le=\"{bound:?}\"}}"),
            None if self.0.is_empty() => Ok(()),
            None => f.write_char('}'),
        }
    }
}

/// Within quotes, or to the end of a line.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for asks in [
            prometheus,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=\"1.0.0\"; charset=utf-8",
            "text/plain;q=0.5, application/openmetrics-text",
        ] {
            assert_eq!(Format::of(Some(asks)), Format::OpenMetrics, "{asks}");
        }
        for asks in [
            "",
            "*/*",
            "text/plain",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;q=0.5,text/plain",
        ] {
            assert_eq!(Format::of(Some(asks)), Format::Text, "{asks}");
        }
        assert_eq!(Format::of(None), Format::Text);
    }

    #[test]
    fn what_stands_in_quotes_cannot_end_them() {
        let mut label = LabelPair::default();
        label.set_name("rule".into());
        label.set_value("a\"b\\c\nd".into());
        assert_eq!(Labels(&[label], None).to_string(), r#"{rule="a\"b\\c\nd"}"#);
        assert_eq!(Labels(&[], Some(1.0)).to_string(), r#"{le="1.0"}"#);
    }
}

//! Metric families, as the scrape's text is encoded from.

use prometheus::proto;

/// A value with its labels.
pub(super) type Sample = (Vec<(&'static str, &'static str)>, u64);

/// A counter with its samples.
pub(super) fn counter(name: &str, help: &str, samples: Vec<Sample>) -> proto::MetricFamily {
    let metric = |(pairs, value): Sample| {
        let mut counter = proto::Counter::default();
        counter.set_value(value as f64);
        let mut metric = proto::Metric::from_label(labels(&pairs));
        metric.set_counter(counter);
        metric
    };
    family(name, help, proto::MetricType::COUNTER, samples.into_iter().map(metric).collect())
}

/// A gauge with its samples.
pub(super) fn gauge(name: &str, help: &str, samples: Vec<Sample>) -> proto::MetricFamily {
    let metric = |(pairs, value): Sample| {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value as f64);
        let mut metric = proto::Metric::from_label(labels(&pairs));
        metric.set_gauge(gauge);
        metric
    };
    family(name, help, proto::MetricType::GAUGE, samples.into_iter().map(metric).collect())
}

/// A gauge of one part of a whole, from 0 to 1.
pub(super) fn ratio(name: &str, help: &str, value: f64) -> proto::MetricFamily {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    let mut metric = proto::Metric::default();
    metric.set_gauge(gauge);
    family(name, help, proto::MetricType::GAUGE, vec![metric])
}

/// One metric: its name, what it is, its values.
pub(super) fn family(
    name: &str,
    help: &str,
    kind: proto::MetricType,
    metrics: Vec<proto::Metric>,
) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

/// The labels of one sample.
pub(super) fn labels(pairs: &[(&'static str, &'static str)]) -> Vec<proto::LabelPair> {
    let label = |(name, value): &(&'static str, &'static str)| {
        let mut label = proto::LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    };
    pairs.iter().map(label).collect()
}

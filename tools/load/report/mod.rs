//! The result of a load: as text, as JSON, and as a page with charts.

mod chart;
mod page;

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::Serialize;

pub(crate) use self::page::html;
use crate::flags::Flags;
use crate::tally::{KindTally, Tally};

/// The quantiles that are told.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// A second of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Second {
    /// Since the start.
    pub(crate) second: u64,
    pub(crate) right: u64,
    pub(crate) failed: u64,
    pub(crate) bytes: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Second {
    pub(crate) fn of(second: u64, tally: &Tally) -> Self {
        let latency = tally.latency();
        Self {
            second,
            right: tally.right(),
            failed: tally.failures(),
            bytes: tally.bytes(),
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            max_us: latency.max(),
        }
    }
}

/// The result.
pub(crate) struct Report {
    /// The command line, without the key.
    command: String,
    began: String,
    /// Seconds.
    duration: f64,
    rate: Option<f64>,
    pub(crate) total: Tally,
    seconds: Vec<Second>,
    /// Requests that were to begin and for which there was no connection.
    left_over: u64,
}

impl Report {
    pub(crate) fn new(flags: &Flags, total: Tally, mut seconds: Vec<Second>, left_over: u64) -> Self {
        seconds.sort_by_key(|second| second.second);
        let now = std::time::SystemTime::now();
        Self {
            command: command(std::env::args()),
            began: humantime::format_rfc3339_seconds(now - *flags.duration).to_string(),
            duration: flags.duration.as_secs_f64(),
            rate: flags.rate,
            total,
            seconds,
            left_over,
        }
    }

    /// Seconds in which something was asked: fewer than were planned if there was nothing left.
    fn lasted(&self) -> f64 {
        let last = self.seconds.last().map_or(0, |second| second.second + 1);
        self.duration.min(last as f64).max(f64::MIN_POSITIVE)
    }

    fn per_second(&self) -> f64 {
        self.total.right() as f64 / self.lasted()
    }

    /// The kinds of which there was any, by their names.
    fn kinds(&self) -> impl Iterator<Item = (&'static str, &KindTally)> {
        [("uploads", &self.total.uploads), ("fetches", &self.total.fetches)]
            .into_iter()
            .filter(|(_, kind)| kind.right + kind.failed() > 0)
    }
}

/// The command line with the value of `--key` left out.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut shown = Vec::new();
    let mut is_key = false;
    for argument in arguments.skip(1) {
        if is_key {
            shown.push("…".to_owned());
        } else if argument.starts_with("--key=") {
            shown.push("--key=…".to_owned());
        } else {
            shown.push(argument.clone());
        }
        is_key = argument == "--key";
    }
    format!("reticulum-load {}", shown.join(" "))
}

/// A time in the unit that suits it.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.2} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// The result as lines of text.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    // A string takes whatever is written to it.
    let _ = writeln!(
        text,
        "{:.1} s: {} right answers, {:.0} per second, {:.1} MB/s; {} wrong",
        report.lasted(),
        report.total.right(),
        report.per_second(),
        report.total.bytes() as f64 / 1e6 / report.lasted(),
        report.total.failures()
    );
    for (name, kind) in report.kinds() {
        let quantiles: Vec<_> = QUANTILES
            .iter()
            .map(|(name, at)| format!("{name} {}", time(kind.latency.value_at_quantile(*at))))
            .collect();
        let _ = writeln!(
            text,
            "{name}: {} right; {}, max {}",
            kind.right,
            quantiles.join(", "),
            time(kind.latency.max())
        );
        for (failure, count) in &kind.failures {
            let _ = writeln!(text, "  {}: {count}", failure.name());
        }
    }
    if report.left_over > 0 {
        let _ = writeln!(
            text,
            "{} requests never began, because all connections waited: use more connections, or a lower rate",
            report.left_over
        );
    }
    text
}

#[derive(Serialize)]
struct JsonReport<'a> {
    command: &'a str,
    began: &'a str,
    seconds: f64,
    rate: Option<f64>,
    right: u64,
    failed: u64,
    left_over: u64,
    right_per_second: f64,
    bytes_per_second: f64,
    uploads: JsonKind,
    fetches: JsonKind,
    each_second: &'a [Second],
}

#[derive(Serialize)]
struct JsonKind {
    right: u64,
    bytes: u64,
    failures: std::collections::BTreeMap<String, u64>,
    /// Microseconds.
    latency_us: std::collections::BTreeMap<String, u64>,
}

impl JsonKind {
    fn of(kind: &KindTally) -> Self {
        let quantiles =
            QUANTILES.iter().map(|(name, at)| ((*name).to_owned(), kind.latency.value_at_quantile(*at)));
        let ends = [
            ("min".to_owned(), if kind.right == 0 { 0 } else { kind.latency.min() }),
            ("mean".to_owned(), kind.latency.mean() as u64),
            ("max".to_owned(), kind.latency.max()),
        ];
        Self {
            right: kind.right,
            bytes: kind.bytes,
            failures: kind.failures.iter().map(|(failure, count)| (failure.name(), *count)).collect(),
            latency_us: quantiles.chain(ends).collect(),
        }
    }
}

/// The result as JSON.
///
/// # Errors
/// None is known to happen.
pub(crate) fn json(report: &Report) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&JsonReport {
        command: &report.command,
        began: &report.began,
        seconds: report.lasted(),
        rate: report.rate,
        right: report.total.right(),
        failed: report.total.failures(),
        left_over: report.left_over,
        right_per_second: report.per_second(),
        bytes_per_second: report.total.bytes() as f64 / report.lasted(),
        uploads: JsonKind::of(&report.total.uploads),
        fetches: JsonKind::of(&report.total.fetches),
        each_second: &report.seconds,
    })
}

/// Latencies at ever rarer quantiles: one half, one in ten, one in a hundred, …, with ten steps between.
fn rarer(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    let decades = (latency.len().max(1) as f64).log10();
    let steps = (decades * 10.0).ceil() as u32;
    (0..=steps)
        .map(|step| {
            let rarity = (f64::from(step) / 10.0).min(decades);
            (rarity, latency.value_at_quantile(1.0 - 10_f64.powf(-rarity)) as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::{Failure, RequestKind};
    use clap::Parser;

    fn report() -> Report {
        let mut total = Tally::new();
        (1..=1000).for_each(|ms| total.note(RequestKind::Fetch, ms * 1_000_000, 10));
        total.note_failure(RequestKind::Fetch, Failure::Status(503));
        total.note_failure(RequestKind::Upload, Failure::Hash);
        let flags = Flags::parse_from(["reticulum-load", "mixed", "--duration", "4s", "--rate", "250"]);
        let second = |second| Second { second, ..Second::of(0, &total) };
        Report::new(&flags, total.clone(), vec![second(3), second(0)], 7)
    }

    #[test]
    fn text_and_json_tell_the_same() {
        let report = report();
        let text = text(&report);
        for part in [
            "1000 right answers",
            "250 per second",
            "p99 990",
            "status 503: 1",
            "wrong SHA-1: 1",
            "7 requests never",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json: serde_json::Value = serde_json::from_str(&json(&report).unwrap()).unwrap();
        assert_eq!(json["failed"], 2);
        assert_eq!(json["fetches"]["failures"]["status 503"], 1);
        assert!((985_000..=995_000).contains(&json["fetches"]["latency_us"]["p99"].as_u64().unwrap()));
        assert_eq!(json["each_second"][0]["second"], 0);
    }

    #[test]
    fn the_page_is_whole_and_asks_nobody() {
        let page = html(&report());
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(page.matches("<svg").count() >= 3);
        for forbidden in ["http://", "https://", "<script", "NaN", "inf"] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn the_key_is_in_no_report() {
        let shown = |words: &[&str]| command(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(
            shown(&["x", "fetch", "--key", "secret", "--cold"]),
            "reticulum-load fetch --key … --cold"
        );
        assert_eq!(shown(&["x", "fetch", "--key=secret"]), "reticulum-load fetch --key=…");
    }
}

//! The result as one page: numbers, and how they went over time.

use std::fmt::Write;

use super::chart::{Axis, Line, chart};
use super::{QUANTILES, Report, rarer, time};

const STYLE: &str = "
:root{color-scheme:light dark;--fg:#1c2430;--dim:#5b6675;--bg:#fbfbfc;--card:#fff;--rule:#dfe3e8;--a:#0b63ce;--b:#c2410c;--c:#7a3db8}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ee;--dim:#98a2b0;--bg:#14171c;--card:#1b1f26;--rule:#323943;--a:#6cb0ff;--b:#ff9d66;--c:#c79bff}}
*{box-sizing:border-box}body{margin:0 auto;padding:1.5rem;max-width:52rem;font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg)}
h1{font-size:1.25rem;margin:0}h2{font-size:1rem;margin:0 0 .25rem}p,figcaption{color:var(--dim);margin:.25rem 0}
code{overflow-wrap:anywhere}section,figure{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:1rem;margin:1rem 0}
.facts{display:flex;flex-wrap:wrap;gap:1rem 2rem}.facts div{min-width:7rem}.facts b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}
.bad{color:var(--b)}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:.25rem .5rem;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child{text-align:left}th{color:var(--dim);font-weight:500}.wide{overflow-x:auto}
svg{display:block;width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}.left{text-anchor:end}.below{text-anchor:middle}
.grid{stroke:var(--rule)}polyline{fill:none;stroke-width:2;stroke-linejoin:round}.line-0{stroke:var(--a)}.line-1{stroke:var(--b)}.line-2{stroke:var(--c)}
.key span{margin-right:1rem;white-space:nowrap}.key i{display:inline-block;width:1.2em;height:0;border-top:3px solid;vertical-align:middle;margin-right:.4em}
.key .k0 i{border-color:var(--a)}.key .k1 i{border-color:var(--b)}.key .k2 i{border-color:var(--c)}";

/// The page, which needs nothing else.
pub(crate) fn html(report: &Report) -> String {
    let mut page = String::new();
    // A string takes whatever is written to it.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Load of {}</title><style>{STYLE}</style></head><body><h1>Load of {}</h1><p><code>{}</code></p>",
        report.began,
        report.began.replace('T', " ").replace('Z', " UTC"),
        escaped(&report.command)
    );
    page.push_str(&facts(report));
    page.push_str(&kinds(report));
    page.push_str(&charts(report));
    page.push_str("</body></html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The numbers that are looked for first.
fn facts(report: &Report) -> String {
    let failed = report.total.failures();
    let class = if failed > 0 { " class=\"bad\"" } else { "" };
    let rate =
        report.rate.map_or_else(|| "as fast as answers came".to_owned(), |rate| format!("{rate} per second"));
    let left = if report.left_over > 0 {
        format!(
            "<p class=\"bad\">{} requests never began, because all connections waited.</p>",
            report.left_over
        )
    } else {
        String::new()
    };
    format!(
        "<section><div class=\"facts\"><div><b>{:.0}</b>right answers per second</div><div><b>{:.1} MB/s</b>of bodies</div><div><b>{}</b>right answers</div><div{class}><b>{failed}</b>wrong answers</div><div><b>{:.1} s</b>asked {rate}</div></div>{left}</section>",
        report.per_second(),
        report.total.bytes() as f64 / 1e6 / report.lasted(),
        report.total.right(),
        report.lasted()
    )
}

/// A table of latencies, and one of failures.
fn kinds(report: &Report) -> String {
    let head: String = QUANTILES.iter().map(|(name, _)| format!("<th>{name}</th>")).collect();
    let mut table = format!(
        "<section class=\"wide\"><h2>Latency of right answers</h2><p>From the moment when a request was to begin.</p><table><tr><th></th><th>right</th>{head}<th>max</th></tr>"
    );
    for (name, kind) in report.kinds() {
        let cells: String = QUANTILES
            .iter()
            .map(|(_, at)| format!("<td>{}</td>", time(kind.latency.value_at_quantile(*at))))
            .collect();
        let _ = write!(
            table,
            "<tr><td>{name}</td><td>{}</td>{cells}<td>{}</td></tr>",
            kind.right,
            time(kind.latency.max())
        );
    }
    table.push_str("</table></section>");
    if report.total.failures() > 0 {
        table.push_str("<section class=\"wide\"><h2>Wrong answers</h2><table>");
        for (name, kind) in report.kinds() {
            for (failure, count) in &kind.failures {
                let _ = write!(table, "<tr><td>{name}: {}</td><td>{count}</td></tr>", failure.name());
            }
        }
        table.push_str("</table></section>");
    }
    table
}

fn charts(report: &Report) -> String {
    let over = |value: fn(&super::Second) -> f64| {
        report.seconds.iter().map(|second| (second.second as f64, value(second))).collect::<Vec<_>>()
    };
    let seconds = Axis { is_logarithmic: false, label: |value| format!("{value} s") };
    let counts = Axis { is_logarithmic: false, label: count };
    let latencies = Axis { is_logarithmic: true, label: |us| time(us as u64) };
    let rarity = Axis { is_logarithmic: false, label: one_in };
    let answers = [
        Line { name: "right", points: over(|second| second.right as f64) },
        Line { name: "wrong", points: over(|second| second.failed as f64) },
    ];
    let quantiles = [
        Line { name: "p50", points: over(|second| second.p50_us as f64) },
        Line { name: "p99", points: over(|second| second.p99_us as f64) },
        Line { name: "max", points: over(|second| second.max_us as f64) },
    ];
    let rare: Vec<_> =
        report.kinds().map(|(name, kind)| Line { name, points: rarer(&kind.latency) }).collect();
    [
        figure("Answers in each second", "", &answers, &seconds, &counts),
        figure(
            "Latency in each second",
            "Each line of the scale is ten times the one below.",
            &quantiles,
            &seconds,
            &latencies,
        ),
        figure(
            "Latency of the slowest",
            "One answer in so many took at least so long.",
            &rare,
            &rarity,
            &latencies,
        ),
    ]
    .concat()
}

fn figure(title: &str, note: &str, lines: &[Line<'_>], x: &Axis, y: &Axis) -> String {
    let key: String = (0..)
        .zip(lines)
        .map(|(number, line): (usize, _)| format!("<span class=\"k{number}\"><i></i>{}</span>", line.name))
        .collect();
    format!(
        "<figure><h2>{title}</h2><p class=\"key\">{key}</p>{}<figcaption>{note}</figcaption></figure>",
        chart(title, lines, x, y)
    )
}

fn count(value: f64) -> String {
    if value >= 10_000.0 { format!("{} k", value / 1000.0) } else { format!("{value}") }
}

/// The rarity of a quantile, as a power of ten.
fn one_in(power: f64) -> String {
    format!("1 in {:.0}", 10_f64.powf(power))
}

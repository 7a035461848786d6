//! Line charts as SVG.

use std::fmt::Write;

/// A line of a chart.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// x and y; x never falls.
    pub(super) points: Vec<(f64, f64)>,
}

/// The placement and the labels of values on an axis.
pub(super) struct Axis {
    pub(super) is_logarithmic: bool,
    pub(super) label: fn(f64) -> String,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// Most marks on an axis.
const MARKS: f64 = 6.0;

/// A chart of these lines. `name` says what it shows, for those who do not see it.
pub(super) fn chart(name: &str, lines: &[Line<'_>], x: &Axis, y: &Axis) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (from, to) = range(points().map(|point| point.0), false);
    let (low, high) = range(points().map(|point| point.1), true);
    let across = scale(x, (from, to), (LEFT, WIDTH - RIGHT));
    let up = scale(y, (low, high), (HEIGHT - BOTTOM, TOP));
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{name}\">");
    // A string takes whatever is written to it.
    for mark in marks(y, (low, high)) {
        let at = up(mark);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"left\" x=\"{}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            (y.label)(mark)
        );
    }
    for mark in marks(x, (from, to)) {
        let _ = write!(
            svg,
            "<text class=\"below\" x=\"{:.1}\" y=\"{}\">{}</text>",
            across(mark),
            HEIGHT - BOTTOM + 18.0,
            (x.label)(mark)
        );
    }
    for (number, Line { name, points }) in lines.iter().enumerate() {
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        let _ = write!(
            svg,
            "<polyline class=\"line-{number}\" points=\"{}\"><title>{name}</title></polyline>",
            path.join(" ")
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The range of the values, from 0 if wanted; never empty.
fn range(values: impl Iterator<Item = f64>, from_zero: bool) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if from_zero {
        low = low.min(0.0);
    }
    if low.is_finite() && high > low { (low, high) } else { (0.0, if high > 0.0 { high } else { 1.0 }) }
}

/// The lowest value on a logarithmic axis.
const LOWEST: f64 = 1.0;

fn placed(axis: &Axis, value: f64) -> f64 {
    if axis.is_logarithmic { value.max(LOWEST).log10() } else { value }
}

/// The place of a value between two places on the page.
fn scale(axis: &Axis, (from, to): (f64, f64), (start, end): (f64, f64)) -> impl Fn(f64) -> f64 {
    let is_logarithmic = axis.is_logarithmic;
    let placed = move |value| placed(&Axis { is_logarithmic, label: |_| String::new() }, value);
    let (from, to) = (placed(from), placed(to));
    let span = if to > from { to - from } else { 1.0 };
    move |value| start + (placed(value) - from) / span * (end - start)
}

/// Round values in the range.
fn marks(axis: &Axis, (from, to): (f64, f64)) -> Vec<f64> {
    if axis.is_logarithmic {
        let (from, to) = (placed(axis, from).floor() as i32, placed(axis, to).ceil() as i32);
        return (from..=to).map(|power| 10_f64.powi(power)).filter(|mark| *mark <= 10_f64.powi(to)).collect();
    }
    let rough = (to - from) / MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let first = (from / step).ceil() as i64;
    (first..).map(|at| at as f64 * step).take_while(|mark| *mark <= to + step * 1e-9).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Axis = Axis { is_logarithmic: false, label: |value| format!("{value}") };
    const POWERS: Axis = Axis { is_logarithmic: true, label: |value| format!("{value}") };

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(marks(&PLAIN, (0.0, 10.0)), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(marks(&PLAIN, (0.0, 61_000.0)), [0.0, 20_000.0, 40_000.0, 60_000.0]);
        assert_eq!(marks(&POWERS, (0.0, 900.0)), [1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn a_chart_of_nothing_or_of_one_value_is_one() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(3.0, 7.0), (3.0, 7.0)]] {
            let svg = chart("it", &[Line { name: "a", points }], &PLAIN, &POWERS);
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn higher_values_are_higher_on_the_page() {
        let up = scale(&PLAIN, (0.0, 10.0), (HEIGHT, 0.0));
        assert!(up(10.0) < up(5.0) && up(0.0) == HEIGHT);
    }
}

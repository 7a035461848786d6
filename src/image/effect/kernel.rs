//! A Gaussian along lines, value by value, that needs memory only for the kernel's width.
//!
//! A narrow Gaussian is a sum of weighted neighbours. Its cost grows with sigma, so a wide one is approximated by three
//! box filters in a row, whose cost is constant: the sum of a box gains one value and loses one (P. Kovesi, "Fast
//! Almost-Gaussian Filtering", 2010). A box of fractional width (whole weights inside, partial ones at both ends) has
//! exactly the requested variance. Beside an edge from black to white, three boxes differ from the Gaussian by at most
//! 1 % of it.
//!
//! Many lines run side by side in *lanes*, which the compiler turns into vector instructions. Each line continues with
//! its first and last value beyond its ends.

use std::f64::consts::SQRT_2;

/// From this sigma on, three boxes are cheaper than the 29 taps that it needs.
const BOXES_SIGMA: f64 = 4.0;

/// Values are whole and at most this: 255 levels of colour times 255 of alpha.
pub(super) const VALUE_MAX: f32 = 65_025.0;

/// Adding and subtracting it rounds a value below 2^22 to a whole one.
const ROUNDING: f32 = 12_582_912.0;

/// A Gaussian filter that takes values of lines, and returns the smooth ones some places later.
pub(super) enum Kernel {
    Taps(Taps),
    Boxes([Boxed; 3]),
}

impl Kernel {
    /// `sigma` is 0.3 to 100 pixels.
    pub(super) fn new(sigma: f64) -> Self {
        if sigma < BOXES_SIGMA {
            Self::Taps(Taps::new(sigma))
        } else {
            Self::Boxes(std::array::from_fn(|_| Boxed::new(sigma * sigma / 3.0)))
        }
    }

    /// Begins lines with these values, one per lane. Returns the delay of the smooth values, in places.
    pub(super) fn begin(&mut self, first: &[f32]) -> usize {
        match self {
            Self::Taps(taps) => taps.begin(first),
            Self::Boxes(boxes) => boxes.iter_mut().map(|boxed| boxed.begin(first)).sum(),
        }
    }

    /// Takes the next value of each line, and replaces it by a smooth one.
    pub(super) fn push(&mut self, values: &mut [f32]) {
        match self {
            Self::Taps(taps) => taps.push(values),
            Self::Boxes(boxes) => boxes.iter_mut().for_each(|boxed| boxed.push(values)),
        }
    }
}

/// The history of each line: a ring buffer, in which the newest value overwrites the oldest.
struct Ring {
    /// Places, each with one value per lane.
    values: Vec<f32>,
    places: usize,
    lanes: usize,
    newest: usize,
}

impl Ring {
    fn new(places: usize) -> Self {
        Self { values: Vec::new(), places, lanes: 0, newest: 0 }
    }

    fn begin(&mut self, first: &[f32]) {
        self.values.clear();
        (0..self.places).for_each(|_| self.values.extend_from_slice(first));
        (self.lanes, self.newest) = (first.len(), 0);
    }

    fn push(&mut self, values: &[f32]) {
        self.newest = if self.newest + 1 == self.places { 0 } else { self.newest + 1 };
        let at = self.newest * self.lanes;
        self.values[at..at + self.lanes].copy_from_slice(values);
    }

    /// The values that were pushed `age` pushes ago; `age` is less than the number of places.
    fn back(&self, age: usize) -> &[f32] {
        let place = if age <= self.newest { self.newest - age } else { self.newest + self.places - age };
        &self.values[place * self.lanes..(place + 1) * self.lanes]
    }
}

/// A weighted sum of the neighbours up to three and a half sigma away.
pub(super) struct Taps {
    /// Weights: of the middle, of both first neighbours, and so on.
    weights: Vec<f32>,
    ring: Ring,
}

impl Taps {
    fn new(sigma: f64) -> Self {
        let radius = (3.5 * sigma).ceil() as usize;
        let weight = |away: usize| (-(away as f64 / (sigma * SQRT_2)).powi(2)).exp();
        let total = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
        let weights = (0..=radius).map(|away| (weight(away) / total) as f32).collect();
        Self { weights, ring: Ring::new(2 * radius + 1) }
    }

    fn begin(&mut self, first: &[f32]) -> usize {
        self.ring.begin(first);
        self.weights.len() - 1
    }

    fn push(&mut self, values: &mut [f32]) {
        self.ring.push(values);
        let radius = self.weights.len() - 1;
        for (value, middle) in values.iter_mut().zip(self.ring.back(radius)) {
            *value = middle * self.weights[0];
        }
        for (away, weight) in self.weights.iter().enumerate().skip(1) {
            let neighbours = self.ring.back(radius - away).iter().zip(self.ring.back(radius + away));
            for (value, (newer, older)) in values.iter_mut().zip(neighbours) {
                *value += (newer + older) * weight;
            }
        }
    }
}

/// A box filter: `2 × radius + 1` values times `inside`, and the two beyond them times `ends`.
pub(super) struct Boxed {
    radius: usize,
    inside: f32,
    ends: f32,
    ring: Ring,
    /// The sum of the values inside, per lane. These are whole values below 2^24, which an `f32` adds exactly: there is
    /// no drift, however long the line is.
    sums: Vec<f32>,
}

impl Boxed {
    /// A box without ends has the variance r(r + 1) ÷ 3. `radius` is the largest one that does not exceed the requested
    /// variance, and the ends add the rest.
    fn new(variance: f64) -> Self {
        let radius = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
        let width = 2.0 * radius + 1.0;
        let missing = width * (3.0 * variance - radius * (radius + 1.0));
        let end = missing / (6.0 * ((radius + 1.0).powi(2) - variance));
        let total = width + 2.0 * end;
        assert!(
            width * f64::from(VALUE_MAX) < f64::from(1 << 24),
            "sums of a box stay exact up to sigma 100"
        );
        Self {
            radius: radius as usize,
            inside: (1.0 / total) as f32,
            ends: (end / total) as f32,
            ring: Ring::new(2 * radius as usize + 3),
            sums: Vec::new(),
        }
    }

    fn begin(&mut self, first: &[f32]) -> usize {
        self.ring.begin(first);
        self.sums.clear();
        self.sums.extend(first.iter().map(|value| value * (2 * self.radius + 1) as f32));
        self.radius + 1
    }

    fn push(&mut self, values: &mut [f32]) {
        self.ring.push(values);
        // The newest value is the end after the box; the oldest is the end before it.
        let (entering, leaving) = (self.ring.back(1), self.ring.back(2 * self.radius + 2));
        let lanes = values.iter_mut().zip(&mut self.sums).zip(entering.iter().zip(leaving));
        for ((value, sum), (entering, leaving)) in lanes {
            *sum += entering - leaving;
            let smooth = *sum * self.inside + (*value + leaving) * self.ends;
            *value = (smooth + ROUNDING) - ROUNDING;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line after the kernel.
    fn smooth(sigma: f64, line: &[f32]) -> Vec<f32> {
        let mut kernel = Kernel::new(sigma);
        let delay = kernel.begin(&line[..1]);
        let mut result = Vec::new();
        for at in 1..line.len() + delay {
            let mut value = [line[at.min(line.len() - 1)]];
            kernel.push(&mut value);
            if at >= delay {
                result.push(value[0]);
            }
        }
        result
    }

    #[test]
    fn a_spike_becomes_the_bell_of_its_sigma() {
        for sigma in [0.3, 0.5, 1.0, 2.0, 3.99, 4.0, 5.5, 12.0, 33.3, 100.0] {
            let mut line = vec![0.0; 1001];
            line[500] = VALUE_MAX;
            let bell = smooth(sigma, &line);
            // Summed over whole numbers, which is also right for a narrow Gaussian.
            let height = |away: f64| (-away * away / (2.0 * sigma * sigma)).exp();
            let total: f64 = (-500..=500).map(|away| height(f64::from(away))).sum();
            for (at, value) in bell.iter().enumerate() {
                let expected = height(at as f64 - 500.0) / total * f64::from(VALUE_MAX);
                // Three boxes have a lower peak than the Gaussian.
                let near =
                    if sigma < BOXES_SIGMA { 0.004 } else { 0.062 } * f64::from(VALUE_MAX) / total + 3.0;
                assert!(
                    (f64::from(*value) - expected).abs() < near,
                    "sigma {sigma} at {at}: {value} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_variance_is_the_square_of_sigma() {
        for sigma in [1.0, 3.0, 4.0, 7.7, 25.0, 60.0] {
            let mut line = vec![0.0; 1001];
            line[500] = VALUE_MAX;
            let bell = smooth(sigma, &line);
            let total: f64 = bell.iter().map(|value| f64::from(*value)).sum();
            let spread =
                bell.iter().enumerate().map(|(at, value)| (at as f64 - 500.0).powi(2) * f64::from(*value));
            let variance = spread.sum::<f64>() / total;
            assert!((variance.sqrt() / sigma - 1.0).abs() < 0.02, "sigma {sigma}: {}", variance.sqrt());
        }
    }

    #[test]
    fn an_edge_is_as_soft_as_that_of_a_gaussian_to_one_percent() {
        for sigma in [BOXES_SIGMA, 9.5, 31.0, 100.0] {
            let line: Vec<f32> = (0..1000).map(|at| if at < 500 { 0.0 } else { VALUE_MAX }).collect();
            let height = |away: f64| (-away * away / (2.0 * sigma * sigma)).exp();
            let total: f64 = (-500..=500).map(|away| height(f64::from(away))).sum();
            let mut expected = 0.0;
            for (at, value) in smooth(sigma, &line).iter().enumerate() {
                expected += height(at as f64 - 500.0) / total;
                let share = f64::from(value / VALUE_MAX);
                assert!((share - expected).abs() < 0.0125, "sigma {sigma} at {at}: {share} {expected}");
            }
        }
    }

    #[test]
    fn nothing_drifts_on_a_long_line() {
        let mut line: Vec<f32> = (0..200_000_u32).map(|at| ((at * 7919) % 65_026) as f32).collect();
        line.extend([VALUE_MAX; 2000]);
        line.extend([0.0; 2000]);
        let result = smooth(100.0, &line);
        assert_eq!(result[201_000], VALUE_MAX);
        assert_eq!(result[203_000], 0.0);
    }

    #[test]
    fn a_line_goes_on_with_its_end_values() {
        for sigma in [0.3, 3.0, 4.0, 100.0] {
            assert!((smooth(sigma, &[VALUE_MAX])[0] - VALUE_MAX).abs() < 0.1);
            let step = smooth(sigma, &[0.0, 0.0, VALUE_MAX, VALUE_MAX]);
            for (one, other) in step.iter().zip(step.iter().rev()) {
                assert!((one + other - VALUE_MAX).abs() < 4.0, "sigma {sigma}: {step:?}");
            }
        }
    }
}

//! Light: the values whose means are those that eyes see, and sRGB's curve between them and the stored ones.
//!
//! A display's light adds up, and stored values do not: the mean of black and white stripes seen from a distance is 188 of
//! 255, not 128. Photos are scaled in linear light; for drawings and text people prefer the mean of stored values.
//!
//! The curve is made from correctly rounded operations alone, so it is the same on every machine.

use std::sync::LazyLock;

/// The values of which a resize takes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Light {
    /// Those in proportion to a display's light.
    Linear,
    /// The stored ones.
    #[default]
    Encoded,
}

/// The setting for all images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum LightSetting {
    /// [`Light::Linear`] for the formats of photos, [`Light::Encoded`] for those of drawings.
    #[default]
    Auto,
    /// One for all.
    Always(Light),
}

/// Linear light of each stored value, in 65,535ths of white.
pub(super) type LinearTable = [u16; 256];

/// Bits of a linear value that do not matter for the stored one: in the darkest shadows stored values are 20 apart.
const DROPPED_BITS: u32 = 2;

/// The curve and its inverse, as tables.
pub(super) struct Curve {
    linear: LinearTable,
    /// By the upper bits of a linear value.
    encoded: Box<[u8; 1 << (16 - DROPPED_BITS)]>,
}

static CURVE: LazyLock<Curve> = LazyLock::new(Curve::new);

/// The tables, made at the first call.
pub(super) fn curve() -> &'static Curve {
    &CURVE
}

impl Curve {
    fn new() -> Self {
        let value = |linear: f64| (linear * 65_535.0).round() as u16;
        let linear = std::array::from_fn(|at| value(of_encoded(at as f64 / 255.0)));
        // From here on the next higher value is nearer.
        let borders: [u16; 255] = std::array::from_fn(|at| value(of_encoded((at as f64 + 0.5) / 255.0)));
        let middle = |at: usize| ((at << DROPPED_BITS) + (1 << DROPPED_BITS) / 2) as u16;
        let encoded = (0..1 << (16 - DROPPED_BITS))
            .map(|at| borders.partition_point(|border| *border <= middle(at)) as u8)
            .collect::<Vec<_>>();
        let encoded = encoded.into_boxed_slice().try_into().expect("the table has that many entries");
        Self { linear, encoded }
    }

    /// The linear light of a stored value.
    #[inline(always)]
    pub(super) const fn linear(&self, stored: u8) -> u16 {
        self.linear[stored as usize]
    }

    /// The stored value that is nearest to this linear light.
    #[inline(always)]
    pub(super) const fn encoded(&self, linear: u16) -> u8 {
        self.encoded[(linear >> DROPPED_BITS) as usize]
    }
}

/// sRGB's curve (IEC 61966-2-1): from a stored value to linear light, both 0–1.
pub(super) fn of_encoded(stored: f64) -> f64 {
    if stored <= 0.040_45 {
        return stored / 12.92;
    }
    // The power of 2.4 is the square times its fifth root. The library's powers differ between machines.
    let square = ((stored + 0.055) / 1.055) * ((stored + 0.055) / 1.055);
    square * fifth_root(square)
}

/// By Newton's method from above, for values in (0, 1].
fn fifth_root(value: f64) -> f64 {
    let mut root = 1.0;
    loop {
        let fourth = root * root * root * root;
        let next = root - (root - value / fourth) / 5.0;
        if next >= root {
            return root;
        }
        root = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_srgbs() {
        for at in 0..=1000 {
            let stored = f64::from(at) / 1000.0;
            let expected =
                if stored <= 0.04045 { stored / 12.92 } else { ((stored + 0.055) / 1.055).powf(2.4) };
            assert!((of_encoded(stored) - expected).abs() < 1e-14, "{stored}");
        }
        let curve = curve();
        assert_eq!([0, 1, 128, 255].map(|stored| curve.linear(stored)), [0, 20, 14_146, 65_535]);
    }

    #[test]
    fn every_stored_value_comes_back_and_the_way_back_never_falls() {
        let curve = curve();
        for stored in 0..=255 {
            assert_eq!(curve.encoded(curve.linear(stored)), stored);
        }
        let all: Vec<u8> = (0..=u16::MAX).map(|linear| curve.encoded(linear)).collect();
        assert!(all.is_sorted() && all[0] == 0 && all[65_535] == 255);
        // Between the values of two stored ones the border is where their means meet.
        assert_eq!(all[usize::from(u16::MAX / 2)], 188, "half of white's light");
    }
}

//! Lanes on any machine.

use std::array::from_fn;

/// `N` 16-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Lanes<const N: usize>([i16; N]);

/// `N` 32-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Wide<const N: usize>([i32; N]);

impl<const N: usize> Lanes<N> {
    #[inline(always)]
    pub(in super::super) const fn of(values: [i16; N]) -> Self {
        Self(values)
    }

    /// The saturated products.
    #[inline(always)]
    pub(in super::super) fn times(self, other: Self) -> Self {
        Self(from_fn(|lane| saturated(i32::from(self.0[lane]) * i32::from(other.0[lane]))))
    }

    /// `self` × `factor` + `other` × `other_factor`. No factor is −32768, so nothing overflows.
    #[inline(always)]
    pub(in super::super) fn dot(self, factor: i16, other: Self, other_factor: i16) -> Wide<N> {
        let product = |value: i16, factor: i16| i32::from(value) * i32::from(factor);
        Wide(from_fn(|lane| product(self.0[lane], factor) + product(other.0[lane], other_factor)))
    }

    /// Adds 128 and clips to samples of 0–255.
    #[inline(always)]
    pub(in super::super) fn samples(self) -> [u8; N] {
        self.0.map(|value| value.saturating_add(128).clamp(0, 255) as u8)
    }
}

impl<const N: usize> Wide<N> {
    /// The caller guarantees that no sum overflows.
    #[inline(always)]
    pub(in super::super) fn plus(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    /// The caller guarantees that no difference overflows.
    #[inline(always)]
    pub(in super::super) fn minus(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] - other.0[lane]))
    }

    /// Divides by 2^`SHIFT`, rounds halves up, saturates. The caller guarantees that adding half of 2^`SHIFT` does not
    /// overflow.
    #[inline(always)]
    pub(in super::super) fn narrowed<const SHIFT: i32>(self) -> Lanes<N> {
        Lanes(self.0.map(|value| saturated((value + (1 << (SHIFT - 1))) >> SHIFT)))
    }
}

impl<const N: usize> Lanes<N> {
    /// Transposes: rows become columns.
    #[inline(always)]
    pub(in super::super) fn transposed(rows: [Self; N]) -> [Self; N] {
        let mut columns = [Self([0; N]); N];
        for (y, row) in rows.iter().enumerate() {
            for (column, value) in columns.iter_mut().zip(row.0) {
                column.0[y] = value;
            }
        }
        columns
    }
}

#[inline(always)]
fn saturated(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

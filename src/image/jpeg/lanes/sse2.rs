//! Lanes in the 128-bit registers that every x86-64 machine has. The only unsafe code of the decoder.
//!
//! Four lanes are in the lower half of a register; its upper half has no meaning.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_adds_epi16, _mm_loadl_epi64, _mm_loadu_si128, _mm_madd_epi16,
    _mm_mulhi_epi16, _mm_mullo_epi16, _mm_packs_epi32, _mm_packus_epi16, _mm_set1_epi16, _mm_set1_epi32,
    _mm_srai_epi32, _mm_storel_epi64, _mm_sub_epi32, _mm_unpackhi_epi16, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi16, _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

/// `N` 16-bit numbers: 4 or 8.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Lanes<const N: usize>(__m128i);

/// `N` 32-bit numbers: 4 in `low`, 4 more in `high`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Wide<const N: usize> {
    low: __m128i,
    high: __m128i,
}

// SAFETY of every block here: its instructions are part of SSE2, which the x86-64 architecture includes. Those that
// touch memory say more.

impl<const N: usize> Lanes<N> {
    #[inline(always)]
    pub(in super::super) fn of(values: [i16; N]) -> Self {
        const { assert!(N == 4 || N == 8, "a register holds 8") }
        let place = values.as_ptr().cast::<__m128i>();
        // SAFETY: the array has as many bytes as are read: 16 for 8 lanes, 8 for 4. No alignment is asked for.
        Self(unsafe { if N == 8 { _mm_loadu_si128(place) } else { _mm_loadl_epi64(place) } })
    }

    /// The saturated products.
    #[inline(always)]
    pub(in super::super) fn times(self, other: Self) -> Self {
        // SAFETY: SSE2, see above.
        unsafe {
            let (low, high) = (_mm_mullo_epi16(self.0, other.0), _mm_mulhi_epi16(self.0, other.0));
            let upper = _mm_unpackhi_epi16(low, high);
            Self(_mm_packs_epi32(_mm_unpacklo_epi16(low, high), upper))
        }
    }

    /// `self` × `factor` + `other` × `other_factor`. No factor is −32768, so nothing overflows.
    #[inline(always)]
    pub(in super::super) fn dot(self, factor: i16, other: Self, other_factor: i16) -> Wide<N> {
        let factors = i32::from(other_factor) << 16 | i32::from(factor) & 0xFFFF;
        // SAFETY: SSE2, see above.
        unsafe {
            let factors = _mm_set1_epi32(factors);
            let low = _mm_madd_epi16(_mm_unpacklo_epi16(self.0, other.0), factors);
            let high = _mm_madd_epi16(_mm_unpackhi_epi16(self.0, other.0), factors);
            Wide { low, high: if N == 8 { high } else { low } }
        }
    }

    /// Adds 128 and clips to samples of 0–255.
    #[inline(always)]
    pub(in super::super) fn samples(self) -> [u8; N] {
        let mut eight = [0_u8; 8];
        // SAFETY: the array has the 8 bytes that are written.
        unsafe {
            let lifted = _mm_adds_epi16(self.0, _mm_set1_epi16(128));
            _mm_storel_epi64(eight.as_mut_ptr().cast(), _mm_packus_epi16(lifted, lifted));
        }
        let mut samples = [0; N];
        samples.copy_from_slice(&eight[..N]);
        samples
    }
}

impl<const N: usize> Wide<N> {
    /// The caller guarantees that no sum overflows.
    #[inline(always)]
    pub(in super::super) fn plus(self, other: Self) -> Self {
        // SAFETY: SSE2, see above.
        unsafe {
            Self { low: _mm_add_epi32(self.low, other.low), high: _mm_add_epi32(self.high, other.high) }
        }
    }

    /// The caller guarantees that no difference overflows.
    #[inline(always)]
    pub(in super::super) fn minus(self, other: Self) -> Self {
        // SAFETY: SSE2, see above.
        unsafe {
            Self { low: _mm_sub_epi32(self.low, other.low), high: _mm_sub_epi32(self.high, other.high) }
        }
    }

    /// Divides by 2^`SHIFT`, rounds halves up, saturates. The caller guarantees that adding half of 2^`SHIFT` does not
    /// overflow.
    #[inline(always)]
    pub(in super::super) fn narrowed<const SHIFT: i32>(self) -> Lanes<N> {
        // SAFETY: SSE2, see above.
        unsafe {
            let half = _mm_set1_epi32(1 << (SHIFT - 1));
            let low = _mm_srai_epi32::<SHIFT>(_mm_add_epi32(self.low, half));
            let high = if N == 8 { _mm_srai_epi32::<SHIFT>(_mm_add_epi32(self.high, half)) } else { low };
            Lanes(_mm_packs_epi32(low, high))
        }
    }
}

impl Lanes<4> {
    /// Transposes: rows become columns.
    #[inline(always)]
    pub(in super::super) fn transposed([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        // SAFETY: SSE2, see above.
        unsafe {
            let (ab, cd) = (_mm_unpacklo_epi16(a.0, b.0), _mm_unpacklo_epi16(c.0, d.0));
            let (left, right) = (_mm_unpacklo_epi32(ab, cd), _mm_unpackhi_epi32(ab, cd));
            [left, _mm_unpackhi_epi64(left, left), right, _mm_unpackhi_epi64(right, right)].map(Self)
        }
    }
}

impl Lanes<8> {
    /// Transposes: rows become columns.
    #[inline(always)]
    pub(in super::super) fn transposed([a, b, c, d, e, f, g, h]: [Self; 8]) -> [Self; 8] {
        let [abcd0, abcd2, abcd4, abcd6] = columns_of_four([a, b, c, d]);
        let [efgh0, efgh2, efgh4, efgh6] = columns_of_four([e, f, g, h]);
        // SAFETY: SSE2, see above.
        let pair =
            |upper, lower| unsafe { [_mm_unpacklo_epi64(upper, lower), _mm_unpackhi_epi64(upper, lower)] };
        let [[c0, c1], [c2, c3]] = [pair(abcd0, efgh0), pair(abcd2, efgh2)];
        let [[c4, c5], [c6, c7]] = [pair(abcd4, efgh4), pair(abcd6, efgh6)];
        [c0, c1, c2, c3, c4, c5, c6, c7].map(Self)
    }
}

/// The columns of four rows, two in each register.
#[inline(always)]
fn columns_of_four([a, b, c, d]: [Lanes<8>; 4]) -> [__m128i; 4] {
    // SAFETY: SSE2, see above.
    unsafe {
        let (left_ab, left_cd) = (_mm_unpacklo_epi16(a.0, b.0), _mm_unpacklo_epi16(c.0, d.0));
        let (right_ab, right_cd) = (_mm_unpackhi_epi16(a.0, b.0), _mm_unpackhi_epi16(c.0, d.0));
        [
            _mm_unpacklo_epi32(left_ab, left_cd),
            _mm_unpackhi_epi32(left_ab, left_cd),
            _mm_unpacklo_epi32(right_ab, right_cd),
            _mm_unpackhi_epi32(right_ab, right_cd),
        ]
    }
}

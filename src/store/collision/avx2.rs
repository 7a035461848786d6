//! The bits that conditions look at, of eight blocks at once in 256-bit registers. Code without named instructions was tried:
//! the compiler makes one number at a time of it, ten times slower.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_castsi256_ps, _mm256_movemask_ps, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_setr_epi8, _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::conditions::{BITS, BitPlanes, WORDS, bits};
use super::{LANES, MessageBlock};

/// The planes of these groups, the first block's bits lowest; `None` on a processor without AVX2.
pub(super) fn planes(groups: &[[MessageBlock; LANES]]) -> Option<BitPlanes> {
    // SAFETY: the function needs AVX2 and nothing else, and the processor has it.
    is_x86_feature_detected!("avx2").then(|| unsafe { gather(groups) })
}

#[target_feature(enable = "avx2")]
fn gather(groups: &[[MessageBlock; LANES]]) -> BitPlanes {
    let mut planes = [[0_u8; 64 / LANES]; BITS.len()];
    for (at, group) in groups.iter().enumerate().take(64 / LANES) {
        let words = expanded(group);
        let mut plane = 0;
        macro_rules! gather {
            ($($word:literal $bit:literal),*) => {
                $(
                    // A mask is made of the lanes' top bits.
                    let top = _mm256_slli_epi32::<{ 31 - $bit }>(words[$word]);
                    planes[plane][at] = _mm256_movemask_ps(_mm256_castsi256_ps(top)) as u8;
                    plane += 1;
                )*
            };
        }
        bits!(gather);
        assert!(plane == BITS.len(), "invariant: collision: every bit has its plane");
    }
    planes.map(u64::from_le_bytes)
}

/// The expanded messages; a lane for each block.
#[target_feature(enable = "avx2")]
fn expanded(group: &[MessageBlock; LANES]) -> [__m256i; WORDS] {
    let mut words = [_mm256_setzero_si256(); WORDS];
    for half in 0..2 {
        let rows = group.each_ref().map(|block| half_of(block, half));
        words[8 * half..8 * half + 8].copy_from_slice(&transposed(rows));
    }
    for at in 16..WORDS {
        let near = _mm256_xor_si256(words[at - 3], words[at - 8]);
        let sum = _mm256_xor_si256(near, _mm256_xor_si256(words[at - 14], words[at - 16]));
        words[at] = _mm256_or_si256(_mm256_slli_epi32::<1>(sum), _mm256_srli_epi32::<31>(sum));
    }
    words
}

/// Eight words of a block, in the order of their bytes.
#[target_feature(enable = "avx2")]
fn half_of(block: &MessageBlock, half: usize) -> __m256i {
    let swap = _mm256_setr_epi8(
        3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14,
        13, 12,
    );
    let [a, b, c, d] = std::array::from_fn(|at| i64::from_le_bytes(block.as_chunks().0[4 * half + at]));
    _mm256_shuffle_epi8(_mm256_setr_epi64x(a, b, c, d), swap)
}

/// Rows to columns.
#[target_feature(enable = "avx2")]
fn transposed([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> [__m256i; 8] {
    let pairs = |one, other| [_mm256_unpacklo_epi32(one, other), _mm256_unpackhi_epi32(one, other)];
    let fours = |one, other| [_mm256_unpacklo_epi64(one, other), _mm256_unpackhi_epi64(one, other)];
    let ([ab, ab2], [cd, cd2], [ef, ef2], [gh, gh2]) = (pairs(a, b), pairs(c, d), pairs(e, f), pairs(g, h));
    let ([a0, a1], [a2, a3]) = (fours(ab, cd), fours(ab2, cd2));
    let ([e0, e1], [e2, e3]) = (fours(ef, gh), fours(ef2, gh2));
    let low = |one, other| _mm256_permute2x128_si256::<0x20>(one, other);
    let high = |one, other| _mm256_permute2x128_si256::<0x31>(one, other);
    [
        low(a0, e0),
        low(a1, e1),
        low(a2, e2),
        low(a3, e3),
        high(a0, e0),
        high(a1, e1),
        high(a2, e2),
        high(a3, e3),
    ]
}

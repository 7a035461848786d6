//! Arithmetic on eight or four numbers at a time.
//!
//! Every operation is exact or saturates, so that its result does not depend on the machine. The portable lanes are the
//! definition; the tests here compare the others with them.

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::{Lanes, Wide};
#[cfg(target_arch = "x86_64")]
pub(super) use sse2::{Lanes, Wide};

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::{portable, sse2};

    /// Limits of the range, and pseudo-random numbers between them.
    fn number(at: u32) -> i16 {
        const EDGES: [i16; 8] = [0, 1, -1, 127, -128, 128, i16::MAX, i16::MIN];
        match at % 3 {
            0 => EDGES[(at / 3 % 8) as usize],
            _ => (at.wrapping_mul(2_654_435_761) >> 13) as i16,
        }
    }

    macro_rules! work_through {
        ($lanes:ident, $n:literal, $start:expr) => {{
            let row = |row: u32| {
                $lanes::Lanes::<$n>::of(std::array::from_fn(|lane| number($start + row * $n + lane as u32)))
            };
            let rows: [_; $n] = std::array::from_fn(|at| row(at as u32));
            let [a, b, c, d, ..] = rows;
            let small = a.dot(2_260, b, -11_363);
            let sums = small.plus(c.dot(-8_192, d, 8_192));
            let differences = small.minus(c.dot(9_633, d, 1));
            let results = [
                a.times(b),
                sums.narrowed::<11>(),
                sums.narrowed::<18>(),
                differences.narrowed::<18>(),
                differences.narrowed::<11>(),
            ];
            let columns = $lanes::Lanes::<$n>::transposed(rows);
            // Reads every bit of every lane by shifting, and converting the rest to samples.
            let seen = |lanes: $lanes::Lanes<$n>| {
                let bits = |factor: i16| lanes.dot(factor, lanes, 0).narrowed::<8>().samples();
                [lanes.samples(), bits(1), bits(16), bits(256), bits(4_096)]
            };
            results.into_iter().chain(columns).map(seen).collect::<Vec<_>>()
        }};
    }

    #[test]
    fn all_lanes_do_the_same() {
        for start in 0..5_000 {
            assert_eq!(work_through!(portable, 8, start), work_through!(sse2, 8, start), "{start}");
            assert_eq!(work_through!(portable, 4, start), work_through!(sse2, 4, start), "{start}");
        }
    }
}

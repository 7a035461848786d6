//! Constants of ITU-T T.81: the zigzag order and the quantisation tables.

/// The place of coefficient number `k` (in the order of the file) in a block of [`super::transform`], whose rows are
/// horizontal frequencies: T.81 figure A.6, transposed.
pub(super) const ZIGZAG: [u8; 64] = zigzag();

/// The number of the coefficient at each place of a block.
pub(super) const PLACES: [u8; 64] = {
    let mut places = [0; 64];
    let mut k = 0;
    while k < 64 {
        places[ZIGZAG[k] as usize] = k as u8;
        k += 1;
    }
    places
};

/// Walks the diagonals of a block and turns at its edges.
const fn zigzag() -> [u8; 64] {
    let mut order = [0; 64];
    let (mut across, mut down, mut upwards) = (0, 0, true);
    let mut k = 0;
    while k < 64 {
        order[k] = across * 8 + down;
        (across, down, upwards) = match (across, down, upwards) {
            (7, _, true) => (7, down + 1, false),
            (_, 0, true) => (across + 1, 0, false),
            (_, 7, false) => (across + 1, 7, true),
            (0, _, false) => (0, down + 1, true),
            (_, _, true) => (across + 1, down - 1, true),
            (_, _, false) => (across - 1, down + 1, false),
        };
        k += 1;
    }
    order
}

/// T.81 table K.1: luma, in rows from low to high vertical frequency.
#[rustfmt::skip]
const LUMA: [u8; 64] = [
    16, 11, 10, 16,  24,  40,  51,  61,
    12, 12, 14, 19,  26,  58,  60,  55,
    14, 13, 16, 24,  40,  57,  69,  56,
    14, 17, 22, 29,  51,  87,  80,  62,
    18, 22, 37, 56,  68, 109, 103,  77,
    24, 35, 55, 64,  81, 104, 113,  92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103,  99,
];

/// T.81 table K.2: chroma.
#[rustfmt::skip]
const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// Luma steps for a quality of 1–100, each 1–255, in the order of a block of [`super::transform`].
pub(super) fn luma_steps(quality: u8) -> [u8; 64] {
    scaled(&LUMA, quality)
}

/// Chroma steps, likewise.
pub(super) fn chroma_steps(quality: u8) -> [u8; 64] {
    scaled(&CHROMA, quality)
}

/// Scales a table by a quality as the Independent JPEG Group defines it: 50 is the standard's table, 100 is steps of
/// one.
fn scaled(table: &[u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    std::array::from_fn(|at| {
        let transposed = at % 8 * 8 + at / 8;
        ((u32::from(table[transposed]) * percent + 50) / 100).clamp(1, 255) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zigzag_is_the_standards_transposed() {
        let row = |v: u8| -> Vec<usize> {
            (0..8).map(|u| ZIGZAG.iter().position(|&at| at == u * 8 + v).unwrap()).collect()
        };
        assert_eq!(row(0), [0, 1, 5, 6, 14, 15, 27, 28]);
        assert_eq!(row(1), [2, 4, 7, 13, 16, 26, 29, 42]);
        assert_eq!(row(7), [35, 36, 48, 49, 57, 58, 62, 63]);
    }

    #[test]
    fn quality_means_what_it_means_elsewhere() {
        assert_eq!(luma_steps(50)[1], 12, "the second entry is one down");
        assert_eq!(luma_steps(50)[8], 11, "the ninth is one to the right");
        // The first steps of luma and of chroma as other encoders write them.
        for (quality, luma, chroma) in [(1, 255, 255), (10, 80, 85), (75, 8, 9), (82, 6, 6), (95, 2, 2)] {
            assert_eq!((luma_steps(quality)[0], chroma_steps(quality)[0]), (luma, chroma), "q{quality}");
        }
        assert_eq!((luma_steps(100), chroma_steps(100)), ([1; 64], [1; 64]));
        assert_eq!(luma_steps(0), luma_steps(1));
    }
}

//! Sharpness compensation: restores the fine detail that decoding at a scale weakens.
//!
//! A sample at 1/8 is the mean of 8 × 8 pixels, and a mean weakens waves: `f` cycles per sample keep sin(πf)/(πf) of
//! their amplitude, about 1 − (πf)²/6. The filter [−k, 1 + 2k, −k] strengthens them by 1 + (2πf)²·k, which compensates
//! this for k = 1/24. At 1/4 a sample consists of the lowest frequencies of its block, which loses less, and at 1/2 the
//! loss is invisible. The numbers have the best SSIMULACRA2 scores for nine photos, made 300 to 990 wide; they are
//! slightly above the formula's.

use crate::image::jpeg::Scale;
use crate::image::pixels::Pixels;

/// `k` in 256ths.
const fn strength(scale: Scale) -> i16 {
    match scale {
        Scale::Eighth => 13,
        Scale::Quarter => 6,
        Scale::Half | Scale::Whole => 0,
    }
}

/// Filters a gray picture along both sides, in place. Beyond the edges the filter reads the last sample again.
pub(super) fn compensate(pixels: &mut Pixels, scale: Scale) {
    let (width, strength) = (pixels.stride(), strength(scale));
    if strength == 0 {
        return;
    }
    let samples = pixels.data_mut();
    let mut above = samples[..width].to_vec();
    let mut row = above.clone();
    for start in (0..samples.len()).step_by(width) {
        let (now, rest) = samples[start..].split_at_mut(width);
        row.copy_from_slice(now);
        let below = rest.get(..width).unwrap_or(&row);
        filter(&above, &row, below, now, strength);
        std::mem::swap(&mut above, &mut row);
    }
}

/// Filters one row, given the unfiltered rows above and below it.
fn filter(above: &[u8], row: &[u8], below: &[u8], out: &mut [u8], strength: i16) {
    let last = row.len() - 1;
    out[0] = compensated(row[0], [row[0], row[1.min(last)], above[0], below[0]], strength);
    out[last] =
        compensated(row[last], [row[last.saturating_sub(1)], row[last], above[last], below[last]], strength);
    let sides = row.iter().zip(row.iter().skip(2));
    let columns = above.iter().zip(below).skip(1);
    let inner = out.iter_mut().zip(row).skip(1).zip(sides.zip(columns));
    for ((out, &here), ((&left, &right), (&above, &below))) in inner {
        *out = compensated(here, [left, right, above, below], strength);
    }
}

fn compensated(here: u8, around: [u8; 4], strength: i16) -> u8 {
    let around: i16 = around.map(i16::from).iter().sum();
    // At most 4 · 255 · 13, which fits in 16 bits, so that vector instructions process many at once.
    let more = (strength * (4 * i16::from(here) - around) + 128) >> 8;
    (i16::from(here) + more).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::pixels::PixelKind;
    use crate::image::shape::Size;

    fn compensated_rows(width: u32, rows: &[u8], scale: Scale) -> Vec<u8> {
        let size = Size { width, height: rows.len() as u32 / width };
        let mut pixels = Pixels::new(size, PixelKind::Gray, rows.to_vec()).unwrap();
        compensate(&mut pixels, scale);
        pixels.into_data()
    }

    #[test]
    fn a_plain_picture_stays_and_an_edge_gets_steeper() {
        assert_eq!(compensated_rows(3, &[77; 9], Scale::Eighth), [77; 9]);
        let edge = [100, 100, 200, 200];
        assert_eq!(compensated_rows(4, &edge, Scale::Eighth), [100, 95, 205, 200]);
        assert_eq!(compensated_rows(1, &edge, Scale::Eighth), [100, 95, 205, 200]);
        assert_eq!(compensated_rows(4, &edge, Scale::Quarter), [100, 98, 202, 200]);
        assert_eq!(compensated_rows(4, &edge, Scale::Half), edge);
        assert_eq!(compensated_rows(4, &edge, Scale::Whole), edge);
    }

    #[test]
    fn every_sample_is_made_of_those_around_it_as_they_were() {
        let spot = [0, 0, 0, 0, 100, 0, 0, 0, 0];
        assert_eq!(compensated_rows(3, &spot, Scale::Eighth), [0, 0, 0, 0, 120, 0, 0, 0, 0]);
        let hole = [100, 100, 100, 100, 0, 100, 100, 100, 100];
        assert_eq!(compensated_rows(3, &hole, Scale::Eighth), [100, 105, 100, 105, 0, 105, 100, 105, 100]);
    }

    #[test]
    fn values_stay_in_their_range() {
        let checks: Vec<u8> =
            (0..64).map(|index| if (index / 8 + index) % 2 == 0 { 0 } else { 255 }).collect();
        assert_eq!(compensated_rows(8, &checks, Scale::Eighth), checks);
    }
}

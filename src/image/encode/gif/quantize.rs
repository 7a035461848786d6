//! Color quantization: chooses a palette for a picture of many colours, and an entry for each pixel.
//!
//! Colours are counted in 65,536 cells. The cells are split into boxes: always the box with the largest squared error,
//! at the mean of the channel that has most of it (a variance-based median cut, after Heckbert 1982 and Wan et al.
//! 1988). Two rounds of k-means then move each box's mean to the centre of its nearest colours. Error diffusion by
//! Floyd and Steinberg (1976) passes the error of a pixel on to its neighbours on the right and below. All arithmetic
//! is in integers and deterministic: the same bytes on every machine.

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

/// Bytes that [`Palette::of`] and [`Palette::indices`] need beside the picture: 65,536 cells of 32 bytes, as many
/// non-empty ones, entry numbers, and rows of errors.
pub(in crate::image::encode) const WORK_BYTES: u64 = 5 << 20;

const CELLS: usize = 1 << 16;

/// Rounds of k-means. The first round gains half a decibel, the second a tenth.
const MOVES: usize = 2;

/// Cells between two calls of `keep_going`, each compared with 256 colours: about a millisecond.
const CELLS_UNASKED: usize = 4096;

/// Pixels between two calls of `keep_going` while cells are counted or entries assigned: some milliseconds.
const PIXELS_UNASKED: usize = 1 << 18;

/// The cell of a colour: five bits of red and blue, six of green, to which the eye is most sensitive.
fn cell([red, green, blue]: Rgb) -> usize {
    usize::from(red >> 3) << 11 | usize::from(green >> 2) << 5 | usize::from(blue >> 3)
}

/// The pixels of a cell: their number, and the sums of their channels.
#[derive(Clone, Copy, Default)]
struct Cell {
    count: u64,
    sums: [u64; 3],
}

impl Cell {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        (0..3).for_each(|channel| self.sums[channel] += other.sums[channel]);
    }

    /// Only for a cell that is not empty.
    fn mean(&self) -> Rgb {
        self.sums.map(|sum| ((sum + self.count / 2) / self.count) as u8)
    }
}

/// A palette of at most 256 colours, and the nearest entry of each cell that was looked up.
pub(super) struct Palette {
    pub(super) colors: Vec<Rgb>,
    /// Entry number plus one; zero is not computed yet.
    nearest: Vec<u16>,
}

impl Palette {
    /// At most `most` colours, at least one, for these pixels; a pixel of `None` is invisible. Returns `None` once
    /// `keep_going` returns false.
    pub(super) fn of(
        pixels: impl Iterator<Item = Option<Rgb>>,
        most: usize,
        keep_going: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let mut cells = vec![Cell::default(); CELLS];
        for (at, color) in pixels.flatten().enumerate() {
            if at.is_multiple_of(PIXELS_UNASKED) && !keep_going() {
                return None;
            }
            let cell = &mut cells[cell(color)];
            cell.count += 1;
            (0..3).for_each(|channel| cell.sums[channel] += u64::from(color[channel]));
        }
        cells.retain(|cell| cell.count > 0);
        let mut colors = split(&mut cells, most, keep_going)?;
        for _ in 0..MOVES {
            colors = moved(colors, &cells, keep_going)?;
        }
        Some(Self { colors, nearest: vec![0; CELLS] })
    }

    /// The entry that is nearest to the middle of this colour's cell.
    fn number(&mut self, color: Rgb) -> u8 {
        let cell = cell(color);
        if self.nearest[cell] == 0 {
            let middle = [color[0] & !7 | 4, color[1] & !3 | 2, color[2] & !7 | 4];
            self.nearest[cell] = nearest(&self.colors, middle) as u16 + 1;
        }
        (self.nearest[cell] - 1) as u8
    }

    /// Entries for rows of this width; a pixel of `None` gets `clear`. Returns `None` once `keep_going` returns false,
    /// which is called for each row and, for new colours in long rows, every few thousand cells.
    pub(super) fn indices(
        mut self,
        pixels: impl Iterator<Item = Option<Rgb>>,
        width: usize,
        clear: u8,
        keep_going: &dyn Fn() -> bool,
    ) -> Option<(Vec<Rgb>, Vec<u8>)> {
        // Errors from the row above, in sixteenths; one more on either side, which is never read.
        let mut errors = vec![[0_i16; 3]; width + 2];
        let mut below = errors.clone();
        let mut right = [0; 3];
        let mut indices = Vec::new();
        for (at, color) in pixels.enumerate() {
            let column = at % width + 1;
            if (column - 1).is_multiple_of(CELLS_UNASKED) && !keep_going() {
                return None;
            }
            if column == 1 {
                std::mem::swap(&mut errors, &mut below);
                below.fill([0; 3]);
                right = [0; 3];
            }
            let Some(color) = color else {
                indices.push(clear);
                right = [0; 3];
                continue;
            };
            let wanted: Rgb = std::array::from_fn(|channel| {
                let error = (errors[column][channel] + right[channel] + 8) >> 4;
                (i16::from(color[channel]) + error).clamp(0, 255) as u8
            });
            let index = self.number(wanted);
            let kept = self.colors[usize::from(index)];
            for channel in 0..3 {
                let error = i16::from(wanted[channel]) - i16::from(kept[channel]);
                right[channel] = 7 * error;
                below[column - 1][channel] += 3 * error;
                below[column][channel] += 5 * error;
                below[column + 1][channel] += error;
            }
            indices.push(index);
        }
        Some((self.colors, indices))
    }
}

/// A box of cells, with the statistics of all of them.
struct CellGroup {
    start: usize,
    end: usize,
    total: Cell,
    /// The channel with the largest squared error, and the squared error of all channels.
    widest: usize,
    spread: u64,
}

impl CellGroup {
    fn new(cells: &[Cell], start: usize, end: usize) -> Self {
        let mut total = Cell::default();
        let mut squares = [0_u64; 3];
        for cell in &cells[start..end] {
            total.add(cell);
            for (square, value) in squares.iter_mut().zip(cell.mean()) {
                *square += cell.count * u64::from(value) * u64::from(value);
            }
        }
        // Squares about the mean, in whole levels; below 2^48 for 2^32 pixels.
        let spreads: [u64; 3] = std::array::from_fn(|channel| {
            let count = u128::from(total.count.max(1));
            let sum = u128::from(total.sums[channel]);
            u128::from(squares[channel]).saturating_sub(sum * sum / count) as u64
        });
        let widest = (0..3).max_by_key(|&channel| spreads[channel]).unwrap_or(0);
        Self { start, end, total, widest, spread: spreads.iter().sum() }
    }
}

/// The means of at most `most` boxes; the box with the largest squared error is split repeatedly.
fn split(cells: &mut [Cell], most: usize, keep_going: &dyn Fn() -> bool) -> Option<Vec<Rgb>> {
    let mut parts = vec![CellGroup::new(cells, 0, cells.len())];
    while parts.len() < most {
        // A sort of all cells takes a few milliseconds.
        if !keep_going() {
            return None;
        }
        let splittable = parts.iter().enumerate().filter(|(_, part)| part.end - part.start > 1);
        let Some((at, _)) = splittable.max_by_key(|(_, part)| part.spread) else { break };
        let CellGroup { start, end, ref total, widest, .. } = parts[at];
        let mean = total.mean()[widest];
        cells[start..end].sort_unstable_by_key(|cell| cell.mean()[widest]);
        let lower = cells[start..end].partition_point(|cell| cell.mean()[widest] < mean);
        // Rounding, or cells that differ in nothing else, may leave one side empty.
        let middle = start + lower.clamp(1, end - start - 1);
        parts[at] = CellGroup::new(cells, start, middle);
        parts.push(CellGroup::new(cells, middle, end));
    }
    let mean = |part: &CellGroup| if part.total.count > 0 { part.total.mean() } else { [0; 3] };
    Some(parts.iter().map(mean).collect())
}

/// One round of k-means: moves each colour to the mean of its nearest cells; a colour without any stays.
fn moved(colors: Vec<Rgb>, cells: &[Cell], keep_going: &dyn Fn() -> bool) -> Option<Vec<Rgb>> {
    let mut totals = vec![Cell::default(); colors.len()];
    for cells in cells.chunks(CELLS_UNASKED) {
        if !keep_going() {
            return None;
        }
        for cell in cells {
            totals[nearest(&colors, cell.mean())].add(cell);
        }
    }
    let pairs = colors.into_iter().zip(totals);
    Some(pairs.map(|(color, total)| if total.count > 0 { total.mean() } else { color }).collect())
}

/// The index of the nearest colour; the first of equally near ones.
fn nearest(colors: &[Rgb], [red, green, blue]: Rgb) -> usize {
    let mut least = u32::MAX;
    let mut found = 0;
    for (number, color) in colors.iter().enumerate() {
        let square = |value: u8, other: u8| u32::from(value.abs_diff(other)).pow(2);
        let distance = square(color[0], red) + square(color[1], green) + square(color[2], blue);
        if distance < least {
            (least, found) = (distance, number);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draw;
    use crate::image::shape::Size;

    const SIZE: Size = Size { width: 120, height: 90 };

    fn photo(scene: usize) -> Vec<Rgb> {
        draw::sample(scene, SIZE).unwrap().data().as_chunks::<3>().0.to_vec()
    }

    fn seen(pixels: &[Rgb]) -> impl Iterator<Item = Option<Rgb>> {
        pixels.iter().copied().map(Some)
    }

    fn shown(pixels: &[Rgb], most: usize) -> Vec<Rgb> {
        let palette = Palette::of(seen(pixels), most, &|| true).unwrap();
        let (colors, indices) = palette.indices(seen(pixels), 120, 0, &|| true).unwrap();
        assert!(colors.len() <= most);
        indices.into_iter().map(|index| colors[usize::from(index)]).collect()
    }

    /// Mean colours of squares of ten pixels, in which diffused errors have evened out.
    fn squares(pixels: &[Rgb]) -> Vec<[f64; 3]> {
        let square = |number: usize| {
            let (left, top) = (number % 12 * 10, number / 12 * 10);
            let places = (0..100).map(|at| (top + at / 10) * 120 + left + at % 10);
            places
                .fold([0.0; 3], |sum, place| [0, 1, 2].map(|c| sum[c] + f64::from(pixels[place][c]) / 100.0))
        };
        (0..108).map(square).collect()
    }

    #[test]
    fn areas_keep_their_colours_though_few_are_left() {
        for scene in 0..3 {
            let pixels = photo(scene);
            for (most, slack) in [(256, 1.5), (64, 3.5), (16, 12.0)] {
                let made = shown(&pixels, most);
                for (made, original) in squares(&made).iter().zip(squares(&pixels)) {
                    let far =
                        made.iter().zip(original).any(|(made, original)| (made - original).abs() > slack);
                    assert!(!far, "scene {scene} in {most}: {made:?} for {original:?}");
                }
            }
        }
    }

    #[test]
    fn more_colours_are_nearer_to_the_picture() {
        let pixels = photo(0);
        let error = |most: usize| -> u64 {
            let pairs = shown(&pixels, most).into_iter().zip(&pixels).collect::<Vec<_>>();
            let square = |(made, original): &(Rgb, &Rgb)| -> u64 {
                (0..3).map(|c| u64::from(made[c].abs_diff(original[c])).pow(2)).sum()
            };
            pairs.iter().map(square).sum()
        };
        let errors = [2, 8, 32, 128, 256].map(error);
        assert!(errors.windows(2).all(|pair| pair[0] > pair[1]), "{errors:?}");
    }

    #[test]
    fn what_nobody_sees_takes_no_colour_and_passes_nothing_on() {
        let pixels = photo(1);
        let half = |hidden: bool| {
            pixels.iter().enumerate().map(move |(at, &color)| {
                if at % 120 < 60 { (!hidden).then_some([255, 0, 255]) } else { Some(color) }
            })
        };
        let numbered = |hidden: bool| {
            let palette = Palette::of(half(hidden), 255, &|| true).unwrap();
            palette.indices(half(hidden), 120, 255, &|| true).unwrap()
        };
        let (colors, indices) = numbered(true);
        assert!(!colors.contains(&[255, 0, 255]) && colors.len() <= 255);
        for (index, color) in indices.iter().zip(half(true)) {
            assert_eq!(*index == 255, color.is_none());
        }
        let (colors, _) = numbered(false);
        assert!(colors.contains(&[255, 0, 255]));
    }

    #[test]
    fn one_colour_and_none_are_palettes_too() {
        let same = [[7, 8, 9]; 10];
        let palette = Palette::of(seen(&same), 256, &|| true).unwrap();
        let (colors, indices) = palette.indices(seen(&same), 5, 0, &|| true).unwrap();
        assert_eq!((colors, indices), (vec![[7, 8, 9]], vec![0; 10]));
        let nothing = || std::iter::repeat_n(None, 10);
        let palette = Palette::of(nothing(), 255, &|| true).unwrap();
        assert_eq!(palette.indices(nothing(), 5, 3, &|| true).unwrap().1, [3; 10]);
        let two = [[0, 0, 0], [1, 1, 1], [255, 255, 255]];
        assert!(shown(&two, 1).len() == 3);
    }
}

//! Pictures of few colours: their palette, and the palette entry of each pixel. Exact; nothing is approximated.

use crate::image::pixels::{PixelKind, Pixels};

/// Most colours of a palette with one byte a pixel.
pub(super) const COLORS_MAX: usize = 256;

/// A picture as palette entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Indexed {
    /// Red, green, blue, alpha. Sorted: the more transparent first, then by value.
    pub(super) colors: Vec<[u8; 4]>,
    /// One entry for each pixel, row by row.
    pub(super) indices: Vec<u8>,
}

impl Indexed {
    /// `None` if there are more than [`COLORS_MAX`] colours, which a photo exceeds early, or for gray.
    pub(super) fn of(pixels: &Pixels) -> Option<Self> {
        match pixels.kind() {
            PixelKind::Rgb => {
                indexed(pixels.data().as_chunks::<3>().0, |&[red, green, blue]| [red, green, blue, 255])
            }
            PixelKind::Rgba => indexed(pixels.data().as_chunks::<4>().0, |&color| color),
            PixelKind::Gray | PixelKind::GrayAlpha => None,
        }
    }
}

fn indexed<P: PartialEq>(pixels: &[P], color: impl Fn(&P) -> [u8; 4]) -> Option<Indexed> {
    let mut table = ColorTable::new();
    for pair in pixels.windows(2) {
        // In a picture of few colours most neighbours are equal.
        if pair[0] != pair[1] {
            table.number(color(&pair[0]))?;
        }
    }
    table.number(color(pixels.last()?))?;
    let order = table.sort();
    let mut indices = Vec::with_capacity(pixels.len());
    let mut last: Option<(&P, u8)> = None;
    for pixel in pixels {
        let index = match last {
            Some((same, index)) if same == pixel => index,
            _ => order[table.number(color(pixel))?],
        };
        last = Some((pixel, index));
        indices.push(index);
    }
    Some(Indexed { colors: table.colors, indices })
}

/// Colours in the order of their first pixel, in a hash table with open addressing.
struct ColorTable {
    /// Numbers of colours plus one; zero is a free place.
    places: Vec<u16>,
    colors: Vec<[u8; 4]>,
    /// Colours in the order of their first pixel; sorted into `colors` later.
    came: Vec<[u8; 4]>,
}

/// Four times as many places as colours, so that the search for a free one is short.
const PLACES: usize = 1024;

impl ColorTable {
    fn new() -> Self {
        Self { places: vec![0; PLACES], colors: Vec::new(), came: Vec::new() }
    }

    /// The number of a colour, which is added if it is new; `None` if there are too many.
    fn number(&mut self, color: [u8; 4]) -> Option<usize> {
        let known = if self.came.is_empty() { &self.colors } else { &self.came };
        let mut place = (u32::from_le_bytes(color).wrapping_mul(0x9E37_79B1) >> 22) as usize;
        loop {
            match usize::from(self.places[place]).checked_sub(1) {
                Some(number) if known[number] == color => return Some(number),
                Some(_) => place = (place + 1) % PLACES,
                None => break,
            }
        }
        if self.colors.len() == COLORS_MAX {
            return None;
        }
        self.colors.push(color);
        self.places[place] = self.colors.len() as u16;
        Some(self.colors.len() - 1)
    }

    /// Sorts the colours; returns the new number for each old one.
    fn sort(&mut self) -> Vec<u8> {
        self.came = self.colors.clone();
        self.colors.sort_unstable_by_key(|&[red, green, blue, alpha]| [alpha, red, green, blue]);
        let place = |color: &[u8; 4]| self.colors.iter().position(|other| other == color).unwrap_or(0) as u8;
        self.came.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draw;
    use crate::image::shape::Size;

    fn of(kind: PixelKind, colors: &[&[u8]]) -> Option<Indexed> {
        let size = Size { width: colors.len() as u32, height: 1 };
        Indexed::of(&Pixels::new(size, kind, colors.concat()).unwrap())
    }

    #[test]
    fn every_pixel_gets_the_number_of_its_colour_and_clear_ones_come_first() {
        let red = &[255, 0, 0, 255][..];
        let (clear, blue) = (&[9, 9, 9, 0][..], &[0, 0, 255, 255][..]);
        let indexed = of(PixelKind::Rgba, &[red, red, blue, clear, red]).unwrap();
        assert_eq!(indexed.colors, [[9, 9, 9, 0], [0, 0, 255, 255], [255, 0, 0, 255]]);
        assert_eq!(indexed.indices, [2, 2, 1, 0, 2]);
        assert_eq!(of(PixelKind::Rgb, &[&[1, 2, 3]]).unwrap().colors, [[1, 2, 3, 255]]);
    }

    #[test]
    fn two_hundred_and_fifty_six_colours_are_few_and_one_more_is_not() {
        let colors: Vec<[u8; 3]> =
            (0..257_u32).map(|n| [n as u8, ((n * 7) >> 3) as u8, (n >> 8) as u8]).collect();
        let all: Vec<&[u8]> = colors.iter().map(|color| &color[..]).collect();
        let indexed = of(PixelKind::Rgb, &all[..256]).unwrap();
        for (index, color) in indexed.indices.iter().zip(&colors) {
            assert_eq!(indexed.colors[usize::from(*index)][..3], *color);
        }
        assert_eq!(of(PixelKind::Rgb, &all), None);
    }

    #[test]
    fn photos_and_gray_have_no_palette() {
        let size = Size { width: 60, height: 40 };
        assert_eq!(Indexed::of(&draw::sample(0, size).unwrap()), None);
        assert_eq!(Indexed::of(&Pixels::new(size, PixelKind::Gray, vec![0; 2400]).unwrap()), None);
    }
}

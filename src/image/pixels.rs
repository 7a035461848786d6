//! Decoded pixels.
//!
//! Rows run top to bottom without padding, 8 bits a channel, alpha straight (not premultiplied). This module knows no
//! file format and changes no picture. Invariant: a [`Pixels`] holds exactly the bytes for its size and kind, and
//! neither side is zero, so code that walks it needs no further checks.

use super::shape::{Rect, Size};

/// The channels of a pixel, in their order in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelKind {
    /// Luma.
    Gray,
    /// Luma, alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

impl PixelKind {
    /// Bytes of one pixel.
    pub const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Whether the last channel is alpha.
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }

    /// Whether there is one channel beside alpha.
    pub const fn is_gray(self) -> bool {
        matches!(self, Self::Gray | Self::GrayAlpha)
    }

    /// The same channels with alpha.
    pub const fn with_alpha(self) -> Self {
        match self {
            Self::Gray | Self::GrayAlpha => Self::GrayAlpha,
            Self::Rgb | Self::Rgba => Self::Rgba,
        }
    }

    /// The same channels without alpha.
    pub const fn without_alpha(self) -> Self {
        match self {
            Self::Gray | Self::GrayAlpha => Self::Gray,
            Self::Rgb | Self::Rgba => Self::Rgb,
        }
    }
}

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    size: Size,
    kind: PixelKind,
    data: Vec<u8>,
}

impl Pixels {
    /// Takes rows as they lie in memory; `None` if a side is zero, or if `data` does not have the length for size and
    /// kind.
    pub fn new(size: Size, kind: PixelKind, data: Vec<u8>) -> Option<Self> {
        let length = size.area().checked_mul(kind.channels() as u64)?;
        (length > 0 && length == data.len() as u64).then_some(Self { size, kind, data })
    }

    /// Width and height.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The channels of a pixel.
    pub const fn kind(&self) -> PixelKind {
        self.kind
    }

    /// All rows, top to bottom.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All rows, top to bottom, for changes in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The rows without their size.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Bytes of one row.
    pub fn stride(&self) -> usize {
        self.size.width as usize * self.kind.channels()
    }

    /// The picture without its alpha channel if every pixel is opaque; unchanged otherwise. Works in place.
    pub fn without_idle_alpha(self) -> Self {
        let channels = self.kind.channels();
        let opaque = |pixel: &[u8]| pixel[channels - 1] == 255;
        if !self.kind.has_alpha() || !self.data.chunks_exact(channels).all(opaque) {
            return self;
        }
        let kept = self.kind.without_alpha();
        self.moved_to(kept, 0)
    }

    /// The picture as gray if every pixel is gray; unchanged otherwise. Works in place.
    pub fn without_idle_color(self) -> Self {
        let gray = |pixel: &[u8]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
        match self.kind {
            PixelKind::Rgb if self.data.chunks_exact(3).all(gray) => self.moved_to(PixelKind::Gray, 2),
            PixelKind::Rgba if self.data.chunks_exact(4).all(gray) => self.moved_to(PixelKind::GrayAlpha, 2),
            _ => self,
        }
    }

    /// Keeps the channels from number `first` on, as many as `kind` has.
    fn moved_to(self, kind: PixelKind, first: usize) -> Self {
        let (from, to) = (self.kind.channels(), kind.channels());
        let Self { size, mut data, .. } = self;
        for pixel in 0..data.len() / from {
            data.copy_within(pixel * from + first..pixel * from + first + to, pixel * to);
        }
        data.truncate(data.len() / from * to);
        Self { size, kind, data }
    }

    /// This part of the picture; `None` if it is empty or not inside. Rows move to the front in place, so that a crop
    /// of a large image needs no second buffer.
    pub fn cropped(self, part: Rect<u32>) -> Option<Self> {
        let Rect { x: left, y: top, .. } = part;
        let size = part.size();
        if size == self.size && (left, top) == (0, 0) {
            return Some(self);
        }
        let inside = u64::from(left) + u64::from(size.width) <= u64::from(self.size.width)
            && u64::from(top) + u64::from(size.height) <= u64::from(self.size.height);
        if !inside || size.area() == 0 {
            return None;
        }
        let (stride, channels) = (self.stride(), self.kind.channels());
        let Self { kind, mut data, .. } = self;
        let row_bytes = size.width as usize * channels;
        for row in 0..size.height as usize {
            let from = (top as usize + row) * stride + left as usize * channels;
            data.copy_within(from..from + row_bytes, row * row_bytes);
        }
        data.truncate(row_bytes * size.height as usize);
        // A thumbnail's crop must not keep the megabytes of its source allocated.
        data.shrink_to_fit();
        Some(Self { size, kind, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Size = Size { width: 2, height: 1 };

    #[test]
    fn refuses_data_of_another_length_and_empty_pictures() {
        assert!(Pixels::new(TWO, PixelKind::Rgb, vec![0; 6]).is_some());
        assert!(Pixels::new(TWO, PixelKind::Rgb, vec![0; 5]).is_none());
        assert!(Pixels::new(TWO, PixelKind::Rgb, vec![0; 7]).is_none());
        assert!(Pixels::new(Size { width: 0, height: 3 }, PixelKind::Gray, vec![]).is_none());
    }

    #[test]
    fn alpha_is_dropped_only_if_every_pixel_is_opaque() {
        let pixels = |data| Pixels::new(TWO, PixelKind::Rgba, data).unwrap().without_idle_alpha();
        assert_eq!(pixels(vec![1, 2, 3, 255, 4, 5, 6, 255]).data(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(pixels(vec![1, 2, 3, 255, 4, 5, 6, 254]).kind(), PixelKind::Rgba);
    }

    #[test]
    fn colour_is_dropped_only_if_every_pixel_is_gray() {
        let pixels = |kind, data| Pixels::new(TWO, kind, data).unwrap().without_idle_color();
        assert_eq!(
            pixels(PixelKind::Rgb, vec![7, 7, 7, 9, 9, 9]),
            Pixels::new(TWO, PixelKind::Gray, vec![7, 9]).unwrap()
        );
        assert_eq!(pixels(PixelKind::Rgba, vec![7, 7, 7, 1, 9, 9, 9, 2]).data(), [7, 1, 9, 2]);
        for other in [vec![7, 7, 7, 9, 9, 8], vec![7, 7, 7, 8, 9, 9]] {
            assert_eq!(pixels(PixelKind::Rgb, other).kind(), PixelKind::Rgb);
        }
        assert_eq!(pixels(PixelKind::GrayAlpha, vec![1, 2, 3, 4]).data(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_crop_is_the_named_pixels_and_never_leaves_the_picture() {
        let size = Size { width: 3, height: 3 };
        let pixels = Pixels::new(size, PixelKind::Gray, (0..9).collect()).unwrap();
        let part = |x, y, width, height| pixels.clone().cropped(Rect { x, y, width, height });
        assert_eq!(part(1, 1, 2, 2).unwrap().data(), [4, 5, 7, 8]);
        assert!(part(2, 0, 2, 1).is_none());
        assert!(part(0, u32::MAX, 1, 1).is_none());
        assert!(part(0, 0, 0, 1).is_none());
    }
}

//! Shrinks a window from rows that arrive one after another; only a band of rows is kept.
//!
//! The result is the one of [`super::resize`], because the filter of a row reads no rows beyond the band. Heights come
//! first, in strips. With more rows in a strip, the shared rows of two strips are moved less often, and the band is
//! longer. Widths come last, all at once: the library computes its weights again with every call, and a row has more of
//! them.

use std::ops::Range;

use super::sample::Sample;
use super::{FILTER_REACH, Filter, inside};
use crate::image::error::RenderError;
use crate::image::light::Light;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::{Rect, Size};

/// Rows of the result that are made at a time.
const STRIP_ROWS: u32 = 16;

/// A resize that takes its source row by row.
pub struct Rows(AnyRows);

enum AnyRows {
    Encoded(RowsOf<u8>),
    Linear(RowsOf<u16>),
}

/// A resize of one kind of samples.
struct RowsOf<S> {
    /// The size of the whole source, which need not be in memory.
    from: Size,
    window: Rect<f64>,
    to: Size,
    filter: Filter<S>,
    /// Source rows from `first` on, with colours weighted by alpha.
    band: Vec<S>,
    first: u32,
    /// All columns of the source, in as many rows as the result has so far.
    made: Vec<S>,
    made_rows: u32,
}

impl Rows {
    /// Prepares the resize of a picture of this size and kind, as [`super::resize_in`] does it. The window must be
    /// higher than its result.
    ///
    /// # Errors
    ///
    /// Those of [`super::resize_in`].
    pub fn new(
        light: Light,
        from: Size,
        kind: PixelKind,
        window: Rect<f64>,
        to: Size,
    ) -> Result<Self, RenderError> {
        Ok(Self(match light {
            Light::Encoded => AnyRows::Encoded(RowsOf::new(from, kind, window, to)?),
            Light::Linear => AnyRows::Linear(RowsOf::new(from, kind, window, to)?),
        }))
    }

    /// Peak memory from [`Rows::new`] to the end of [`Rows::finish`] in bytes, its result included.
    pub fn peak_bytes(light: Light, from: Size, kind: PixelKind, window: Rect<f64>, to: Size) -> u64 {
        let (band, low) =
            (Size { height: band_rows(from, window, to), ..from }, Size { height: to.height, ..from });
        let strip = Size { height: STRIP_ROWS.min(to.height), ..from };
        let between = low.area().saturating_mul(kind.channels() as u64);
        let heights = super::filter_peak_bytes(band, kind, strip).saturating_add(between);
        let stored = heights.max(super::filter_peak_bytes(low, kind, to));
        match light {
            Light::Encoded => stored,
            Light::Linear => {
                stored.saturating_mul(2).saturating_add(to.area().saturating_mul(kind.channels() as u64))
            }
        }
    }

    /// The source rows that must still be pushed; the others are not read.
    pub fn needed_rows(&self) -> Range<u32> {
        match &self.0 {
            AnyRows::Encoded(rows) => rows.needed_rows(),
            AnyRows::Linear(rows) => rows.needed_rows(),
        }
    }

    /// Takes the next of [`Rows::needed_rows`]; ignores rows beyond them.
    ///
    /// # Errors
    ///
    /// [`RenderError::BadWindow`] for a row of another length.
    pub fn push(&mut self, row: &[u8]) -> Result<(), RenderError> {
        match &mut self.0 {
            AnyRows::Encoded(rows) => rows.push(row),
            AnyRows::Linear(rows) => rows.push(row),
        }
    }

    /// Whether the next row completes a strip, and thus takes long.
    pub fn is_due(&self) -> bool {
        match &self.0 {
            AnyRows::Encoded(rows) => rows.is_due(),
            AnyRows::Linear(rows) => rows.is_due(),
        }
    }

    /// The result.
    ///
    /// # Errors
    ///
    /// [`RenderError::BadWindow`] if rows are missing.
    pub fn finish(self) -> Result<Pixels, RenderError> {
        match self.0 {
            AnyRows::Encoded(rows) => rows.finish(),
            AnyRows::Linear(rows) => rows.finish(),
        }
    }
}

impl<S: Sample> RowsOf<S> {
    fn new(from: Size, kind: PixelKind, window: Rect<f64>, to: Size) -> Result<Self, RenderError> {
        let window = inside(window, from).ok_or(RenderError::BadWindow)?;
        if to.area() == 0 || window.height <= f64::from(to.height) {
            return Err(RenderError::BadWindow);
        }
        let channels = kind.channels();
        let first = strip_rows(from, window, to, 0..STRIP_ROWS.min(to.height)).start;
        Ok(Self {
            from,
            window,
            to,
            filter: Filter::new(kind),
            band: Vec::with_capacity(from.width as usize * band_rows(from, window, to) as usize * channels),
            first,
            made: Vec::with_capacity(from.width as usize * to.height as usize * channels),
            made_rows: 0,
        })
    }

    fn needed_rows(&self) -> Range<u32> {
        let end = strip_rows(self.from, self.window, self.to, self.to.height - 1..self.to.height).end;
        let pushed = self.pushed();
        pushed..end.max(pushed)
    }

    fn push(&mut self, row: &[u8]) -> Result<(), RenderError> {
        if row.len() != self.stride() {
            return Err(RenderError::BadWindow);
        }
        if self.made_rows == self.to.height {
            return Ok(());
        }
        let start = self.band.len();
        S::extend(&mut self.band, self.filter.kind, row);
        let one = Size { height: 1, ..self.from };
        self.filter.weigh(one, &mut self.band[start..]).ok_or(RenderError::BadWindow)?;
        // At the lower edge one row may complete several strips.
        let pushed = self.pushed();
        while let Some(strip) = self.strip_of(pushed) {
            self.make(strip).ok_or(RenderError::BadWindow)?;
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.strip_of(self.pushed() + 1).is_some()
    }

    fn finish(self) -> Result<Pixels, RenderError> {
        let Self { from, window, to, mut filter, band, mut made, .. } = self;
        drop(band);
        let low = Size { height: to.height, ..from };
        let window = Rect { y: 0.0, height: f64::from(to.height), ..window };
        let mut narrow = || {
            let mut made = filter.apply(low, &mut made, window, to)?;
            filter.unweigh(to, &mut made)?;
            Pixels::new(to, filter.kind, S::into_stored(made, filter.kind))
        };
        narrow().ok_or(RenderError::BadWindow)
    }

    fn stride(&self) -> usize {
        self.from.width as usize * self.filter.kind.channels()
    }

    /// The first row that has not been pushed.
    fn pushed(&self) -> u32 {
        self.first + (self.band.len() / self.stride()) as u32
    }

    /// The next strip, if the rows up to `end` are all that it needs.
    fn strip_of(&self, end: u32) -> Option<Range<u32>> {
        let strip = self.next_strip()?;
        (end >= strip_rows(self.from, self.window, self.to, strip.clone()).end).then_some(strip)
    }

    /// The next rows of the result; `None` after the last.
    fn next_strip(&self) -> Option<Range<u32>> {
        let start = self.made_rows;
        (start < self.to.height).then(|| start..self.to.height.min(start + STRIP_ROWS))
    }

    /// Makes these rows of the result, and drops the source rows that the next ones do not need.
    fn make(&mut self, strip: Range<u32>) -> Option<()> {
        let stride = self.stride();
        let band = Size { height: (self.band.len() / stride) as u32, ..self.from };
        let (top, bottom) = (edge(self.window, self.to, strip.start), edge(self.window, self.to, strip.end));
        let width = f64::from(self.from.width);
        let window = Rect { x: 0.0, y: top - f64::from(self.first), width, height: bottom - top };
        let to = Size { height: strip.end - strip.start, ..self.from };
        self.made.extend_from_slice(&self.filter.apply(band, &mut self.band, inside(window, band)?, to)?);
        self.made_rows = strip.end;
        if let Some(next) = self.next_strip() {
            let start = strip_rows(self.from, self.window, self.to, next).start;
            self.band.drain(..(start - self.first) as usize * stride);
            self.first = start;
        }
        Some(())
    }
}

/// The coordinate in the source at which a row of the result begins.
fn edge(window: Rect<f64>, to: Size, row: u32) -> f64 {
    window.y + window.height * f64::from(row) / f64::from(to.height)
}

/// The source rows that these rows of the result need, and one more on both sides for rounding.
fn strip_rows(from: Size, window: Rect<f64>, to: Size, strip: Range<u32>) -> Range<u32> {
    let reach = FILTER_REACH * window.height / f64::from(to.height) + 1.0;
    // Casts saturate: a negative value becomes zero.
    let start = (edge(window, to, strip.start) - reach).floor() as u32;
    let end = (edge(window, to, strip.end) + reach).ceil() as u32;
    start..end.min(from.height)
}

/// Most rows of the band.
fn band_rows(from: Size, window: Rect<f64>, to: Size) -> u32 {
    let strip = f64::from(STRIP_ROWS.min(to.height)) + 2.0 * FILTER_REACH;
    let rows = strip * window.height / f64::from(to.height) + 4.0;
    (rows.ceil() as u32).min(from.height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draw;
    use crate::image::resize::resize;

    const SIZE: Size = Size { width: 211, height: 307 };

    fn picture(kind: PixelKind) -> Pixels {
        let scene = draw::sample(3, SIZE).unwrap();
        let pixel = |pixel: &[u8]| match kind {
            PixelKind::Gray => vec![pixel[1]],
            PixelKind::GrayAlpha => vec![pixel[1], pixel[3]],
            PixelKind::Rgb => pixel[..3].to_vec(),
            PixelKind::Rgba => pixel.to_vec(),
        };
        Pixels::new(SIZE, kind, scene.data().chunks_exact(4).flat_map(pixel).collect()).unwrap()
    }

    fn by_rows(pixels: &Pixels, window: Rect<f64>, to: Size) -> Result<Pixels, RenderError> {
        let mut rows = RowsOf::<u8>::new(pixels.size(), pixels.kind(), window, to)?;
        let capacity = rows.band.capacity();
        for row in rows.needed_rows() {
            assert_eq!(rows.needed_rows().start, row);
            rows.push(&pixels.data()[row as usize * pixels.stride()..][..pixels.stride()])?;
        }
        assert!(rows.needed_rows().is_empty());
        assert_eq!(rows.band.capacity(), capacity, "the band outgrew what it was charged for");
        rows.finish()
    }

    fn window(x: f64, y: f64, width: f64, height: f64) -> Rect<f64> {
        Rect { x, y, width, height }
    }

    #[test]
    fn rows_give_what_the_whole_picture_gives() {
        let whole = Rect::whole(SIZE);
        let part = window(10.5, 20.25, 150.0, 200.5);
        let tail = window(0.0, 290.0, 211.0, 17.0);
        for kind in [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba] {
            for (window, width, height) in [
                (whole, 50, 73),
                (whole, 211, 306),
                (whole, 1, 1),
                (part, 40, 16),
                (part, 160, 17),
                (tail, 9, 3),
            ] {
                let (pixels, to) = (picture(kind), Size { width, height });
                let made = by_rows(&pixels, window, to).unwrap();
                let expected = resize(pixels, window, to).unwrap();
                assert_eq!((made.size(), made.kind()), (to, kind));
                // The start of a strip has the same value, but is rounded differently.
                let apart = made.data().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
                let differ = made.data().iter().zip(expected.data()).filter(|(a, b)| a != b).count();
                assert!(apart <= Some(1), "{kind:?} {window:?} to {to:?}: {apart:?} apart");
                assert!(differ * 100 <= made.data().len(), "{kind:?} {window:?} to {to:?}: {differ}");
            }
        }
    }

    #[test]
    fn only_rows_that_the_filter_sees_are_wanted() {
        let rows = Rows::new(
            Light::Encoded,
            SIZE,
            PixelKind::Gray,
            window(0.0, 100.0, 100.0, 100.0),
            Size { width: 50, height: 50 },
        );
        assert_eq!(rows.unwrap().needed_rows(), 93..207);
        let rows = Rows::new(
            Light::Encoded,
            SIZE,
            PixelKind::Gray,
            Rect::whole(SIZE),
            Size { width: 50, height: 50 },
        );
        assert_eq!(rows.unwrap().needed_rows(), 0..307);
    }

    #[test]
    fn a_band_is_as_high_as_its_strip_and_the_filter_ask_for() {
        let tall = Size { width: 10, height: 100_000 };
        let to = Size { width: 1, height: 10_000 };
        let window = Rect::whole(tall);
        assert_eq!(band_rows(tall, window, to), 224);
        assert!(Rows::peak_bytes(Light::Encoded, tall, PixelKind::Rgb, window, to) < 1_000_000);
        assert_eq!(band_rows(SIZE, Rect::whole(SIZE), Size { width: 1, height: 1 }), 307);
    }

    #[test]
    fn a_row_too_few_or_of_another_length_and_an_enlargement_are_refused() {
        let to = Size { width: 20, height: 30 };
        let new = || Rows::new(Light::Encoded, SIZE, PixelKind::Gray, Rect::whole(SIZE), to).unwrap();
        let mut short = new();
        assert_eq!(short.push(&[0; 210]), Err(RenderError::BadWindow));
        for _ in 0..306 {
            short.push(&[0; 211]).unwrap();
        }
        assert_eq!(short.finish(), Err(RenderError::BadWindow));
        let mut long = new();
        for _ in 0..400 {
            long.push(&[7; 211]).unwrap();
        }
        assert_eq!(long.finish().unwrap().data(), [7; 600]);
        for to in [Size { width: 20, height: 307 }, Size { width: 20, height: 0 }] {
            assert_eq!(
                Rows::new(Light::Encoded, SIZE, PixelKind::Gray, Rect::whole(SIZE), to).err(),
                Some(RenderError::BadWindow)
            );
        }
    }
}

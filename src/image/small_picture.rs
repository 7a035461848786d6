//! The small picture that a job for a variant leaves, so that the placeholder needs no decode of its own.
//!
//! It shows the whole first frame upright and in sRGB, whatever the variant shows. A job makes it in passing, from the
//! samples that it has decoded anyway, by one pass over them. Which samples these are depends on the variant. So the
//! pictures that two variants leave differ a little, as they do from the one of [`super::placeholder::recipe`].

use super::area_mean::{AreaMean, RowShape};
use super::color::{ColorSpace, Gamut};
use super::header::Header;
use super::light::Light;
use super::pixels::{PixelKind, Pixels};
use super::placeholder::{self, SIDE};
use super::shape::Size;
use super::transform::Transform;
use super::{geometry, orient};

/// The small picture of a job.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum SmallPicture {
    /// The job leaves none.
    #[default]
    Unwanted,
    /// The job leaves one if it decodes enough for it.
    Wanted,
    /// The picture that the job left: at most [`SIDE`] pixels a side.
    Left(Pixels),
}

impl SmallPicture {
    /// The picture, if one was left.
    pub fn into_pixels(self) -> Option<Pixels> {
        if let Self::Left(pixels) = self { Some(pixels) } else { None }
    }

    /// Leaves a picture if one is wanted. `reduce` makes it in stored orientation and in the colours of the file, at most
    /// as large as it is told. `source` may be the headers alone.
    pub(super) fn leave(
        &mut self,
        source: &[u8],
        header: &Header,
        reduce: impl FnOnce(Size) -> Option<Pixels>,
    ) {
        if *self != Self::Wanted {
            return;
        }
        let Some(most) = stored_size(header) else { return };
        let Some(mut pixels) = reduce(most).filter(|pixels| is_enough(pixels.size(), most)) else { return };
        ColorSpace::of(source, header, Gamut::Srgb).convert(&mut pixels);
        *self = Self::Left(orient::apply(Transform::of_orientation(header.orientation), pixels));
    }
}

/// A way for the small picture beside that of a part of the picture, if the latter reads all rows of it.
#[derive(Default)]
pub struct Aside {
    most: Option<Size>,
    light: Light,
    mean: Option<AreaMean>,
}

impl Aside {
    /// One that takes rows if the small picture is wanted.
    pub(super) fn of(small: &SmallPicture, header: &Header, light: Light) -> Self {
        let most = stored_size(header).filter(|_| *small == SmallPicture::Wanted);
        Self { most, light, mean: None }
    }

    /// All rows of a picture of this size will come.
    pub(super) fn begin(&mut self, kind: PixelKind, size: Size) {
        let shape = RowShape::whole(kind, size, self.light);
        self.mean = self.most.and_then(|most| AreaMean::new(shape, within(size, most)));
    }

    /// Takes the next row, if they are wanted.
    pub(super) fn push(&mut self, row: &[u8]) {
        if let Some(mean) = &mut self.mean {
            mean.push(row);
        }
    }

    /// The whole picture, if all of it has come.
    pub(super) fn finish(self) -> Option<Pixels> {
        self.mean?.finish()
    }
}

/// Whether samples of this size, which show the whole picture in stored orientation, are enough for the small picture.
pub(super) fn is_enough_of(header: &Header, size: Size) -> bool {
    stored_size(header).is_some_and(|most| is_enough(size, most))
}

/// The picture that covers so much of these pixels, at most this large; not enlarged.
pub(super) fn reduced(pixels: &Pixels, covered: (f64, f64), light: Light, most: Size) -> Option<Pixels> {
    let shape = RowShape { kind: pixels.kind(), size: pixels.size(), covered, light };
    let mut mean = AreaMean::new(shape, within(pixels.size(), most))?;
    pixels.data().chunks_exact(pixels.stride()).for_each(|row| mean.push(row));
    mean.finish()
}

/// The same of pixels that are the picture.
pub(super) fn reduced_whole(pixels: &Pixels, light: Light, most: Size) -> Option<Pixels> {
    let Size { width, height } = pixels.size();
    reduced(pixels, (width.into(), height.into()), light, most)
}

/// The size that samples of this size are reduced to.
pub(super) fn within(size: Size, most: Size) -> Size {
    Size { width: size.width.min(most.width), height: size.height.min(most.height) }
}

/// Bytes that it takes at most to leave a picture of this image.
pub(super) fn work_bytes(header: &Header) -> u64 {
    let most = Size { width: SIDE, height: SIDE };
    // A plane for each channel, the pixels that they become, and those turned.
    AreaMean::peak_bytes(header.width.max(header.height), most).saturating_add(3 * 4 * most.area())
}

/// The size of the small picture, before it is turned upright.
fn stored_size(header: &Header) -> Option<Size> {
    let plan = geometry::plan(header.displayed(), &placeholder::recipe(), u64::MAX).ok()?;
    Some(Transform::of_orientation(header.orientation).size(plan.size))
}

/// Half the size still shows every wave of a ThumbHash: the shortest one is five pixels long then.
const fn is_enough(size: Size, most: Size) -> bool {
    2 * size.width as u64 >= most.width as u64 && 2 * size.height as u64 >= most.height as u64
}

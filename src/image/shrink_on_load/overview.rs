//! The whole picture, reduced from its planes in passing.

use super::ShrinkOnLoad;
use crate::image::area_mean::{AreaMean, RowShape};
use crate::image::jpeg::ComponentPlane;
use crate::image::light::Light;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;
use crate::image::small_picture;

impl ShrinkOnLoad<'_> {
    /// The whole picture in stored orientation, as gray or RGB, at most this large; luma is not enlarged. The planes
    /// stay as they are: whatever the window is, they show all of the picture. `None` also once `keep_going` returns
    /// false.
    pub(in crate::image) fn overview(
        &self,
        planes: &[ComponentPlane],
        most: Size,
        keep_going: &dyn Fn() -> bool,
    ) -> Option<Pixels> {
        let to = small_picture::within(planes.first()?.size(), most);
        let picture = self.jpeg.size();
        let reduced = planes.iter().enumerate().map(|(component, plane)| {
            let covered = |side: u32, samples_per_pixel: f64| f64::from(side) * samples_per_pixel;
            let covered = (covered(picture.width, plane.across()), covered(picture.height, plane.down()));
            let light = if self.jpeg.is_lit(component) { Light::Linear } else { Light::Encoded };
            let shape = RowShape { kind: PixelKind::Gray, size: plane.size(), covered, light };
            let mut mean = AreaMean::new(shape, to).filter(|_| keep_going())?;
            (0..plane.size().height).for_each(|y| mean.push(plane.row(y)));
            mean.finish()
        });
        self.joined(reduced.collect::<Option<_>>()?)
    }
}

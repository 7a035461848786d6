//! The coordinates of a variant's pixels in the stored picture.

use super::light;
use crate::image::error::RenderError;
use crate::image::geometry::{self, Plan};
use crate::image::header::Header;
use crate::image::light::Light;
use crate::image::pixels::Pixels;
use crate::image::recipe::Recipe;
use crate::image::shape::{Rect, Size};
use crate::image::shrink_on_load::Aim;
use crate::image::smart;
use crate::image::transform::Transform;

/// The transform from the stored to the turned picture, and the cut of the latter.
pub(super) struct WindowPlacement {
    /// Stored → displayed and turned.
    pub(super) transform: Transform,
    /// The size of the turned picture.
    pub(super) turned: Size,
    pub(super) cut: Rect<u32>,
    /// The values whose means the variant's pixels are.
    pub(super) light: Light,
}

impl WindowPlacement {
    pub(super) fn new(source: &[u8], header: &Header, recipe: &Recipe) -> Result<Self, RenderError> {
        let transform = Transform::of_orientation(header.orientation).then(recipe.transform);
        let cut = geometry::cut(header.displayed(), recipe)?;
        let light = light::of(source, header, recipe);
        Ok(Self { transform, turned: transform.size(header.stored()), cut, light })
    }

    /// A cut in stored coordinates.
    pub(super) fn stored_cut(&self, cut: Rect<u32>) -> Rect<u32> {
        self.transform.untransform(cut, self.turned)
    }

    /// A window in a cut of this size, in stored coordinates, counted from the stored cut's corner.
    pub(super) fn stored_window(&self, window: Rect<f64>, cut: Size) -> Rect<f64> {
        self.transform.untransform(window, cut)
    }

    /// The same, after a look at these pixels of the stored cut if the gravity needs it.
    pub(super) fn placed_window(
        &self,
        window: Rect<f64>,
        cut: Size,
        recipe: &Recipe,
        pixels: &Pixels,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Rect<f64>, RenderError> {
        let window = self.stored_window(window, cut);
        if recipe.is_smart() { smart::placed(pixels, pixels.size(), window, keep_going) } else { Ok(window) }
    }

    /// Whether the window of the plan for this cut is the whole picture.
    pub(super) fn shows_all(&self, plan: &Plan) -> bool {
        self.cut.size() == self.turned && plan.window == Rect::whole(self.turned)
    }

    /// The window of the plan for this cut, in stored coordinates.
    pub(super) fn aim(&self, plan: &Plan) -> Aim {
        Aim { window: self.stored_window(plan.window, self.cut.size()), to: self.transform.size(plan.size) }
    }

    /// The same at half the sides: one sample for two pixels of the output. Where a side of the output is odd, the last
    /// sample reaches a pixel beyond it.
    pub(super) fn halved(&self, aim: Aim, plan: &Plan) -> Aim {
        let half = plan.size.halved();
        let pixels = self.transform.size(plan.size);
        let per_pixel =
            (aim.window.width / f64::from(pixels.width), aim.window.height / f64::from(pixels.height));
        let (across, down) =
            if self.transform.swap { (per_pixel.1, per_pixel.0) } else { (per_pixel.0, per_pixel.1) };
        let beyond = |half: u32, side: u32| f64::from(2 * half - side);
        let window = self.transform.grown(
            aim.window,
            beyond(half.width, plan.size.width) * across,
            beyond(half.height, plan.size.height) * down,
        );
        Aim { window, to: self.transform.size(half) }
    }
}

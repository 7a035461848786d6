//! The stages of a still variant, up to the encoder.

use super::layout::WindowPlacement;
use super::reduced::Reduced;
use super::{check, finished};
use crate::image::color::ColorSpace;
use crate::image::decode::SourcePart;
use crate::image::decoded_planes::DecodedPlanes;
use crate::image::error::{DecodeFault, RenderError, proceed};
use crate::image::geometry::{self, Plan};
use crate::image::header::{Header, Limits};
use crate::image::jpeg::ComponentPlane;
use crate::image::pixels::Pixels;
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::recipe::Recipe;
use crate::image::shape::{Rect, Size};
use crate::image::shrink_on_load::{Aim, ShrinkOnLoad};
use crate::image::small_picture::{self, Aside, SmallPicture};
use crate::image::{decode, orient, resize, smart, trim};
use crate::object::Format;

/// The input of an encoder.
pub(super) enum Picture {
    Pixels(Pixels),
    /// A JPEG's planes: luma, and colour differences at half its sides.
    Planes([Pixels; 3]),
}

/// A still variant of an image.
pub(super) struct Still<'a> {
    source: &'a [u8],
    header: &'a Header,
    recipe: &'a Recipe,
    limits: &'a Limits,
    progress: &'a dyn ProgressSink,
    layout: WindowPlacement,
    space: ColorSpace,
}

impl<'a> Still<'a> {
    pub(super) fn new(
        source: &'a [u8],
        header: &'a Header,
        recipe: &'a Recipe,
        limits: &'a Limits,
        progress: &'a dyn ProgressSink,
    ) -> Result<Self, RenderError> {
        check(header, recipe, limits)?;
        let layout = WindowPlacement::new(source, header, recipe)?;
        Ok(Self {
            source,
            header,
            recipe,
            limits,
            progress,
            layout,
            space: ColorSpace::of(source, header, recipe.gamut),
        })
    }

    fn keep_going(&self) -> impl Fn() -> bool + use<'a> {
        let progress = self.progress;
        move || progress.keep_going()
    }

    /// The finished picture; planes if the format takes them and no step has to change pixels.
    pub(super) fn picture(
        mut self,
        cached: &mut DecodedPlanes,
        small: &mut SmallPicture,
    ) -> Result<Picture, RenderError> {
        let Self { source, header, recipe, limits, .. } = self;
        if let Some((reduced, plan)) = Reduced::of(&self.layout, source, header, recipe, limits)? {
            let pixels = self.reduced(&reduced, cached, small)?;
            return self.finished(pixels, &plan);
        }
        let Some((shrunk, plan)) = shrunk(&self.layout, self.source, self.header, self.recipe, self.limits)?
        else {
            let (pixels, plan) = match self.shortcut(small)? {
                Some(shown) => shown,
                None => self.resized(small)?,
            };
            return self.finished(pixels, &plan);
        };
        let planes = self.decoded(&shrunk, cached)?;
        self.progress.enter_stage(RenderStage::Resize);
        let keep_going = self.keep_going();
        small.leave(self.source, self.header, |most| shrunk.overview(&planes, most, &keep_going));
        let aim = self.placed(&shrunk, &planes, self.layout.aim(&plan))?;
        let shrunk = shrunk.with_aim(aim);
        if self.stays_planes(&shrunk, &plan) {
            let planes = shrunk.planes(planes, self.layout.halved(aim, &plan), &keep_going)?;
            return Ok(Picture::Planes(planes.map(|plane| orient::apply(self.layout.transform, plane))));
        }
        let pixels = shrunk.pixels(planes, &keep_going)?;
        self.finished(pixels, &plan)
    }

    fn finished(&mut self, mut pixels: Pixels, plan: &Plan) -> Result<Picture, RenderError> {
        let keep_going = self.keep_going();
        proceed(&keep_going)?;
        self.space.convert(&mut pixels);
        finished(pixels, self.layout.transform, plan.canvas, self.recipe, &keep_going).map(Picture::Pixels)
    }

    /// Whether no step after sizing does anything but turn.
    fn stays_planes(&self, shrunk: &ShrinkOnLoad<'_>, plan: &Plan) -> bool {
        let Recipe { format, grey, blur, sharpen, .. } = self.recipe;
        *format == Format::Jpeg
            && shrunk.is_ycbcr()
            && self.space.is_same()
            && plan.canvas == plan.size
            && !grey
            && blur.is_none()
            && sharpen.is_none()
    }

    /// The decoded planes with which the job begins: reused ones, or the source's.
    fn decoded(
        &self,
        shrunk: &ShrinkOnLoad<'_>,
        cached: &mut DecodedPlanes,
    ) -> Result<Vec<ComponentPlane>, RenderError> {
        if let DecodedPlanes::Reuse(samples) = cached {
            // `source` may be only the headers: without the right samples there is no picture.
            return shrunk
                .reuse_planes(std::mem::take(samples))
                .ok_or(RenderError::Undecodable(DecodeFault::Corrupt));
        }
        self.progress.enter_stage(RenderStage::Decode);
        let planes = shrunk.decode(self.limits, &self.keep_going())?;
        if *cached == DecodedPlanes::Collect {
            let rows = planes.iter().flat_map(|plane| (0..plane.size().height).map(|y| plane.row(y)));
            let mut samples = Vec::with_capacity(shrunk.planes_bytes() as usize);
            rows.for_each(|row| samples.extend_from_slice(row));
            *cached = DecodedPlanes::Collected(samples);
        }
        Ok(planes)
    }

    /// The window of a picture that is decoded reduced, at its final size.
    fn reduced(
        &self,
        reduced: &Reduced<'_>,
        cached: &mut DecodedPlanes,
        small: &mut SmallPicture,
    ) -> Result<Pixels, RenderError> {
        let pixels = reduced.decoded(cached, self.limits, self.progress)?;
        self.progress.enter_stage(RenderStage::Resize);
        let (covered, light) = (reduced.covered(), self.layout.light);
        small.leave(self.source, self.header, |most| small_picture::reduced(&pixels, covered, light, most));
        proceed(&self.keep_going())?;
        let (pixels, mut window) = (reduced.cropped(pixels)?, reduced.window());
        if self.recipe.is_smart() {
            let mut overview = pixels.clone();
            self.space.clone().convert(&mut overview);
            window = smart::placed(&overview, reduced.cut_size(), window, &self.keep_going())?;
        }
        reduced.resized(pixels, window)
    }

    /// The placement, after a look at the picture if the recipe needs it.
    fn placed(
        &self,
        shrunk: &ShrinkOnLoad<'_>,
        planes: &[ComponentPlane],
        aim: Aim,
    ) -> Result<Aim, RenderError> {
        if !self.recipe.is_smart() {
            return Ok(aim);
        }
        let cut = self.layout.stored_cut(self.layout.cut).size();
        let all = Aim { window: Rect::whole(cut), to: smart::reduced(cut) };
        let keep_going = self.keep_going();
        let mut overview = shrunk.clone().with_aim(all).pixels(planes.to_vec(), &keep_going)?;
        self.space.clone().convert(&mut overview);
        Ok(Aim { window: smart::placed(&overview, cut, aim.window, &keep_going)?, ..aim })
    }

    /// Decodes, cuts and scales in one step, if the format has a shorter way and the placement needs no pixels.
    fn shortcut(&self, small: &mut SmallPicture) -> Result<Option<(Pixels, Plan)>, RenderError> {
        let Self { source, header, recipe, limits, progress, layout, .. } = self;
        let Some((part, plan)) = part(layout, recipe, limits)? else { return Ok(None) };
        let is_in_result = self.result_gives_small_picture();
        let mut aside = if is_in_result { Aside::default() } else { Aside::of(small, header, layout.light) };
        let pixels = decode::decode_part(source, header, recipe.frame, &part, limits, &mut aside, *progress)?;
        if let Some(pixels) = &pixels {
            small.leave(source, header, |most| {
                if is_in_result {
                    small_picture::reduced_whole(pixels, layout.light, most)
                } else {
                    aside.finish()
                }
            });
        }
        Ok(pixels.map(|pixels| (pixels, plan)))
    }

    /// Decodes the whole picture, then resizes its window.
    fn resized(&mut self, small: &mut SmallPicture) -> Result<(Pixels, Plan), RenderError> {
        let (keep_going, is_in_result) = (self.keep_going(), self.result_gives_small_picture());
        let is_first = self.recipe.frame.unwrap_or(0) == 0;
        let Self { source, header, recipe, limits, progress, layout, space } = self;
        progress.enter_stage(RenderStage::Decode);
        let mut pixels = decode::decode(source, header, recipe.frame, limits, &keep_going)?;
        progress.enter_stage(RenderStage::Resize);
        if is_first && !is_in_result {
            small.leave(source, header, |most| small_picture::reduced_whole(&pixels, layout.light, most));
        }
        if recipe.looks_at_pixels() {
            space.convert(&mut pixels);
        }
        let cut = if recipe.trim { trim::trimmed(&pixels, layout.transform, layout.cut) } else { layout.cut };
        let plan = geometry::plan(cut.size(), recipe, limits.pixels_max)?;
        proceed(&keep_going)?;
        let mut pixels = pixels.cropped(layout.stored_cut(cut)).ok_or(RenderError::BadWindow)?;
        let window = layout.placed_window(plan.window, cut.size(), recipe, &pixels, &keep_going)?;
        if plan.size.area() > cut.size().area() {
            space.convert(&mut pixels);
        }
        let pixels = resize::resize_in(layout.light, pixels, window, layout.transform.size(plan.size))?;
        if is_first && is_in_result {
            small.leave(source, header, |most| small_picture::reduced_whole(&pixels, layout.light, most));
        }
        Ok((pixels, plan))
    }

    /// Whether the resized window, which has fewer pixels than the decoded picture, gives the small picture as well: it
    /// shows all, has enough pixels, and is still in the colours of the file.
    fn result_gives_small_picture(&self) -> bool {
        let Self { header, recipe, limits, layout, .. } = self;
        let plan = geometry::plan(layout.cut.size(), recipe, limits.pixels_max).ok();
        !recipe.looks_at_pixels()
            && plan.is_some_and(|plan| {
                layout.shows_all(&plan)
                    && plan.size.area() <= layout.cut.size().area()
                    && small_picture::is_enough_of(header, layout.transform.size(plan.size))
            })
    }
}

/// The window scaled down during the decode, if source and recipe allow it.
pub(super) fn shrunk<'a>(
    layout: &WindowPlacement,
    source: &'a [u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
) -> Result<Option<(ShrinkOnLoad<'a>, Plan)>, RenderError> {
    if recipe.trim || recipe.frame.unwrap_or(0) > 0 {
        return Ok(None);
    }
    let plan = geometry::plan(layout.cut.size(), recipe, limits.pixels_max)?;
    let (cut, aim) = (layout.stored_cut(layout.cut), layout.aim(&plan));
    let shrunk = ShrinkOnLoad::of(source, header, cut, aim, recipe.format, layout.light);
    Ok(shrunk.map(|shrunk| (shrunk, plan)))
}

/// The part of the stored picture that is shown, if no pixels are needed to know it.
pub(super) fn part(
    layout: &WindowPlacement,
    recipe: &Recipe,
    limits: &Limits,
) -> Result<Option<(SourcePart, Plan)>, RenderError> {
    if recipe.looks_at_pixels() {
        return Ok(None);
    }
    let plan = geometry::plan(layout.cut.size(), recipe, limits.pixels_max)?;
    let Aim { window, to } = layout.aim(&plan);
    let part = SourcePart { cut: layout.stored_cut(layout.cut), window, to, light: layout.light };
    Ok(Some((part, plan)))
}

/// Peak memory of the shorter way in bytes, if it is taken and known to need less than the long way.
pub(super) fn shortcut_peak_bytes(
    layout: &WindowPlacement,
    source: &[u8],
    header: &Header,
    recipe: &Recipe,
    limits: &Limits,
) -> Result<Option<u64>, RenderError> {
    if let Some((reduced, _)) = Reduced::of(layout, source, header, recipe, limits)? {
        return Ok(Some(reduced.peak_bytes()));
    }
    if let Some((shrunk, _)) = shrunk(layout, source, header, recipe, limits)? {
        return Ok(Some(shrunk.peak_bytes()));
    }
    let part = part(layout, recipe, limits)?;
    Ok(part.and_then(|(part, _)| decode::part_peak_bytes(source, header, recipe.frame, &part)))
}

impl Picture {
    /// The size of the pixels.
    pub(super) const fn size(&self) -> Size {
        match self {
            Self::Pixels(pixels) => pixels.size(),
            Self::Planes([luma, ..]) => luma.size(),
        }
    }
}

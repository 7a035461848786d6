//! The library's conversions from a profile's colours to those of a result.

use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, RenderingIntent, ToneReprCurve, Transform8BitExecutor,
    TransformOptions,
};

use super::gamut::Gamut;

/// The curve from a gray profile to the gray of every [`Gamut`].
pub(super) fn gray(curve: ToneReprCurve) -> Option<Box<[u8; 256]>> {
    let mut profile = ColorProfile::new_gray_with_gamma(1.0);
    profile.gray_trc = Some(curve);
    gray_curve(&profile)
}

pub(super) fn gray_curve(profile: &ColorProfile) -> Option<Box<[u8; 256]>> {
    let mut target = ColorProfile::new_gray_with_gamma(1.0);
    target.gray_trc = ColorProfile::new_srgb().red_trc;
    let executor = profile.create_transform_8bit(Layout::Gray, &target, Layout::Gray, options()).ok()?;
    let values: Vec<u8> = (0..=255).collect();
    let mut curve = Box::new([0; 256]);
    executor.transform(&values, &mut curve[..]).ok()?;
    Some(curve)
}

/// The conversion from RGB or CMYK to RGB.
pub(super) fn transform(profile: &ColorProfile, to: Gamut) -> Option<Arc<Transform8BitExecutor>> {
    let layout = if profile.color_space == DataColorSpace::Cmyk { Layout::Rgba } else { Layout::Rgb };
    profile.create_transform_8bit(layout, &to.profile(), Layout::Rgb, options()).ok()
}

fn options() -> TransformOptions {
    TransformOptions {
        rendering_intent: RenderingIntent::RelativeColorimetric,
        ..TransformOptions::default()
    }
}

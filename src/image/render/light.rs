//! The values whose means the pixels of a variant are.

use crate::image::color::ColorSpace;
use crate::image::decode;
use crate::image::header::Header;
use crate::image::light::{Light, LightSetting};
use crate::image::recipe::Recipe;

/// Linear light for photos, and stored values for drawings and text, unless the recipe says one for all. Stored values
/// also where sRGB's curve does not fit them.
pub(super) fn of(source: &[u8], header: &Header, recipe: &Recipe) -> Light {
    let is_linear = match recipe.light {
        LightSetting::Auto => decode::is_photo(source, header.format),
        LightSetting::Always(light) => light == Light::Linear,
    };
    if is_linear && ColorSpace::of(source, header, recipe.gamut).has_like_curve() {
        Light::Linear
    } else {
        Light::Encoded
    }
}

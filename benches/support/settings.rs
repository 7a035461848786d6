//! The settings that the benches resolve specs by.

use reticulum::image::light::LightSetting;
use reticulum::image::recipe::{AnimationMax, Originals, OutputMax, Quality, RecipeSettings};

/// The defaults of the configuration.
pub(crate) const SETTINGS: RecipeSettings = RecipeSettings {
    quality: Quality { jpeg: 82, webp: 80, avif: 60 },
    upscale: false,
    dimension_max: 8192,
    animation: AnimationMax { frames: 1000, pixels: 500_000_000 },
    output_max: OutputMax::NONE,
    originals: Originals::AsIs,
    light: LightSetting::Auto,
};

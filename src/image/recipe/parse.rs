//! Parses a recipe's canonical text, in which one node requests a variant from another.
//!
//! The text is converted to a spec and settings and resolved like any other. The result is valid only if its own text
//! is exactly the same. So a peer cannot request anything that a URL could not.

use super::{AnimationMax, ENCODER_VERSION, Originals, OutputMax, Quality, Recipe, RecipeSettings};
use crate::image::light::{Light, LightSetting};
use crate::object::{Format, Spec};

impl Recipe {
    /// The recipe with this [`Recipe::key`] and these bounds on its sides and pixels; `None` for any other text, also
    /// for a key of another encoder version.
    pub fn parse(text: &str, dimension_max: u32, output_max: OutputMax) -> Option<Self> {
        let rest = text.strip_prefix(&format!("v{ENCODER_VERSION},"))?;
        let (extension, parts) = rest.split_once(',')?;
        let format = Format::WRITTEN.into_iter().find(|format| format.extension() == extension)?;
        let mut animation = AnimationMax { frames: 0, pixels: 0 };
        let mut spec = Vec::new();
        let (mut originals, mut light) = (Originals::AsIs, LightSetting::Auto);
        let flops = parts.split(',').any(|part| part == "flop");
        for part in parts.split(',') {
            match part {
                // A swap of the axes is a quarter turn and a mirror.
                "swap" => spec.push("rot90"),
                "flop" => {}
                "stripped" => originals = Originals::Stripped,
                "light-linear" => light = LightSetting::Always(Light::Linear),
                "light-encoded" => light = LightSetting::Always(Light::Encoded),
                part => match part.strip_prefix("play").and_then(|most| most.split_once('-')) {
                    Some((frames, pixels)) => {
                        animation =
                            AnimationMax { frames: frames.parse().ok()?, pixels: pixels.parse().ok()? };
                    }
                    None => spec.push(part),
                },
            }
        }
        if spec.contains(&"rot90") != flops {
            spec.push("flop");
        }
        // The text has a quality wherever the format takes one, so no default is used.
        let mut spec = Spec::parse(&spec.join(",")).ok()?;
        let named = spec.quality.unwrap_or(1);
        let quality = Quality { jpeg: named, webp: named, avif: named };
        if originals == Originals::Stripped {
            // No other spec gives such a recipe.
            spec = Spec::full();
        }
        let settings = RecipeSettings {
            quality,
            upscale: false,
            dimension_max,
            animation,
            output_max,
            originals,
            light,
        };
        let recipe = Self::resolve(&spec, format, &settings).ok()?;
        (recipe.key() == text).then_some(recipe)
    }
}

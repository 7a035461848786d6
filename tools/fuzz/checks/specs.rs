//! Specs: what was parsed prints to what parses to the same; recipes of it are made or refused.

use reticulum::image::recipe::Recipe;
use reticulum::object::{Extension, Format, Spec};

use super::rendering::SETTINGS;

/// Any bytes as the spec of a URL.
pub fn spec(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(spec) = Spec::parse(text) else { return };
    let extensions = Format::ALL.map(Extension::Format).into_iter().chain([Extension::Auto]);
    for extension in extensions {
        let canonical = spec.canonical_for(extension);
        let printed = canonical.to_string();
        let again = Spec::parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(again, canonical, "{printed} parses to another");
        assert_eq!(again.canonical_for(extension).to_string(), printed, "not the canonical form");
        let Extension::Format(format) = extension else { continue };
        let recipes = [&spec, &canonical].map(|spec| Recipe::resolve(spec, format, &SETTINGS));
        assert_eq!(recipes[0], recipes[1], "{printed} is made in another way");
    }
}

//! Most pixels of a result: a number for every format, or a table with numbers for some.

use std::ffi::OsStr;

use toml::de::DeValue;

use super::{RawValue, Setting, ValueError, cut, split};
use crate::image::recipe::OutputMax;
use crate::object::Format;

/// The bound of formats that a table does not name.
const DEFAULT: u64 = 50_000_000;

/// AVIF takes by far the most processor time: about ten seconds for 8 megapixels.
const DEFAULT_AVIF: u64 = 8_000_000;

/// No format holds more pixels, so a higher number would be no bound.
const MOST: u64 = 4_000_000_000;

/// The name for all formats that are not named.
const OTHERS: &str = "default";

/// A bound for every format.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct OutputPixels {
    others: u64,
    /// In the order of the formats; those that are not named follow `others`.
    named: Vec<(Format, u64)>,
}

impl Default for OutputPixels {
    fn default() -> Self {
        Self { others: DEFAULT, named: vec![(Format::Avif, DEFAULT_AVIF)] }
    }
}

impl OutputPixels {
    /// The bounds.
    pub(in crate::config) fn bounds(&self) -> OutputMax {
        let others = OutputMax::all(self.others);
        self.named.iter().fold(others, |bounds, (format, pixels)| bounds.with(*format, *pixels))
    }

    fn name(&mut self, name: &str, pixels: u64) -> bool {
        if name == OTHERS {
            self.others = pixels;
            return true;
        }
        let Some(format) = Format::WRITTEN.into_iter().find(|format| name == key(*format)) else {
            return false;
        };
        self.named.retain(|(named, _)| *named != format);
        self.named.push((format, pixels));
        self.named.sort_by_key(|(format, _)| *format);
        true
    }
}

/// The name of a format, as in `images.quality`.
fn key(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "jpeg",
        other => other.extension(),
    }
}

fn pixels(given: RawValue<'_>) -> Option<u64> {
    given.integer().filter(|pixels| (1..=MOST).contains(pixels))
}

impl Setting for OutputPixels {
    fn set(&mut self, given: RawValue<'_>) -> Result<(), Vec<ValueError>> {
        if let Some(pixels) = pixels(given) {
            *self = Self { others: pixels, named: Vec::new() };
            return Ok(());
        }
        // A format that a table does not name keeps its default, also if another source set it.
        let (mut read, mut faults) = (Self::default(), Vec::new());
        let mut add = |name: &str, value: RawValue<'_>| {
            if !pixels(value).is_some_and(|pixels| read.name(name, pixels)) {
                let item = format!("{} = {}", cut(name).escape_default(), value.print());
                faults.push(ValueError::Item { item, takes: takes_item() });
            }
        };
        match given {
            RawValue::Toml(DeValue::Table(table)) => {
                table.iter().for_each(|(name, value)| add(name.get_ref(), RawValue::Toml(value.get_ref())));
            }
            RawValue::Words(words) if words.to_str().is_some_and(|text| text.contains('=')) => {
                for pair in split(words, ';') {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    add(name.trim(), RawValue::Words(OsStr::new(value.trim())));
                }
            }
            _ => return Err(vec![ValueError::Value { value: given.print(), takes: self.takes() }]),
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        *self = read;
        Ok(())
    }

    fn print(&self) -> Option<String> {
        // A plain number is for every format; a table always has a bound for AVIF, named or default.
        if self.named.is_empty() {
            return Some(self.others.to_string());
        }
        let named = self.named.iter().map(|(format, pixels)| format!(", {} = {pixels}", key(*format)));
        Some(format!("{{ {OTHERS} = {}{} }}", self.others, named.collect::<String>()))
    }

    fn takes(&self) -> String {
        format!(
            "an integer from 1 to {MOST} for every format, or a table as in {{ {OTHERS} = {DEFAULT}, avif = {DEFAULT_AVIF} }} (in a variable: {OTHERS}={DEFAULT};avif={DEFAULT_AVIF})"
        )
    }
}

fn takes_item() -> String {
    format!("{OTHERS}, jpeg, png, gif, webp or avif, each = an integer from 1 to {MOST}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> Result<OutputPixels, Vec<ValueError>> {
        let mut pixels = OutputPixels::default();
        pixels.set(RawValue::Words(OsStr::new(words))).map(|()| pixels)
    }

    fn bounds(words: &str) -> [u64; 5] {
        let bounds = set(words).unwrap().bounds();
        [Format::Jpeg, Format::Png, Format::Gif, Format::Webp, Format::Avif].map(|format| bounds.of(format))
    }

    #[test]
    fn a_number_is_for_every_format_and_a_table_for_those_that_it_names() {
        assert_eq!((bounds("7"), set("7").unwrap().print().unwrap()), ([7; 5], "7".to_owned()));
        assert_eq!(bounds("default=9"), [9, 9, 9, 9, DEFAULT_AVIF]);
        assert_eq!(bounds("avif=3; jpeg = 5"), [5, DEFAULT, DEFAULT, DEFAULT, 3]);
        assert_eq!(
            set("avif=3;jpeg=5").unwrap().print().unwrap(),
            "{ default = 50000000, jpeg = 5, avif = 3 }"
        );
    }

    #[test]
    fn every_bad_item_is_told_and_nothing_is_taken() {
        assert_eq!(set("default=1;bmp=2;avif=0;webp=x").unwrap_err().len(), 3);
        for words in ["", "0", "many", "4000000001"] {
            assert!(matches!(set(words).unwrap_err()[..], [ValueError::Value { .. }]), "{words}");
        }
    }
}

//! Named specs: a table in a file, `name=spec;name=spec` in a variable.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;

use toml::de::DeValue;

use super::{RawValue, Setting, Value, ValueError, cut, quote, split};
use crate::object::spec::{PresetName, SpecSize};
use crate::object::{Spec, SpecError};

/// Presets by name. Each can be made, and none names another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::config) struct Presets(pub(in super::super) BTreeMap<PresetName, Spec>);

/// One whole option that may follow a preset's name, in canonical form, as in `q50`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct PresetOption(String);

/// The prefix that makes an option a spec.
const BEFORE_OPTION: &str = "p-x,";

impl PresetOption {
    pub(in crate::config) fn into_text(self) -> String {
        self.0
    }
}

impl Value for PresetOption {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let text = given.text().filter(|text| !text.contains(','))?;
        let spec = Spec::parse(&format!("{BEFORE_OPTION}{text}")).ok()?;
        spec.options().pop().map(Self)
    }

    fn print(&self) -> String {
        quote(&self.0)
    }

    fn takes() -> String {
        "one whole option of a spec, such as \"q50\" or \"dpr2\"".to_owned()
    }
}

/// The reason why a preset cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum PresetFault {
    /// Its name is not valid.
    Name,
    /// Another preset has that name; case does not count.
    Twice,
    /// Its value, as written, is not a text.
    NotText(String),
    /// Its value, as written, is not a spec.
    Spec(String, SpecError),
    /// Its spec, as written, names a preset.
    NamesPreset(String),
}

impl Setting for Presets {
    fn set(&mut self, given: RawValue<'_>) -> Result<(), Vec<ValueError>> {
        let mut presets = BTreeMap::new();
        let mut faults = Vec::new();
        let mut add = |name: &str, spec: RawValue<'_>| {
            let added = read(spec).and_then(|spec| {
                let name = PresetName::parse(name).ok_or(PresetFault::Name)?;
                presets.insert(name, spec).map_or(Ok(()), |_| Err(PresetFault::Twice))
            });
            if let Err(fault) = added {
                faults.push(ValueError::Preset { name: cut(name).escape_default().to_string(), fault });
            }
        };
        match given {
            RawValue::Toml(DeValue::Table(table)) => {
                table.iter().for_each(|(name, spec)| add(name.get_ref(), RawValue::Toml(spec.get_ref())));
            }
            RawValue::Words(words) if is_list(words) => {
                let pairs = split(words, ';').filter_map(|pair| pair.split_once('='));
                pairs.for_each(|(name, spec)| add(name.trim(), RawValue::Words(OsStr::new(spec.trim()))));
            }
            _ => return Err(vec![ValueError::Value { value: given.print(), takes: self.takes() }]),
        }
        if faults.is_empty() {
            self.0 = presets;
            Ok(())
        } else {
            Err(faults)
        }
    }

    fn print(&self) -> Option<String> {
        let print =
            |(name, spec): (&PresetName, &Spec)| format!("{} = {}", name.as_str(), quote(&spec.to_string()));
        let presets: Vec<_> = self.0.iter().map(print).collect();
        Some(if presets.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", presets.join(", ")) })
    }

    fn takes(&self) -> String {
        "a table of names and specs as in { thumb = \"200s\" } (in a variable: thumb=200s;wide=800w)"
            .to_owned()
    }
}

fn is_list(words: &OsStr) -> bool {
    words.to_str().is_some() && split(words, ';').all(|pair| pair.contains('='))
}

fn read(given: RawValue<'_>) -> Result<Spec, PresetFault> {
    let text = given.text().ok_or_else(|| PresetFault::NotText(given.print()))?;
    let spec = Spec::parse(text).map_err(|error| PresetFault::Spec(given.print(), error))?;
    match spec.size {
        SpecSize::Preset(_) => Err(PresetFault::NamesPreset(given.print())),
        _ => Ok(spec),
    }
}

impl fmt::Display for PresetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                " has an invalid name: write 1 to {} characters of a-z, 0-9, _ and -",
                PresetName::LENGTH_MAX
            ),
            Self::Twice => f.write_str(" is set twice: keep one (upper and lower case are the same)"),
            Self::NotText(value) => write!(f, " = {value} is not a text: write a spec such as \"200s\""),
            Self::Spec(spec, error) => write!(f, " = {spec} is not a spec: {error}"),
            Self::NamesPreset(spec) => {
                write!(f, " = {spec} names a preset: write the options of that preset instead")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> Result<Presets, Vec<ValueError>> {
        let mut presets = Presets::default();
        presets.set(RawValue::Words(OsStr::new(words))).map(|()| presets)
    }

    #[test]
    fn a_variable_holds_several_presets_with_commas_in_their_specs() {
        let presets = set("thumb=200s ; Wide = q70,0300w200h,fill").unwrap();
        assert_eq!(presets.print().unwrap(), "{ thumb = \"200s\", wide = \"300w200h,fill,q70\" }");
        assert_eq!(set(" ").unwrap(), Presets::default());
    }

    #[test]
    fn every_bad_preset_is_told_and_none_is_taken() {
        let mut presets = set("old=10s").unwrap();
        let words = "a=nonsense;b=p-old;c d=20s;e=30s;E=40s;f=50s";
        let faults = presets.set(RawValue::Words(OsStr::new(words))).unwrap_err();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for (fault, expected) in told.iter().zip(["not a spec", "names a preset", "an invalid name", "twice"])
        {
            assert!(fault.contains(expected), "{fault}");
        }
        assert_eq!(presets, set("old=10s").unwrap());
    }

    #[test]
    fn an_override_is_one_whole_option() {
        let read =
            |text: &str| PresetOption::read(RawValue::Words(OsStr::new(text))).map(PresetOption::into_text);
        for (text, option) in [
            ("q50", "q50"),
            ("Q050", "q50"),
            ("dpr2.0", "dpr2"),
            ("dpr1", "dpr1"),
            ("g-c", "g-c"),
            ("bg-FFffFF", "bg-ffffff"),
            ("crop-1-2-3-4", "crop-1-2-3-4"),
            ("meta", "meta"),
        ] {
            assert_eq!(read(text).as_deref(), Some(option), "{text}");
        }
        for text in
            ["", "dpr", "q", "q0", "g-", "200s", "full", "p-thumb", "q50,flip", ",", "q50,", "rot45", "q5*"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused() {
        assert!(matches!(set("200s").unwrap_err()[..], [ValueError::Value { .. }]));
        assert!(matches!(set("a=200s;").unwrap_err()[..], [ValueError::Value { .. }]));
    }
}

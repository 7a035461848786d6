//! Presets: specs that the configuration names, and whether variants are made by them alone. Pure.

use std::collections::BTreeMap;

use crate::http::HttpSettings;
use crate::http::reply::Problem;
use crate::object::spec::PresetName;
use crate::object::{Spec, SpecError};

/// The preset settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presets<'a> {
    named: &'a BTreeMap<PresetName, Spec>,
    only: bool,
    /// Options that may follow a preset's name where only presets are made.
    overrides: &'a [String],
}

impl<'a> Presets<'a> {
    pub(super) const fn new(
        named: &'a BTreeMap<PresetName, Spec>,
        only: bool,
        overrides: &'a [String],
    ) -> Self {
        Self { named, only, overrides }
    }

    pub(super) fn of(settings: &'a HttpSettings) -> Self {
        Self::new(&settings.presets, settings.only_presets, &settings.preset_overrides)
    }

    /// The meaning of a spec once its preset, if it names one, is expanded.
    ///
    /// # Errors
    /// What is wrong with the spec.
    pub(super) fn meaning(self, spec: &Spec) -> Result<Spec, SpecError> {
        spec.expanded(|name| self.named.get(name))
    }

    /// Whether a URL, or an upload's hint, may ask for this spec, as it was written: an option that is listed admits no
    /// other value of its kind. `full` alone may mean the stored bytes, which are no variant: only a caller that knows the
    /// stored format can refuse it.
    ///
    /// # Errors
    /// [`Problem::OnlyPresets`] where the spec names none and must, or has an option beside its preset.
    pub(super) fn admit(self, spec: &Spec) -> Result<(), Problem> {
        let admitted = !self.only
            || spec.is_full_plain()
            || spec.preset().is_some() && spec.options().iter().all(|option| self.overrides.contains(option));
        if admitted { Ok(()) } else { Err(Problem::OnlyPresets) }
    }

    /// Whether this is no preset's but the stored bytes, which need not be made ahead, or what only a preset may ask for.
    pub(super) fn is_stored_only(self, spec: &Spec) -> bool {
        self.only && spec.is_full_plain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_only_presets_are_made_each_option_beside_one_must_be_listed_whole() {
        let named = BTreeMap::new();
        let overrides = ["q50", "dpr2", "g-c"].map(str::to_owned);
        let admits = |only, spec: &str| {
            Presets::new(&named, only, &overrides).admit(&Spec::parse(spec).unwrap()).is_ok()
        };
        for spec in ["p-a", "P-A,Q050", "p-a,q50", "p-a,dpr2.0", "p-a,q50,dpr2", "p-a,g-c", "full"] {
            assert!(admits(true, spec), "{spec}");
        }
        for spec in [
            "p-a,q51",
            "p-a,q5",
            "p-a,dpr2.5",
            "p-a,q50,grey",
            "p-a,up",
            "p-a,meta",
            "full,q50",
            "9s",
            "9s,q50",
        ] {
            assert!(!admits(true, spec) && admits(false, spec), "{spec}");
        }
    }
}

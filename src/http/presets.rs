//! Presets: specs that the configuration names, and whether variants are made by them alone. Pure.

use std::collections::BTreeMap;

use super::Settings;
use super::reply::Problem;
use crate::object::spec::PresetName;
use crate::object::{Spec, SpecError};

/// What the configuration says about presets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presets<'a> {
    named: &'a BTreeMap<PresetName, Spec>,
    only: bool,
}

impl<'a> Presets<'a> {
    pub(super) const fn new(named: &'a BTreeMap<PresetName, Spec>, only: bool) -> Self {
        Self { named, only }
    }

    pub(super) const fn of(settings: &'a Settings) -> Self {
        Self::new(&settings.presets, settings.only_presets)
    }

    /// What a spec means once its preset, if it names one, is written out.
    ///
    /// # Errors
    /// What is wrong with the spec.
    pub(super) fn meaning(self, spec: &Spec) -> Result<Spec, SpecError> {
        spec.expanded(|name| self.named.get(name))
    }

    /// Whether a URL may ask for this spec. `full` alone may mean the stored bytes, which are no variant: only
    /// whoever knows the stored format can refuse it.
    ///
    /// # Errors
    /// [`Problem::OnlyPresets`] where the spec names none and must.
    pub(super) fn admit(self, spec: &Spec) -> Result<(), Problem> {
        if self.only && spec.preset().is_none() && !spec.is_full_plain() {
            return Err(Problem::OnlyPresets);
        }
        Ok(())
    }
}

//! A configuration that is being collected: values, the origin of each, and all faults so far.
//!
//! Later sources override earlier ones. A fault never ends the collection. A rule between keys is not checked if one of
//! its keys has a fault, because that key's value is not the intended one.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Cause, ConfigError, ConfigFault, SettingOrigin};
use super::key::ConfigKey;
use super::rule;
use super::setting::RawValue;
use super::setting::number::BoundedInteger;
use super::setting::text::Name;
use super::setting::url::UrlSetting;
use super::values::Values;

/// The settings read so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) values: Values,
    places: BTreeMap<&'static str, SettingOrigin>,
    faulty: BTreeSet<&'static str>,
    faults: Vec<ConfigFault>,
}

impl Draft {
    /// Sets a key, or keeps its faults.
    pub(super) fn set(&mut self, key: &'static ConfigKey, given: RawValue<'_>, place: SettingOrigin) {
        match (key.place)(&mut self.values).set(given) {
            Ok(()) => {
                self.faulty.remove(key.path);
            }
            Err(wrongs) => {
                self.faulty.insert(key.path);
                let fault = |wrong| ConfigFault {
                    place: place.clone(),
                    cause: Cause::Value { key: key.path, wrong },
                };
                self.faults.extend(wrongs.into_iter().map(fault));
            }
        }
        self.places.insert(key.path, place);
    }

    /// Adds a fault that does not belong to a value.
    pub(super) fn add_fault(&mut self, place: SettingOrigin, cause: Cause) {
        self.faults.push(ConfigFault { place, cause });
    }

    /// Forgets the cluster's secrets. Three keys set them, so a source that uses one of the keys overrides any key of
    /// an earlier source.
    pub(super) fn forget_secrets(&mut self) {
        self.values.cluster.secrets = Values::default().cluster.secrets;
        self.values.cluster.secret = None;
        self.values.cluster.secret_file = None;
        for path in &rule::SECRETS {
            self.places.remove(path);
        }
    }

    /// Fills in the defaults that depend on other values or on the host.
    pub(super) fn fill_in(&mut self, host: &str) {
        let values = &mut self.values;
        values.node.name.get_or_insert_with(|| Name::like(host));
        values.node.url.get_or_insert_with(|| UrlSetting::from(values.node.listen));
        let replication = values.cluster.replication.0;
        values.cluster.min_replication.get_or_insert(BoundedInteger(replication.min(2)));
    }

    /// The values, and the keys that were set, with the origin of each.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault, of values and of rules, in the order of their places.
    pub(super) fn finish(mut self) -> Result<(Values, BTreeMap<&'static str, SettingOrigin>), ConfigError> {
        // A file that was not read completely may set the keys of any rule.
        let broken = if self.faults.iter().any(|fault| fault.cause.hides_keys()) {
            Vec::new()
        } else {
            rule::find_broken(&self.values)
        };
        for rule in broken {
            let keys = rule.keys();
            if keys.iter().any(|key| self.faulty.contains(key)) {
                continue;
            }
            let place = keys.iter().find_map(|key| self.places.get(key)).cloned();
            self.add_fault(place.unwrap_or(SettingOrigin::Default), Cause::Rule(rule));
        }
        self.faults.sort_by(|one, other| one.place.cmp(&other.place));
        if self.faults.is_empty() {
            Ok((self.values, self.places))
        } else {
            Err(ConfigError { faults: self.faults })
        }
    }
}

//! The environment: a variable for every key, and short forms.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::draft::Draft;
use super::fault::{Cause, SettingOrigin};
use super::key::{ConfigKey, KEYS, PREFIX};
use super::rule;
use super::setting::RawValue;

/// The variable that names the configuration file.
const CONFIG: &str = "RETICULUM_CONFIG";

/// Short forms, and the keys that they set.
const SHORT: [(&str, &str); 2] = [("RETICULUM_DATA", "node.data"), ("RETICULUM_LISTEN", "node.listen")];

/// Variables for the commands that ask a node; a node ignores them.
const OF_CLIENTS: [&str; 3] = ["RETICULUM_NODE", "RETICULUM_KEY", "RETICULUM_OPERATOR_KEY"];

/// The variables that begin with [`PREFIX`].
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

/// A variable that begins with [`PREFIX`] and is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The known variable that is most like it.
    pub nearest: String,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// An environment of these names and values.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        Self(variables.into_iter().filter(|(name, _)| is_ours(name)).collect())
    }

    /// Every unknown variable: it gets a warning only, because another version may know it.
    pub fn find_unknown(&self) -> Vec<UnknownVariable> {
        let known: Vec<_> = list_known().collect();
        let unknown = self.0.iter().map(|(name, _)| name.to_string_lossy().into_owned());
        let unknown = unknown.filter(|name| !known.contains(name));
        let nearest = |name: &str| {
            known
                .iter()
                .min_by_key(|known| strsim::damerau_levenshtein(known, name))
                .cloned()
                .unwrap_or_default()
        };
        unknown.map(|name| UnknownVariable { nearest: nearest(&name), name }).collect()
    }

    /// The configuration file that it names.
    pub(super) fn config(&self) -> Option<&Path> {
        self.get(CONFIG).map(Path::new)
    }

    /// Sets every key that a variable names.
    pub(super) fn apply(&self, draft: &mut Draft) {
        if rule::SECRETS.iter().any(|path| self.get(&ConfigKey::of(path).variable()).is_some()) {
            draft.forget_secrets();
        }
        for key in KEYS {
            let name = key.variable();
            if let Some(value) = self.get(&name) {
                draft.set(key, RawValue::Words(value), SettingOrigin::Variable(name));
            }
        }
        for (short, path) in SHORT {
            let (key, Some(value)) = (ConfigKey::of(path), self.get(short)) else { continue };
            let long = key.variable();
            if self.get(&long).is_some_and(|other| other != value) {
                draft.add_fault(
                    SettingOrigin::Variable(short.to_owned()),
                    Cause::TwoVariables { other: long },
                );
            }
            draft.set(key, RawValue::Words(value), SettingOrigin::Variable(short.to_owned()));
        }
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }
}

fn list_known() -> impl Iterator<Item = String> {
    let short = SHORT.iter().map(|(name, _)| *name);
    let others = short.chain(OF_CLIENTS).chain([CONFIG]).map(str::to_owned);
    KEYS.iter().map(ConfigKey::variable).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(names: &[&str]) -> Environment {
        Environment::new(names.iter().map(|name| (name.into(), "x".into())))
    }

    #[test]
    fn an_unknown_variable_is_told_with_the_nearest_one() {
        let unknown =
            environment(&["RETICULUM_LIMITS_UPLOD", "RETICULUM_CONFG", "PATH", "reticulum_x"]).find_unknown();
        let told: Vec<_> = unknown.iter().map(|it| (it.name.as_str(), it.nearest.as_str())).collect();
        assert_eq!(
            told,
            [("RETICULUM_LIMITS_UPLOD", "RETICULUM_LIMITS_UPLOADS"), ("RETICULUM_CONFG", "RETICULUM_CONFIG")]
        );
    }

    #[test]
    fn every_known_variable_is_known() {
        let names: Vec<_> = list_known().collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(environment(&names).find_unknown(), []);
        for name in
            ["RETICULUM_NODE", "RETICULUM_KEY", "RETICULUM_OPERATOR_KEY", "RETICULUM_IMAGES_QUALITY_JPEG"]
        {
            assert!(names.contains(&name), "{name}");
        }
    }
}

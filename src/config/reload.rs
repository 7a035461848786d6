//! Reload: the keys that SIGHUP applies, and the keys that need a restart.

use super::Config;
use super::key::{ConfigKey, KEYS};

/// Keys whose new values SIGHUP applies to a running node (in `control`). The name of a section stands for all of its
/// keys.
const RELOADED: &[&str] = &[
    "cluster.secrets",
    "cluster.secret",
    "cluster.secret_file",
    "images.presets",
    "images.only_presets",
    "access",
    "log.level",
];

impl Config {
    /// The keys with other values in `newer` that need a restart, in the order of the table of keys.
    pub fn changed_until_restart(&self, newer: &Self) -> Vec<&'static str> {
        let (mut old, mut new) = (self.values.clone(), newer.values.clone());
        let mut changed = |key: &&ConfigKey| (key.place)(&mut old).print() != (key.place)(&mut new).print();
        KEYS.iter().filter(|key| !is_reloaded(key)).filter(|key| changed(key)).map(|key| key.path).collect()
    }
}

fn is_reloaded(key: &ConfigKey) -> bool {
    RELOADED.contains(&key.path) || RELOADED.contains(&key.section())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Serve;
    use crate::config::setting::{MASK, RawValue};
    use crate::config::values::Values;
    use crate::config::{Environment, load};

    fn config(variables: &[(&str, &str)]) -> Config {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        load(&Serve::default(), &Environment::new(variables)).unwrap()
    }

    #[test]
    fn tells_changed_keys_that_need_a_restart_and_no_others() {
        let old = config(&[]);
        assert_eq!(old.changed_until_restart(&config(&[])), [""; 0]);
        let reloaded = config(&[
            ("RETICULUM_LOG_LEVEL", "debug"),
            ("RETICULUM_IMAGES_PRESETS", "thumb=200s"),
            ("RETICULUM_ACCESS_UPLOAD_KEYS", "an upload key of 16 bytes"),
        ]);
        assert_eq!(old.changed_until_restart(&reloaded), [""; 0]);
        let others = config(&[
            ("RETICULUM_LOG_FORMAT", "json"),
            ("RETICULUM_LIMITS_UPLOADS", "3"),
            ("RETICULUM_IMAGES_QUALITY_AVIF", "3"),
            ("RETICULUM_LOG_LEVEL", "debug"),
        ]);
        let expected = ["images.quality.avif", "limits.uploads", "log.format"];
        assert_eq!(old.changed_until_restart(&others), expected);
        assert_eq!(others.changed_until_restart(&old), expected);
    }

    #[test]
    fn every_entry_is_a_key_or_a_section() {
        for entry in RELOADED {
            assert!(KEYS.iter().any(|key| [key.path, key.section()].contains(entry)), "{entry}");
        }
    }

    #[test]
    fn every_key_that_holds_secrets_is_reloaded_because_masks_look_equal() {
        let mut values = Values::default();
        for key in KEYS {
            let setting = (key.place)(&mut values);
            let is_secret = setting.set(RawValue::Words("a secret of sixteen bytes".as_ref())).is_ok()
                && setting.print().is_some_and(|shown| shown.contains(MASK));
            assert!(!is_secret || is_reloaded(key), "{}", key.path);
        }
    }
}

//! Files with keys or secrets that every user of the machine may read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::fault::SettingOrigin;
use super::key::KEYS;
use super::setting::MASK;
use super::values::Values;

/// The right of all users to read a file.
const OTHERS_READ: u32 = 0o004;

/// A sentence for each file with secrets from which these values came and that all users can read; none shows a secret.
pub(super) fn warn_exposed(
    mut values: Values,
    places: &BTreeMap<&'static str, SettingOrigin>,
) -> Vec<String> {
    let mut files: Vec<PathBuf> = Vec::new();
    for key in KEYS {
        // A value that is printed masked is a secret.
        let is_secret = (key.place)(&mut values).print().is_some_and(|shown| shown.contains(MASK));
        if let (true, Some(SettingOrigin::Line(path, _))) = (is_secret, places.get(key.path))
            && !files.contains(path)
        {
            files.push(path.clone());
        }
    }
    files.extend(values.cluster.secret_file.map(|file| file.0));
    let sentence = |path: &PathBuf| read_exposed_mode(path).map(|mode| sentence(path, mode));
    files.iter().filter_map(sentence).collect()
}

fn read_exposed_mode(path: &Path) -> Option<u32> {
    // If the file is gone, its reader reports that.
    let metadata = fs::metadata(path).ok()?;
    let mode = metadata.permissions().mode() & 0o7777;
    // Pipes and devices, as a shell's `<(…)` gives them, belong to this process.
    (metadata.is_file() && mode & OTHERS_READ != 0).then_some(mode)
}

fn sentence(path: &Path, mode: u32) -> String {
    let path = path.display();
    format!("{path} holds keys or secrets, and every user can read it (mode {mode:04o}): chmod o-r {path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Serve;
    use crate::config::{Environment, load};

    /// The names in the warnings of a configuration file with this text and mode, and a secret file with that mode.
    fn exposed(text: &str, mode: u32, secret_mode: u32) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let secret = write("secret", "a secret of sixteen bytes\n", secret_mode);
        let text = text.replace("SECRET", secret.to_str().unwrap());
        let flags = Serve { config: Some(write("a.toml", &text, mode)), ..Serve::default() };
        let config = load(&flags, &Environment::default()).unwrap();
        assert!(config.warnings.iter().all(|warning| !warning.contains("sixteen")));
        let name = |warning: &String| warning.rsplit('/').next().unwrap_or_default().to_owned();
        config.warnings.iter().map(name).collect()
    }

    #[test]
    fn tells_every_file_with_secrets_that_all_may_read_once() {
        let keys = "[access]\nupload_keys = [\"sixteen, an upload key\"]\noperator_key = \"sixteen, of an operator\"\n";
        assert_eq!(exposed(keys, 0o644, 0o600), ["a.toml"]);
        assert_eq!(exposed(keys, 0o640, 0o600), [""; 0], "a group may be meant");
        let both = format!("{keys}[cluster]\nsecret_file = \"SECRET\"\n");
        assert_eq!(exposed(&both, 0o604, 0o444), ["a.toml", "secret"]);
        assert_eq!(exposed(&both, 0o600, 0o600), [""; 0]);
    }

    #[test]
    fn a_file_without_secrets_may_be_read_by_all() {
        assert_eq!(exposed("[access]\noperator_key = \"\"\n[limits]\nuploads = 3\n", 0o644, 0o644), [""; 0]);
    }

    #[test]
    fn the_sentence_says_what_to_do() {
        assert_eq!(
            sentence(Path::new("/etc/r.toml"), 0o644),
            "/etc/r.toml holds keys or secrets, and every user can read it (mode 0644): chmod o-r /etc/r.toml"
        );
    }
}

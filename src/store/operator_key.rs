//! The operator key that a node makes for itself: `operator.key`, one line of text. Blocking.
//!
//! It is written where none is configured, once, readable by the node's own user alone. The commands on the same
//! machine read it. Nothing here prints it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::open::{sync_directory, with_room};
use super::open_error::OpenError;
use super::path::StorePaths;

/// Random bytes of a key: 128 bits.
const RANDOM_BYTES: usize = 16;

/// Bytes of a key that someone wrote into the file: shorter ones can be guessed.
const KEY_BYTES_MIN: usize = 16;

/// Bytes of the file; a longer one is no key.
const FILE_BYTES_MAX: u64 = 1024;

/// The key in `root`, if there is one: what a command on this machine may show to the node.
///
/// # Errors
/// The file cannot be read, or holds no key ([`io::ErrorKind::InvalidData`]).
pub fn read(root: &Path) -> io::Result<Option<String>> {
    let file = match File::open(StorePaths::new(root).operator_key()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let key = text.trim();
    let is_key = key.len() >= KEY_BYTES_MIN && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(Some(key.to_owned())) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The key of the data directory, made durably if there is none; and whether it was made now.
///
/// # Errors
/// [`OpenError`]; then there is no key, or the one that was there.
pub fn ensure(paths: &StorePaths) -> Result<(String, bool), OpenError> {
    match read(paths.root()) {
        Ok(Some(key)) => return Ok((key, false)),
        Ok(None) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(OpenError::OperatorKey(paths.operator_key()));
        }
        Err(error) => return Err(OpenError::Io("read", paths.operator_key(), error)),
    }
    let failure = |error| OpenError::Io("write", paths.operator_key(), error);
    let key = random().map_err(failure)?;
    with_room(&paths.cache(), || write(paths, &key).map_err(failure))?;
    sync_directory(paths.root())?;
    Ok((key, true))
}

/// Written beside its place, synced and renamed: a crash leaves no key or a whole one.
fn write(paths: &StorePaths, key: &str) -> io::Result<()> {
    let path = paths.operator_key();
    let beside = path.with_extension("key.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(format!("{key}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

fn random() -> io::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_the_owner_alone_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(directory.path());
        assert_eq!(read(directory.path()).unwrap(), None);
        // A file that a crash left beside it, with other permissions, does not matter.
        fs::write(directory.path().join("operator.key.new"), b"torn").unwrap();
        let (key, is_new) = ensure(&paths).unwrap();
        assert!(is_new && key.len() == 2 * RANDOM_BYTES);
        assert_eq!(ensure(&paths).unwrap(), (key.clone(), false));
        assert_eq!(read(directory.path()).unwrap(), Some(key.clone()));
        let mode = fs::metadata(paths.operator_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(ensure(&StorePaths::new(other.path())).unwrap().0, key);
    }

    #[test]
    fn a_file_without_a_key_is_told_and_never_an_empty_key() {
        let directory = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(directory.path());
        for text in [&b""[..], b"\n", b"short", b"sixteen bytes or\nmore in two lines", b"\xff\xfe"] {
            fs::write(paths.operator_key(), text).unwrap();
            assert!(matches!(ensure(&paths), Err(OpenError::OperatorKey(_))), "{text:?}");
            assert_eq!(fs::read(paths.operator_key()).unwrap(), text);
        }
    }
}

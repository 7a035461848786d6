//! Reads a file whose length an attacker may control.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a regular or special file, up to `bytes_max`; `None` if there are more.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

//! `reticulum get`: fetches an image or a variant.
//!
//! Without `--format`, `full` comes as it is stored, and a variant in the format that `auto` gives to a
//! client that names none: JPEG, PNG and GIF images in their own, others as GIF, PNG or JPEG by what is
//! in them. A file gets its name when it is whole; stored bytes are checked against the id.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use ureq::Body;
use ureq::http::Response;

use super::ClientError;
use super::node::NodeClient;
use crate::cli::commands::Get;
use crate::object::sign::signed_query;
use crate::object::{Extension, IdHasher, ObjectId};

/// Bytes handed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Names every type, so that `auto` leaves the stored bytes as they are.
const ANY_STORED: &str = "image/jpeg, image/png, image/gif, image/webp, image/avif, image/heic, image/jxl";

/// Names no type.
const ANY: &str = "*/*";

/// The destination of the bytes.
enum Destination {
    Stdout,
    /// A file that gets its name at the end.
    File(PathBuf),
    /// A device or pipe, which is written to as it is.
    Device(PathBuf),
}

pub(super) fn run(flags: &Get) -> Result<(), ClientError> {
    let target = Destination::of(flags.output.as_deref())?;
    let extension = flags.format.unwrap_or(Extension::Auto);
    let (id, spec) = (flags.id, flags.spec.canonical_for(extension));
    let itself = flags.spec.is_full_plain();
    let path = format!("/image/{id}/{spec}/image.{}", extension.as_str());
    // Without an expiry: the URL is used once, and the two clocks need not agree.
    let path = match &flags.sign_key {
        Some(key) => format!("{path}?{}", signed_query(key, &path, None)),
        None => path,
    };
    let answer = NodeClient::new(&flags.target.node).get(&path, if itself { ANY_STORED } else { ANY })?;
    let stored = itself && (extension == Extension::Auto || is_stored(&answer, &id));
    target.take(answer, stored.then_some(id))
}

/// Whether the answer is the image itself: its ETag is the id.
fn is_stored(answer: &Response<Body>, id: &ObjectId) -> bool {
    let etag = answer.headers().get("ETag").and_then(|value| value.to_str().ok());
    etag == Some(&format!("\"{id}\""))
}

impl Destination {
    fn of(output: Option<&Path>) -> Result<Self, ClientError> {
        match output {
            None if io::stdout().is_terminal() => Err(ClientError::Terminal),
            None => Ok(Self::Stdout),
            Some(path) if path == Path::new("-") => Ok(Self::Stdout),
            Some(path) => Ok(match fs::metadata(path) {
                // Through a link, so that the link stays one.
                Ok(there) if there.is_file() => {
                    Self::File(fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()))
                }
                Ok(_) => Self::Device(path.to_path_buf()),
                Err(_) => Self::File(path.to_path_buf()),
            }),
        }
    }

    /// Writes the answer; what should have an id is checked.
    fn take(&self, answer: Response<Body>, expected: Option<ObjectId>) -> Result<(), ClientError> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                copy(answer, expected, &mut stdout, &ClientError::Output)?;
                stdout.flush().map_err(ClientError::Output)
            }
            Self::Device(path) => {
                let failure = |error| ClientError::File("write", path.clone(), error);
                let mut file = File::options().write(true).open(path).map_err(failure)?;
                copy(answer, expected, &mut file, &failure)
            }
            Self::File(path) => write_file(path, answer, expected),
        }
    }
}

fn write_file(path: &Path, answer: Response<Body>, expected: Option<ObjectId>) -> Result<(), ClientError> {
    use std::os::unix::fs::PermissionsExt;
    let failure = |error| ClientError::File("write", path.to_path_buf(), error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut temporary = tempfile::Builder::new()
        .prefix(".reticulum-")
        // Less what the user masks, as for any new file.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failure)?;
    copy(answer, expected, temporary.as_file_mut(), &failure)?;
    temporary.as_file().sync_all().map_err(failure)?;
    temporary.persist(path).map_err(|error| failure(error.error))?;
    Ok(())
}

fn copy(
    answer: Response<Body>,
    expected: Option<ObjectId>,
    to: &mut dyn Write,
    failure: &dyn Fn(io::Error) -> ClientError,
) -> Result<(), ClientError> {
    let announced = answer.body().content_length();
    let mut from = answer.into_body().into_reader();
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut hasher, mut length) = (IdHasher::default(), 0);
    loop {
        let bytes = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ClientError::Broken(error.to_string())),
        };
        length += bytes.len() as u64;
        if expected.is_some() {
            hasher.update(bytes);
        }
        to.write_all(bytes).map_err(failure)?;
    }
    if announced.is_some_and(|announced| announced != length) {
        return Err(ClientError::Broken("the answer ended too early".to_owned()));
    }
    match expected {
        Some(id) if hasher.finish() != id => Err(ClientError::WrongBytes(id)),
        _ => Ok(()),
    }
}

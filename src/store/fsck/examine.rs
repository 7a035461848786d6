//! Examines one file below `store/`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{CheckFault, below};
use crate::image::header::Limits;
use crate::image::inspect::Inspector;
use crate::object::{Extension, Format, IdHasher, ObjectId};
use crate::store::path::StorePaths;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// An image that was taken once is not judged by today's limits.
const UNLIMITED: Limits = Limits { pixels_max: u64::MAX, frames_max: u32::MAX };

/// The verdict on a file.
#[derive(Debug)]
pub(super) enum FileVerdict {
    /// An image of so many bytes in its place.
    Right(u64),
    /// Anything else.
    Wrong(CheckFault),
}

/// The contents of a file.
struct FileContent {
    id: ObjectId,
    length: u64,
    kind: ContentKind,
}

enum ContentKind {
    Image(Format),
    /// Of a type that is taken, but not as today's check wants it.
    Doubtful,
    /// Of no type that is taken.
    Other,
}

/// Reads and judges the file at `path`; one of an image that is gone is not read.
pub(super) fn examine(paths: &StorePaths, gone: &HashSet<ObjectId>, path: &Path) -> FileVerdict {
    let Some((claimed, extension)) = claim(path) else { return FileVerdict::Wrong(CheckFault::Foreign) };
    if gone.contains(&claimed) {
        return FileVerdict::Wrong(CheckFault::Deleted);
    }
    let content = match read(path) {
        Ok(content) => content,
        Err(error) => return FileVerdict::Wrong(CheckFault::Unreadable(error)),
    };
    let format = match (content.kind, extension) {
        (_, Some(_)) if content.id != claimed => {
            return FileVerdict::Wrong(CheckFault::WrongHash(content.id));
        }
        // A name such as `<id>.txt` with other bytes was never one of ours.
        (_, None) if content.id != claimed => return FileVerdict::Wrong(CheckFault::Foreign),
        (ContentKind::Image(format), _) | (ContentKind::Doubtful, Some(format)) => format,
        (ContentKind::Doubtful | ContentKind::Other, _) => return FileVerdict::Wrong(CheckFault::Foreign),
    };
    let place = paths.image(&claimed, format);
    if path == place {
        FileVerdict::Right(content.length)
    } else {
        FileVerdict::Wrong(CheckFault::Misplaced(below(paths, &place)))
    }
}

/// The id that a file's name claims, in either case, and the format, if its extension is that of one.
pub(super) fn claim(path: &Path) -> Option<(ObjectId, Option<Format>)> {
    let (stem, extension) = path.file_name()?.to_str()?.split_once('.')?;
    let format = match Extension::parse(extension) {
        Some(Extension::Format(format)) => Some(format),
        Some(Extension::Auto) | None => None,
    };
    Some((ObjectId::parse(stem).ok()?, format))
}

fn read(path: &Path) -> io::Result<FileContent> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut hasher, mut length) = (IdHasher::default(), 0);
    let mut inspector = Inspector::new(UNLIMITED);
    let mut refused = None;
    loop {
        let bytes = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        length += bytes.len() as u64;
        hasher.update(bytes);
        if refused.is_none() {
            refused = inspector.push(bytes).err();
        }
    }
    let inspected = refused.map_or_else(|| inspector.finish(), Err);
    let kind = match inspected {
        Ok(inspected) => ContentKind::Image(inspected.header.format),
        Err(error) if error.is_unsupported_type() => ContentKind::Other,
        Err(_) => ContentKind::Doubtful,
    };
    Ok(FileContent { id: hasher.finish(), length, kind })
}

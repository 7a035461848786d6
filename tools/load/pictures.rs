//! Images to upload: those of a folder, or made-up ones.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use reticulum::image::header::{Header, Limits};
use reticulum::image::inspect::inspect;
use reticulum::image::shape::Size;
use reticulum::image::{draw, encode};
use reticulum::object::Format;

/// Bounds for what a folder may hold; a node has its own.
pub(crate) const LIMITS: Limits = Limits { pixels_max: 1 << 30, frames_max: 1 << 20 };

const QUALITY: u8 = 90;

/// An image, and its header.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) header: Header,
}

impl Image {
    fn new(bytes: Vec<u8>) -> Option<Self> {
        let header = inspect(&bytes, LIMITS).ok()?;
        Some(Self { bytes: bytes.into(), header })
    }
}

/// Photo-like pictures of this width, as JPEG.
///
/// # Errors
/// Those of the encoder.
pub(crate) fn made_up(width: u32) -> io::Result<Vec<Image>> {
    let size = Size { width, height: (width * 3 / 4).max(1) };
    let make = |scene| {
        let pixels = draw::sample(scene, size).map_err(io::Error::other)?;
        let bytes = encode::encode(pixels, Format::Jpeg, Some(QUALITY)).map_err(io::Error::other)?;
        Image::new(bytes).ok_or_else(|| io::Error::other("a made-up image is none"))
    };
    (0..draw::SCENES).map(make).collect()
}

/// The images of a folder and of all below it, in order of their names. Other files are passed over.
///
/// # Errors
/// The system's refusal; a folder without any image.
pub(crate) fn of_folder(folder: &Path) -> io::Result<Vec<Image>> {
    let mut images = Vec::new();
    read_folder(folder, &mut images)?;
    if images.is_empty() {
        return Err(io::Error::other(format!("{} holds no image", folder.display())));
    }
    Ok(images)
}

fn read_folder(folder: &Path, images: &mut Vec<Image>) -> io::Result<()> {
    let failed = |error: io::Error| io::Error::other(format!("{}: {error}", folder.display()));
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read_folder(&entry.path(), images)?;
        } else if kind.is_file() {
            images.extend(Image::new(fs::read(entry.path())?));
        }
    }
    Ok(())
}

//! Checks that an upload is a structurally complete image within limits.
//!
//! A push parser: it takes bytes as they arrive, in pieces of any size, and its result does not depend on how they were
//! cut. It detects the type from the bytes alone; the type that a client declares has no influence.
//!
//! It does not decode pixels: picture data that is present but damaged passes. Where only the data tells whether the
//! image is whole, it [says so](Inspected::doubt). What the file says about its picture is [noted](Notes). The
//! inspector's memory is a few hundred bytes, colour tags (at most 64 KiB), and, while a part with metadata or an AVIF's
//! or HEIC's `meta` box arrives, that one (at most 64 KiB, or 1 MiB). The headers of a JPEG XL are a library's to keep.
//! It allocates nothing by a length that the file claims. Bytes after the end of the image are allowed in every format.

mod avif;
mod error;
mod gif;
mod items;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
#[cfg(feature = "jxl")]
mod jxl_boxes;
mod notes;
mod png;
mod signature;
mod text;
mod walk;
mod webp;

#[cfg(test)]
mod tests;

pub use error::{BrokenFile, InspectError, JpegKind};

use avif::Avif;
use gif::Gif;
use jpeg::Jpeg;
#[cfg(feature = "jxl")]
use jxl::Jxl;
pub use notes::Notes;
use png::Png;
use signature::{FileKind, HEAD_BYTES, kind_of};
use walk::Walk;
use webp::Webp;

use super::header::{Header, Limits};

/// Inspects a whole file in memory.
///
/// # Errors
/// As [`Inspector::push`] and [`Inspector::finish`].
pub fn inspect(bytes: &[u8], limits: Limits) -> Result<Header, InspectError> {
    let mut inspector = Inspector::new(limits);
    inspector.push(bytes)?;
    Ok(inspector.finish()?.header)
}

/// An inspected file.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// Its header.
    pub header: Header,
    /// The reason to refuse it, unless a walk over its data finds all of the picture: a JPEG without its end marker.
    pub doubt: Option<InspectError>,
    /// Its statements about its picture.
    pub notes: Notes,
}

impl Inspected {
    /// A whole file.
    const fn new(header: Header, notes: Notes) -> Self {
        Self { header, doubt: None, notes }
    }
}

/// Inspects an upload while it arrives.
#[derive(Debug)]
pub struct Inspector {
    limits: Limits,
    state: InspectorState,
}

#[derive(Debug)]
enum InspectorState {
    /// The first bytes, until they determine the format.
    Head {
        bytes: [u8; HEAD_BYTES],
        have: usize,
    },
    Jpeg(Jpeg),
    Png(Png),
    Gif(Gif),
    Webp(Webp),
    Avif(Avif),
    #[cfg(feature = "jxl")]
    Jxl(Jxl),
}

impl Inspector {
    /// An inspector that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: InspectorState::Head { bytes: [0; HEAD_BYTES], have: 0 } }
    }

    /// Takes the next bytes; an empty slice changes nothing.
    ///
    /// # Errors
    /// The upload can be refused at once; results of the inspector after an error mean nothing.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InspectError> {
        let rest = self.read_head(bytes)?;
        self.feed(rest)
    }

    /// Ends the upload.
    ///
    /// # Errors
    /// Adds [`InspectError::Empty`] and [`InspectError::Truncated`], and [`InspectError::NotAnImage`] for a file of a
    /// few bytes.
    pub fn finish(mut self) -> Result<Inspected, InspectError> {
        if let InspectorState::Head { bytes, have } = self.state {
            let head = bytes.get(..have).unwrap_or_default();
            if head.is_empty() {
                return Err(InspectError::Empty);
            }
            self.begin(head)?;
        }
        match self.state {
            InspectorState::Head { .. } => Err(InspectError::NotAnImage),
            InspectorState::Jpeg(jpeg) => jpeg.finish(),
            InspectorState::Png(png) => png.finish(),
            InspectorState::Gif(gif) => gif.finish(),
            InspectorState::Webp(webp) => webp.finish(),
            InspectorState::Avif(avif) => avif.finish(),
            #[cfg(feature = "jxl")]
            InspectorState::Jxl(jxl) => jxl.finish(),
        }
    }

    /// Gathers the first bytes and, when they are complete, chooses the parser. Returns the bytes after them.
    fn read_head<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], InspectError> {
        let InspectorState::Head { mut bytes, have } = self.state else { return Ok(input) };
        let (now, rest) = input.split_at(input.len().min(HEAD_BYTES - have));
        bytes[have..have + now.len()].copy_from_slice(now);
        let have = have + now.len();
        self.state = InspectorState::Head { bytes, have };
        if have == HEAD_BYTES {
            self.begin(&bytes)?;
        }
        Ok(rest)
    }

    /// Chooses the parser by the first bytes and gives them to it.
    fn begin(&mut self, head: &[u8]) -> Result<(), InspectError> {
        self.state = match kind_of(head).ok_or(InspectError::NotAnImage)? {
            FileKind::Jpeg => InspectorState::Jpeg(Jpeg::new(self.limits)),
            FileKind::Png => InspectorState::Png(Png::new(self.limits)),
            FileKind::Gif => InspectorState::Gif(Gif::new(self.limits)),
            FileKind::Webp => InspectorState::Webp(Webp::new(self.limits)),
            FileKind::IsoMedia => InspectorState::Avif(Avif::new(self.limits)),
            #[cfg(feature = "jxl")]
            FileKind::Jxl => InspectorState::Jxl(Jxl::new(self.limits)),
        };
        self.feed(head)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), InspectError> {
        match &mut self.state {
            // The head is incomplete, so it has taken all the input.
            InspectorState::Head { .. } => Ok(()),
            InspectorState::Jpeg(jpeg) => jpeg.push(bytes),
            InspectorState::Png(png) => png.push(bytes),
            InspectorState::Gif(gif) => gif.push(bytes),
            InspectorState::Webp(webp) => webp.push(bytes),
            InspectorState::Avif(avif) => avif.push(bytes),
            #[cfg(feature = "jxl")]
            InspectorState::Jxl(jxl) => jxl.push(bytes),
        }
    }
}

//! Detects the format by the first bytes of a file.

use super::png;

/// This many bytes distinguish all formats.
pub(super) const HEAD_BYTES: usize = 12;

/// The file type by the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Jpeg,
    Png,
    Gif,
    Webp,
    /// AVIF, HEIC, MP4 and others: the brands decide between them.
    IsoMedia,
    #[cfg(feature = "jxl")]
    Jxl,
}

/// The file type by the first [`HEAD_BYTES`] of a file, or by all bytes of a shorter file.
pub(super) fn kind_of(head: &[u8]) -> Option<FileKind> {
    match head {
        [0xFF, 0xD8, 0xFF, ..] => Some(FileKind::Jpeg),
        _ if head.starts_with(&png::SIGNATURE) => Some(FileKind::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(FileKind::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(FileKind::Webp),
        #[cfg(feature = "jxl")]
        [0xFF, 0x0A, ..] | [0, 0, 0, 0x0C, b'J', b'X', b'L', b' ', 0x0D, 0x0A, 0x87, 0x0A, ..] => {
            Some(FileKind::Jxl)
        }
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(FileKind::IsoMedia),
        _ => None,
    }
}

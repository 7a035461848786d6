//! The reasons to refuse an upload.
//!
//! At fault are always the bytes: no state has changed, and sending the same bytes again does not help.

use std::fmt;

use crate::object::Format;

/// The formats that an upload may have, for people.
const ACCEPTED: &str = match (cfg!(feature = "heic"), cfg!(feature = "jxl")) {
    (true, true) => "JPEG, PNG, GIF, WebP, AVIF, HEIC or JPEG XL",
    (true, false) => "JPEG, PNG, GIF, WebP, AVIF or HEIC",
    (false, true) => "JPEG, PNG, GIF, WebP, AVIF or JPEG XL",
    (false, false) => "JPEG, PNG, GIF, WebP or AVIF",
};

/// The reason why the bytes are not an image that may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InspectError {
    /// There is not one byte.
    Empty,
    /// None of the formats of [`Format`].
    NotAnImage,
    /// A JPEG of a kind that can never be shown.
    UnsupportedJpeg(JpegKind),
    /// Width or height is zero.
    ZeroDimension,
    /// Width × height, as stored, is above the limit.
    TooManyPixels {
        /// Pixels of the image, or of one frame of it.
        pixels: u64,
        /// The limit.
        pixels_max: u64,
    },
    /// More scans than any encoder makes.
    TooManyScans {
        /// The limit.
        scans_max: u32,
    },
    /// The file ends before the image does.
    Truncated(Format),
    /// The file contradicts its format.
    Broken(BrokenFile),
}

impl InspectError {
    /// Whether the reason is the type (415); otherwise it is the content (422).
    pub const fn is_unsupported_type(&self) -> bool {
        matches!(self, Self::Empty | Self::NotAnImage)
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("The upload is empty; send the bytes of an image."),
            Self::NotAnImage => {
                write!(f, "This is not a {ACCEPTED} image; convert it to one of them.")
            }
            Self::UnsupportedJpeg(kind) => write!(
                f,
                "This kind of JPEG ({kind}) is not supported; convert it to baseline or progressive JPEG with 8 bits."
            ),
            Self::ZeroDimension => {
                f.write_str("The image has no width or no height; send one that has both.")
            }
            Self::TooManyPixels { pixels, pixels_max } => {
                write!(
                    f,
                    "The image has {pixels} pixels, more than the {pixels_max} allowed; make it smaller."
                )
            }
            Self::TooManyScans { scans_max } => {
                write!(f, "The JPEG has more than {scans_max} scans; encode it again with fewer.")
            }
            Self::Truncated(format) => {
                write!(f, "The {} file ends before its image does; send the whole file.", format.media_type())
            }
            Self::Broken(fault) => write!(f, "The file is broken: {fault}; repair it or encode it again."),
        }
    }
}

impl std::error::Error for InspectError {}

/// Kinds of JPEG that are well-formed but cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JpegKind {
    /// SOF3 and the other lossless processes.
    Lossless,
    /// Hierarchical: several frames that refine each other.
    Hierarchical,
    /// Arithmetic instead of Huffman coding.
    Arithmetic,
    /// This many bits per sample instead of 8.
    Precision(u8),
    /// This many components instead of 1, 3 or 4.
    Components(u8),
}

impl fmt::Display for JpegKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lossless => f.write_str("lossless"),
            Self::Hierarchical => f.write_str("hierarchical"),
            Self::Arithmetic => f.write_str("arithmetic coding"),
            Self::Precision(bits) => write!(f, "{bits} bits per sample"),
            Self::Components(count) => write!(f, "{count} components"),
        }
    }
}

/// One way in which a file contradicts its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenFile {
    /// Too many bytes that belong to no segment.
    JpegStrayBytes,
    /// A segment shorter than its own length field, or not as long as its kind must be.
    JpegSegmentLength,
    /// A second start of image.
    JpegSecondStart,
    /// A second frame header.
    JpegSecondFrame,
    /// A frame header with an impossible sampling factor or table number.
    JpegComponent,
    /// A scan before the frame header.
    JpegScanBeforeFrame,
    /// A scan header that names no component, too many, or one that the frame does not have.
    JpegScanHeader,
    /// The end of image before any scan.
    JpegNoScan,
    /// The first chunk is not an IHDR of 13 bytes.
    PngNoHeader,
    /// The IHDR's checksum is wrong.
    PngHeaderChecksum,
    /// Width or height above 2^31 − 1.
    PngDimension,
    /// A colour type and bit depth that do not go together.
    PngColor,
    /// A compression, filter or interlace method that does not exist.
    PngMethod,
    /// A chunk longer than 2^31 − 1 bytes.
    PngChunkLength,
    /// A chunk name that is not four letters.
    PngChunkName,
    /// A second IHDR or PLTE, or a PLTE after the picture data.
    PngChunkOrder,
    /// A critical chunk that no standard knows.
    PngCriticalChunk,
    /// A palette that is empty, too long, or cut inside an entry.
    PngPalette,
    /// A palette picture whose data comes before a palette.
    PngNoPalette,
    /// The picture data is interrupted by other chunks.
    PngDataSplit,
    /// No picture data.
    PngNoData,
    /// An IEND with content.
    PngEnd,
    /// A block that is no image, extension or trailer.
    GifBlock,
    /// An image with neither its own nor a common colour table.
    GifNoColors,
    /// An LZW code size outside 1–11.
    GifCodeSize,
    /// The trailer before any image with data.
    GifNoImage,
    /// A RIFF size too small for a picture.
    WebpRiffSize,
    /// The first chunk is none of VP8, VP8L and VP8X, or a chunk is shorter than its kind must be.
    WebpChunk,
    /// A chunk reaches past the end of what contains it.
    WebpChunkSize,
    /// A VP8 or VP8L bitstream header that is wrong.
    WebpBitstream,
    /// A picture that does not fill the canvas or frame that announced its size.
    WebpPictureSize,
    /// An animation frame that reaches outside the canvas.
    WebpFrameOutside,
    /// No picture, or an animation frame without one.
    WebpNoPicture,
    /// A box or a table that reaches past the end of what contains it.
    AvifBox,
    /// A description longer than any program writes.
    AvifMetaLength,
    /// No primary picture, or none with data, size and configuration.
    AvifNoPicture,
    /// A picture of a codec that the brand does not name, or put together in a way that is not supported.
    AvifKind,
    /// Headers of a JPEG XL that the format does not allow.
    Jxl,
}

impl fmt::Display for BrokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JpegStrayBytes => "too many bytes lie between its JPEG segments",
            Self::JpegSegmentLength => "a JPEG segment has a wrong length",
            Self::JpegSecondStart => "a second JPEG starts inside the first",
            Self::JpegSecondFrame => "it has two JPEG frame headers",
            Self::JpegComponent => "its JPEG frame header has an impossible component",
            Self::JpegScanBeforeFrame => "a JPEG scan comes before the frame header",
            Self::JpegScanHeader => "a JPEG scan header names wrong components",
            Self::JpegNoScan => "the JPEG ends before any scan",
            Self::PngNoHeader => "the PNG does not begin with a right IHDR chunk",
            Self::PngHeaderChecksum => "the checksum of the PNG header is wrong",
            Self::PngDimension => "the PNG is wider or higher than the format allows",
            Self::PngColor => "the PNG's colour type and bit depth do not go together",
            Self::PngMethod => "the PNG names a compression, filter or interlace method that does not exist",
            Self::PngChunkLength => "a PNG chunk is longer than the format allows",
            Self::PngChunkName => "a PNG chunk's name is not four letters",
            Self::PngChunkOrder => "a PNG chunk is doubled or in a wrong place",
            Self::PngCriticalChunk => "the PNG has an unknown critical chunk",
            Self::PngPalette => "the PNG's palette has a wrong length",
            Self::PngNoPalette => "the PNG's palette is missing before its data",
            Self::PngDataSplit => "the PNG's data is interrupted by other chunks",
            Self::PngNoData => "the PNG has no picture data",
            Self::PngEnd => "the PNG's end chunk is not empty",
            Self::GifBlock => "the GIF has an unknown kind of block",
            Self::GifNoColors => "a GIF image has no colour table",
            Self::GifCodeSize => "a GIF image has an impossible LZW code size",
            Self::GifNoImage => "the GIF has no image with data",
            Self::WebpRiffSize => "the WebP's RIFF size is too small",
            Self::WebpChunk => "a WebP chunk is of a wrong kind or too short",
            Self::WebpChunkSize => "a WebP chunk reaches past the end of its container",
            Self::WebpBitstream => "the header of a WebP picture is wrong",
            Self::WebpPictureSize => "a WebP picture's size differs from the announced one",
            Self::WebpFrameOutside => "a WebP animation frame lies outside the canvas",
            Self::WebpNoPicture => "the WebP or one of its frames has no picture",
            Self::AvifBox => "a box of the AVIF or HEIC reaches past the end of what contains it",
            Self::AvifMetaLength => "the description of the AVIF or HEIC is longer than 1 MiB",
            Self::AvifNoPicture => "the AVIF or HEIC has no primary picture with data and a size",
            Self::AvifKind => {
                "the picture of the AVIF or HEIC is put together in a way that is not supported"
            }
            Self::Jxl => "a header of the JPEG XL is wrong",
        })
    }
}

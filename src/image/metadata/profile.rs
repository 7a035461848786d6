//! Writes a colour profile into a file that our own encoder has just made, so its structure is known.

use super::avif;
use super::write::{behind_jfif, extend_webp, set_webp_length};
use crate::image::container::{jpeg, png, webp};
use crate::image::shape::Size;
use crate::object::Format;

/// The name of a profile in a JPEG segment; its number and the number of segments follow.
const JPEG_NAME: &[u8] = b"ICC_PROFILE\0\x01\x01";

const WEBP_FLAG_PROFILE: u8 = 0x20;

/// The offset of a PNG's colour type, and the bit in it that says colours.
const PNG_COLOR_TYPE: usize = png::HEAD_BYTES - 8;
const PNG_HAS_COLORS: u8 = 2;

/// The file, which has colours of this profile, with it; unchanged for a format that holds none.
pub(in crate::image) fn with_profile(
    mut file: Vec<u8>,
    format: Format,
    size: Size,
    profile: &[u8],
) -> Vec<u8> {
    match format {
        Format::Jpeg => {
            // The length counts itself; the profile has less than a kilobyte.
            let length = ((2 + JPEG_NAME.len() + profile.len()) as u16).to_be_bytes();
            let segment = [&[0xFF, jpeg::APP2][..], &length, JPEG_NAME, profile].concat();
            let at = behind_jfif(&file);
            file.splice(at..at, segment);
        }
        // The encoder drops colours that are gray everywhere, and gray has no such profile.
        Format::Png if file[PNG_COLOR_TYPE] & PNG_HAS_COLORS != 0 => {
            let payload = [&b"Display P3\0\0"[..], &fdeflate::compress_to_vec(profile)].concat();
            file.splice(png::HEAD_BYTES..png::HEAD_BYTES, png::chunk(*b"iCCP", &payload));
        }
        Format::Webp => {
            extend_webp(&mut file, size, WEBP_FLAG_PROFILE);
            let at = webp::HEAD_BYTES + webp::CHUNK_HEAD_BYTES + webp::EXTENDED_BYTES;
            file.splice(at..at, webp::chunk(*b"ICCP", profile));
            set_webp_length(&mut file);
        }
        Format::Avif => return avif::with_profile(file, profile),
        Format::Png | Format::Gif | Format::Heic | Format::Jxl => {}
    }
    file
}

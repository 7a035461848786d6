//! WebP, lossy, by libwebp; alpha is kept without loss. One of the few files of this module with unsafe code.
//!
//! The library is called directly, because only its full interface has a hook that can cancel the work. It calls the
//! hook for every hundredth of the picture's rows. Alpha is compressed in one call without the hook. So pictures with
//! much alpha are encoded in the helper process (see [`crate::image::variant::Prepared::wants_process`]).
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use libwebp_sys::{
    WEBP_ENCODER_ABI_VERSION, WebPConfig, WebPConfigInitInternal, WebPEncode, WebPMemoryWrite,
    WebPMemoryWriter, WebPMemoryWriterClear, WebPMemoryWriterInit, WebPPicture, WebPPictureFree,
    WebPPictureImportRGB, WebPPictureImportRGBA, WebPPictureInitInternal, WebPPreset,
};

use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::Size;
use crate::image::shape::side_max;
use crate::object::Format;

/// libwebp's effort, 0–6. Means of five photos at 300 pixels and quality 80: 0 takes 1.5 ms for 10.1 kB; 2 takes 2.5 ms
/// for 8.2 kB; 4 takes 5.3 ms for 7.9 kB (and 0.2 dB more); 6 takes 11.8 ms for 7.5 kB. A variant is made once and sent
/// often, hence the usual 4.
const METHOD: c_int = 4;

/// `None` if the encoder refuses, or once `keep_going` returns false; sides are at most 16383.
pub(super) fn encode(pixels: Pixels, quality: u8, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let config = config(quality)?;
    let mut picture = WebpPicture::imported(&with_colors(pixels))?;
    picture.encode(&config, keep_going)
}

fn config(quality: u8) -> Option<WebPConfig> {
    let mut config = std::mem::MaybeUninit::uninit();
    let version = WEBP_ENCODER_ABI_VERSION as c_int;
    // SAFETY: the call fills in all of the structure where it answers other than 0.
    let mut config: WebPConfig = unsafe {
        let preset = WebPPreset::WEBP_PRESET_DEFAULT;
        let is_ready = WebPConfigInitInternal(config.as_mut_ptr(), preset, f32::from(quality), version) != 0;
        is_ready.then(|| config.assume_init())?
    };
    config.method = METHOD;
    Some(config)
}

/// A picture in the library's memory, as luma, colour differences and alpha.
struct WebpPicture(WebPPicture);

impl WebpPicture {
    /// A copy of these pixels, which must have three or four channels.
    fn imported(pixels: &Pixels) -> Option<Self> {
        let Size { width, height } = pixels.size();
        let side_max = side_max(Format::Webp);
        if width > side_max || height > side_max {
            return None;
        }
        let mut picture = std::mem::MaybeUninit::uninit();
        // SAFETY: the call fills in all of the structure where it answers other than 0.
        let mut picture: Self = unsafe {
            let is_ready =
                WebPPictureInitInternal(picture.as_mut_ptr(), WEBP_ENCODER_ABI_VERSION as c_int) != 0;
            Self(is_ready.then(|| picture.assume_init())?)
        };
        (picture.0.width, picture.0.height) = (width as c_int, height as c_int);
        // Sides are far below 2^31.
        let (data, stride) = (pixels.data().as_ptr(), pixels.stride() as c_int);
        // SAFETY: `data` holds `height` rows of `stride` bytes, each of `width` pixels of 4 or 3 channels, as
        // `Pixels` promises. The call copies them.
        let is_copied = unsafe {
            match pixels.kind() {
                PixelKind::Rgba => WebPPictureImportRGBA(&mut picture.0, data, stride) != 0,
                PixelKind::Rgb => WebPPictureImportRGB(&mut picture.0, data, stride) != 0,
                PixelKind::Gray | PixelKind::GrayAlpha => false,
            }
        };
        is_copied.then_some(picture)
    }

    fn encode(&mut self, config: &WebPConfig, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let mut file = WebpMemoryFile::new();
        self.0.writer = Some(WebPMemoryWrite);
        self.0.custom_ptr = (&raw mut file.0).cast::<c_void>();
        self.0.progress_hook = Some(goes_on);
        self.0.user_data = (&raw const keep_going).cast_mut().cast::<c_void>();
        // SAFETY: the configuration and the picture were set up by the library. What `custom_ptr` and `user_data` point
        // at outlives the call and is of the type that the two functions expect; nothing calls them after it.
        let is_written = unsafe { WebPEncode(config, &mut self.0) != 0 };
        is_written.then(|| file.bytes().to_vec()).filter(|bytes| !bytes.is_empty())
    }
}

impl Drop for WebpPicture {
    fn drop(&mut self) {
        // SAFETY: the picture was set up by the library, which frees what it allocated for it.
        unsafe { WebPPictureFree(&mut self.0) };
    }
}

/// The library's growing output file.
struct WebpMemoryFile(WebPMemoryWriter);

impl WebpMemoryFile {
    fn new() -> Self {
        let mut writer = std::mem::MaybeUninit::uninit();
        // SAFETY: the call fills in all of the structure.
        unsafe {
            WebPMemoryWriterInit(writer.as_mut_ptr());
            Self(writer.assume_init())
        }
    }

    fn bytes(&self) -> &[u8] {
        if self.0.mem.is_null() {
            return &[];
        }
        // SAFETY: the library has written `size` bytes at `mem`, which stays until `drop`.
        unsafe { std::slice::from_raw_parts(self.0.mem, self.0.size) }
    }
}

impl Drop for WebpMemoryFile {
    fn drop(&mut self) {
        // SAFETY: the writer was set up by the library; a null pointer is freed to no effect.
        unsafe { WebPMemoryWriterClear(&mut self.0) };
    }
}

/// The library's progress hook; a non-zero result continues the work.
///
/// # Safety
///
/// `picture.user_data` must point at a `&dyn Fn() -> bool` that is alive.
unsafe extern "C" fn goes_on(_percent: c_int, picture: *const WebPPicture) -> c_int {
    // SAFETY: the caller's promise.
    let keep_going = unsafe { *(*picture).user_data.cast::<&dyn Fn() -> bool>() };
    c_int::from(keep_going())
}

/// The format has no gray, so gray becomes three equal channels.
fn with_colors(pixels: Pixels) -> Pixels {
    let size = pixels.size();
    let gray = pixels.data();
    let (kind, data) = match pixels.kind() {
        PixelKind::Rgb | PixelKind::Rgba => return pixels,
        PixelKind::Gray => (PixelKind::Rgb, gray.iter().flat_map(|&luma| [luma; 3]).collect()),
        PixelKind::GrayAlpha => {
            let wide = |pixel: &[u8]| [pixel[0], pixel[0], pixel[0], pixel[1]];
            (PixelKind::Rgba, gray.chunks_exact(2).flat_map(wide).collect())
        }
    };
    Pixels::new(size, kind, data).expect("each pixel has become three or four bytes")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::image::draw;

    #[test]
    fn the_library_asks_often_and_stops_at_once() {
        let pixels = draw::sample(0, Size { width: 640, height: 480 }).unwrap();
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            true
        };
        let whole = encode(pixels.clone(), 80, &count).unwrap();
        let all = asked.replace(0);
        assert!(all >= 20, "asked {all} times");
        let few = || {
            asked.set(asked.get() + 1);
            asked.get() < 10
        };
        assert_eq!(encode(pixels.clone(), 80, &few), None);
        assert_eq!(asked.get(), 10);
        assert_eq!(encode(pixels, 80, &|| true), Some(whole));
    }

    #[test]
    fn sides_beyond_the_format_are_refused() {
        let size = Size { width: 16_384, height: 1 };
        let pixels = Pixels::new(size, PixelKind::Rgb, vec![0; 3 * 16_384]).unwrap();
        assert_eq!(encode(pixels, 80, &|| true), None);
    }
}

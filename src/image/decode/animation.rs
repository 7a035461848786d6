//! Decodes an animation frame by frame, from the first to the last, onto one canvas.

use super::{CORRUPT, UNSUPPORTED, gif, webp};
use crate::image::error::{RenderError, proceed};
use crate::image::header::{Header, Limits};
use crate::image::pixels::Pixels;
use crate::object::Format;

/// Decodes an animated GIF or WebP.
pub struct AnimationDecoder<'a>(Inner<'a>);

enum Inner<'a> {
    Gif(Box<gif::GifDecoder<'a>>),
    Webp(webp::WebpDecoder<'a>),
}

impl<'a> AnimationDecoder<'a> {
    /// Starts before the first frame. Allocates the canvas.
    ///
    /// # Errors
    ///
    /// [`RenderError::TooLarge`] from the header alone; `Undecodable` for bad data, and for a format other than these
    /// two.
    pub fn new(source: &'a [u8], header: &Header, limits: &Limits) -> Result<Self, RenderError> {
        let size = header.stored();
        if size.area() > limits.pixels_max {
            return Err(RenderError::TooLarge { pixels_max: limits.pixels_max });
        }
        if size.area() == 0 {
            return Err(CORRUPT);
        }
        match header.format {
            Format::Gif => Ok(Self(Inner::Gif(Box::new(gif::GifDecoder::new(source, size)?)))),
            Format::Webp => Ok(Self(Inner::Webp(webp::WebpDecoder::new(source, size)))),
            Format::Jpeg | Format::Png | Format::Avif | Format::Heic | Format::Jxl => Err(UNSUPPORTED),
        }
    }

    /// Draws the next frame and returns its duration in milliseconds; `None` after the last.
    ///
    /// # Errors
    ///
    /// `Undecodable` for bad data; `Cancelled` if `keep_going` returns false.
    pub fn next(&mut self, keep_going: &dyn Fn() -> bool) -> Result<Option<u32>, RenderError> {
        proceed(keep_going)?;
        match &mut self.0 {
            Inner::Gif(decoder) => decoder.next(),
            Inner::Webp(decoder) => decoder.next(),
        }
    }

    /// The number of loops; 0 is endless. For WebP known once the first frame is drawn.
    pub fn loop_count(&self) -> u32 {
        match &self.0 {
            Inner::Gif(decoder) => decoder.loop_count(),
            Inner::Webp(decoder) => decoder.loop_count(),
        }
    }

    /// A copy of the canvas; without alpha if the frames so far cover all of it.
    ///
    /// # Errors
    ///
    /// `Undecodable` before the first frame.
    pub fn current_frame(&self) -> Result<Pixels, RenderError> {
        match &self.0 {
            Inner::Gif(decoder) => decoder.current_frame(),
            Inner::Webp(decoder) => decoder.current_frame(),
        }
    }
}

//! An animation played once, from its first frame to its last: one canvas, whatever the number of frames.

use super::{CORRUPT, UNSUPPORTED, gif, webp};
use crate::image::error::{RenderError, proceed};
use crate::image::header::{Header, Limits};
use crate::image::pixels::Pixels;
use crate::object::Format;

/// An animated GIF or WebP that is being played.
pub struct Player<'a>(Source<'a>);

enum Source<'a> {
    Gif(Box<gif::Player<'a>>),
    Webp(webp::Player<'a>),
}

impl<'a> Player<'a> {
    /// Stands before the first frame. Reserves the canvas.
    ///
    /// # Errors
    ///
    /// [`RenderError::TooLarge`] from the header alone; `Undecodable` for bad data and for a format other than
    /// these two.
    pub fn new(source: &'a [u8], header: &Header, limits: &Limits) -> Result<Self, RenderError> {
        let size = header.stored();
        if size.area() > limits.pixels_max {
            return Err(RenderError::TooLarge { pixels_max: limits.pixels_max });
        }
        if size.area() == 0 {
            return Err(CORRUPT);
        }
        match header.format {
            Format::Gif => Ok(Self(Source::Gif(Box::new(gif::Player::new(source, size)?)))),
            Format::Webp => Ok(Self(Source::Webp(webp::Player::new(source, size)))),
            Format::Jpeg | Format::Png | Format::Avif => Err(UNSUPPORTED),
        }
    }

    /// Draws the next frame and tells how long it is shown, in milliseconds; `None` after the last.
    ///
    /// # Errors
    ///
    /// `Undecodable` for bad data; `Cancelled` if `keep_going` says no.
    pub fn next(&mut self, keep_going: &dyn Fn() -> bool) -> Result<Option<u32>, RenderError> {
        proceed(keep_going)?;
        match &mut self.0 {
            Source::Gif(player) => player.next(),
            Source::Webp(player) => player.next(),
        }
    }

    /// How often the animation is shown, 0 for without end. Known once the first frame is drawn.
    pub fn plays(&self) -> u32 {
        match &self.0 {
            Source::Gif(player) => player.plays(),
            Source::Webp(player) => player.plays(),
        }
    }

    /// A copy of what is to be seen now; without alpha if the frames so far cover everything.
    ///
    /// # Errors
    ///
    /// `Undecodable` before the first frame.
    pub fn shown(&self) -> Result<Pixels, RenderError> {
        match &self.0 {
            Source::Gif(player) => player.shown(),
            Source::Webp(player) => player.shown(),
        }
    }
}

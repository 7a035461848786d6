//! The format of an `auto` URL: what the client names in `Accept`, else what is natural. Pure.
//!
//! `*/*` and `image/*` name nothing: every client sends them, also those that cannot show WebP.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::image::header::Header;
use crate::image::shape::Size;
use crate::object::Format;
use crate::shard::errors::NotFound;
use crate::shard::service::describe::Description;

/// The traits of an image that decide its format.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageTraits {
    pub(super) format: Format,
    pub(super) frames: u32,
    pub(super) has_alpha: bool,
    pub(super) displayed: Size,
}

impl From<&Header> for ImageTraits {
    fn from(header: &Header) -> Self {
        let Header { format, frames, has_alpha, .. } = *header;
        Self { format, frames, has_alpha, displayed: header.displayed() }
    }
}

impl TryFrom<&Description> for ImageTraits {
    type Error = NotFound;

    /// # Errors
    /// Another node, of another version, knows a format that this one does not.
    fn try_from(description: &Description) -> Result<Self, NotFound> {
        let Description { extension, frames, has_alpha, width, height, .. } = description;
        let format = Format::ALL.into_iter().find(|format| format.extension() == extension);
        Ok(Self {
            format: format.ok_or(NotFound::Unproven)?,
            frames: *frames,
            has_alpha: *has_alpha,
            displayed: Size { width: *width, height: *height },
        })
    }
}

/// Whether `Accept` names the media type of `format` with a quality above 0.
pub(super) fn names(headers: &HeaderMap, format: Format) -> bool {
    let lists = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let same = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(format.media_type()));
        same && !parts.any(is_nothing)
    })
}

/// The format for those who name none: JPEG, PNG and GIF stay what they are; WebP, AVIF, HEIC and JPEG XL become what
/// every client shows. Of the last two only one frame is shown.
pub(super) const fn natural(source: ImageTraits) -> Format {
    match source.format {
        format @ (Format::Jpeg | Format::Png | Format::Gif) => format,
        Format::Webp | Format::Avif if source.frames > 1 => Format::Gif,
        Format::Webp | Format::Avif | Format::Heic | Format::Jxl if source.has_alpha => Format::Png,
        Format::Webp | Format::Avif | Format::Heic | Format::Jxl => Format::Jpeg,
    }
}

/// The stored bytes' format where they may be given as they are, else a variant's.
pub(super) fn of_full(headers: &HeaderMap, source: ImageTraits, fits: impl Fn(Format) -> bool) -> Format {
    let stored = source.format;
    if names(headers, stored) || natural(source) == stored {
        stored
    } else {
        of_variant(headers, source, fits)
    }
}

/// A variant's format: AVIF unless the image is an animation that WebP keeps, WebP, or what is natural. `fits`: whether the
/// result is within the bounds of a format; where it is not, the next one is taken.
pub(super) fn of_variant(headers: &HeaderMap, source: ImageTraits, fits: impl Fn(Format) -> bool) -> Format {
    let is_animation = source.frames > 1 && matches!(source.format, Format::Gif | Format::Webp);
    if names(headers, Format::Avif) && !is_animation && fits(Format::Avif) {
        Format::Avif
    } else if names(headers, Format::Webp) && fits(Format::Webp) {
        Format::Webp
    } else {
        natural(source)
    }
}

/// `q=0`, with or without fractions.
fn is_nothing(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, http::HeaderValue::from_static(value))])
    }

    fn source(format: Format, has_alpha: bool, frames: u32) -> ImageTraits {
        ImageTraits { format, frames, has_alpha, displayed: Size { width: 40, height: 30 } }
    }

    fn always(_: Format) -> bool {
        true
    }

    #[test]
    fn what_does_not_fit_gives_way_to_the_next_format() {
        let (both, jpeg) = (accept("image/webp, image/avif"), source(Format::Jpeg, false, 1));
        for (fitting, expected) in [
            (&[Format::Avif, Format::Webp][..], Format::Avif),
            (&[Format::Webp], Format::Webp),
            (&[Format::Jpeg], Format::Jpeg),
            // Then the refusal says so.
            (&[], Format::Jpeg),
        ] {
            assert_eq!(of_variant(&both, jpeg, |format| fitting.contains(&format)), expected, "{fitting:?}");
        }
    }

    #[test]
    fn only_a_named_type_counts() {
        for value in ["image/webp", "text/html, IMAGE/WEBP;q=0.1", "image/avif,image/webp;level=1"] {
            assert!(names(&accept(value), Format::Webp), "{value}");
        }
        for value in ["*/*", "image/*", "image/webp;q=0", "image/webp; Q=0.000", "image/webpx", ""] {
            assert!(!names(&accept(value), Format::Webp), "{value}");
        }
    }

    #[test]
    fn every_client_can_show_what_is_natural() {
        for (format, has_alpha, frames, expected) in [
            (Format::Jpeg, false, 1, Format::Jpeg),
            (Format::Png, true, 1, Format::Png),
            (Format::Gif, true, 9, Format::Gif),
            (Format::Webp, false, 1, Format::Jpeg),
            (Format::Webp, true, 1, Format::Png),
            (Format::Webp, true, 9, Format::Gif),
        ] {
            assert_eq!(natural(source(format, has_alpha, frames)), expected, "{format:?}");
        }
    }

    #[test]
    fn stored_bytes_are_given_where_they_are_named_or_natural() {
        let webp = source(Format::Webp, false, 1);
        assert_eq!(of_full(&accept("image/webp"), webp, always), Format::Webp);
        assert_eq!(of_full(&accept("*/*"), webp, always), Format::Jpeg);
        let png = source(Format::Png, false, 1);
        assert_eq!(of_full(&accept("image/webp"), png, always), Format::Png);
        assert_eq!(of_variant(&accept("image/webp"), png, always), Format::Webp);
    }

    #[test]
    fn avif_comes_first_where_it_is_named_but_not_for_an_animation() {
        let both = accept("image/webp, image/avif");
        for format in Format::ALL {
            assert_eq!(of_variant(&both, source(format, false, 1), always), Format::Avif, "{format:?}");
        }
        assert_eq!(of_variant(&both, source(Format::Gif, true, 9), always), Format::Webp);
        assert_eq!(of_variant(&accept("image/avif"), source(Format::Gif, true, 9), always), Format::Gif);
        // Of these only the first frame is shown.
        assert_eq!(of_variant(&both, source(Format::Png, true, 9), always), Format::Avif);
        assert_eq!(
            of_variant(&accept("image/avif;q=0"), source(Format::Avif, false, 1), always),
            Format::Jpeg
        );
    }
}

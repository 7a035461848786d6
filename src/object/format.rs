//! Image formats and the extensions that select them.

/// A format that an image is stored in or a variant is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// JPEG, `.jpg`.
    Jpeg,
    /// PNG and APNG, `.png`.
    Png,
    /// GIF, `.gif`.
    Gif,
    /// WebP, `.webp`.
    Webp,
    /// AVIF, `.avif`.
    Avif,
    /// HEIC, `.heic`: an image may be stored in it, and no variant is made in it.
    Heic,
    /// JPEG XL, `.jxl`: stored and not written, as HEIC.
    Jxl,
}

impl Format {
    /// Every format, the most common first: the order in which the store looks for a file.
    pub const ALL: [Self; 7] =
        [Self::Jpeg, Self::Png, Self::Webp, Self::Gif, Self::Avif, Self::Heic, Self::Jxl];

    /// The formats in which variants are made.
    pub const WRITTEN: [Self; 5] = [Self::Jpeg, Self::Png, Self::Webp, Self::Gif, Self::Avif];

    /// The canonical extension, without the point.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Jxl => "jxl",
        }
    }

    /// The media type for `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Jxl => "image/jxl",
        }
    }

    /// Whether the encoder of this format takes a quality (`q`).
    pub const fn has_quality(self) -> bool {
        matches!(self, Self::Jpeg | Self::Webp | Self::Avif)
    }

    /// Whether variants are made in this format.
    pub const fn is_written(self) -> bool {
        !matches!(self, Self::Heic | Self::Jxl)
    }
}

/// A URL's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// This format.
    Format(Format),
    /// `auto`: the best format that the client names in `Accept`.
    Auto,
}

impl Extension {
    /// Reads an extension of any case, `jpeg` included; `None` for every other word. The canonical
    /// text is [`Extension::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        let same = |word: &str| text.eq_ignore_ascii_case(word);
        if same("auto") {
            return Some(Self::Auto);
        }
        if same("jpeg") {
            return Some(Self::Format(Format::Jpeg));
        }
        Format::ALL.into_iter().find(|format| same(format.extension())).map(Self::Format)
    }

    /// The canonical text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Format(format) => format.extension(),
            Self::Auto => "auto",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_written_where_the_list_of_written_formats_says_so() {
        for format in Format::ALL {
            assert_eq!(format.is_written(), Format::WRITTEN.contains(&format), "{format:?}");
        }
    }

    #[test]
    fn jpeg_and_upper_case_mean_the_canonical_extension() {
        assert_eq!(Extension::parse("JPEG").unwrap().as_str(), "jpg");
        assert_eq!(Extension::parse("WebP").unwrap().as_str(), "webp");
        assert_eq!(Extension::parse("auto"), Some(Extension::Auto));
        assert_eq!(Extension::parse("bmp"), None);
        assert_eq!(Extension::parse(""), None);
    }
}

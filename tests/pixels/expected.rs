//! The bounds within which a picture may differ from the second decoder's, and the files that it reads otherwise.

use crate::compare::Bound;
use crate::decoders::SecondDecoder;
use crate::manifest::Entry;
use crate::picture::Picture;

/// Without loss, and in colours that nobody converts.
pub(crate) const EXACT: Bound = Bound { mean: 0.0, block: 0.0, tone: 0.0 };
/// Profiles, gammas and 16 bits are rounded.
const CONVERTED: Bound = Bound { mean: 0.3, block: 1.1, tone: 1.1 };
/// Decoders may round transforms, and choose between filters for colours of half the size.
const JPEG: Bound = Bound { mean: 0.6, block: 1.8, tone: 2.5 };
/// libheif repeats colours of half the size, and the program interpolates them.
const SUBSAMPLED: Bound = Bound { mean: 1.3, block: 6.0, tone: 5.0 };
/// libavif's fast conversion has too small a number for blue.
const BLUE: Bound = Bound { mean: 1.3, block: 6.0, tone: 9.0 };
/// Luma of half the size, which libjpeg makes blurred.
const BLURRED: Bound = Bound { mean: 1.3, block: 12.0, tone: 5.0 };
/// Scaled pictures have another sharpness: a JPEG is decoded at a fraction of its size.
const SCALED: Bound = Bound { mean: 1.6, block: 15.0, tone: 5.0 };
/// If colours are converted after they were scaled, colours outside sRGB mix otherwise.
const SCALED_CONVERTED: Bound = Bound { mean: 1.6, block: 15.0, tone: 11.0 };
/// The same for a picture that is all detail: in it a pixel's move would not be seen.
const DETAILED: Bound = Bound { mean: 3.5, ..SCALED };
/// All but that.
pub(crate) const ALL: [Bound; 8] =
    [EXACT, CONVERTED, JPEG, SUBSAMPLED, BLUE, BLURRED, SCALED, SCALED_CONVERTED];

/// The way to compare a file.
#[derive(Clone, Copy)]
pub(crate) enum Comparison {
    Pixels {
        full: Bound,
        scaled: Bound,
    },
    /// The mean difference is at most this.
    Mean(f64),
    /// The brightness of blocks correlates at least so much.
    Brightness(f64),
    /// Only sizes.
    Size,
}

/// A difference of the second decoder's reading that the test can undo.
#[derive(Clone, Copy)]
enum Correction {
    None,
    /// It ignores the gamma of a PNG, in 100000ths.
    Gamma(f64),
    /// It enlarges the canvas beyond this size.
    Canvas(usize, usize),
}

/// A file that is not compared as others of its kind are, and why.
struct Exception {
    path: &'static str,
    reason: &'static str,
    decoder: SecondDecoder,
    correction: Correction,
    comparison: Option<Comparison>,
}

impl Exception {
    const fn new(path: &'static str, decoder: SecondDecoder, reason: &'static str) -> Self {
        Self { path, reason, decoder, correction: Correction::None, comparison: None }
    }
}

const EXCEPTIONS: &[Exception] = &[
    Exception::new("animated/avifs-star.avifs", SecondDecoder::Avif, "libheif reads no sequences"),
    Exception::new(
        "exif/avif-irot90.avif",
        SecondDecoder::Heif,
        "libvips takes the size from before the turn",
    ),
    Exception {
        comparison: Some(Comparison::Pixels { full: BLUE, scaled: BLUE }),
        ..Exception::new(
            "exif/avif-crop-clap.avif",
            SecondDecoder::Avif,
            "the aperture begins between two pixels, so it is not valid, and libheif cuts nevertheless",
        )
    },
    Exception {
        comparison: Some(Comparison::Pixels { full: JPEG, scaled: SCALED_CONVERTED }),
        ..Exception::new("color/cmyk-adobe0.jpg", SecondDecoder::Jpeg, "libvips assumes a profile")
    },
    Exception::new("color/ycck-adobe2-no-icc.jpg", SecondDecoder::Jpeg, "libvips assumes a profile"),
    Exception::new(
        "color/cmyk-adobe2-swop-icc.jpg",
        SecondDecoder::VipsTransform("relative"),
        "vipsthumbnail takes another profile for CMYK",
    ),
    Exception::new(
        "color/xyb-icc.jpg",
        SecondDecoder::VipsTransform("perceptual"),
        "the profile has no other intent, and libvips ignores it then",
    ),
    with_gamma("color/gamma-1.6-gray-photo.png", 62_500.0),
    with_gamma("color/interlaced-gray16.png", 100_000.0),
    with_gamma("color/interlaced-rgba.png", 100_000.0),
    with_gamma("color/trns-palette8.png", 100_000.0),
    Exception {
        comparison: Some(Comparison::Brightness(0.9)),
        ..Exception::new("color/p3-pq-10bit-444.avif", SecondDecoder::Vips, "libvips ignores nclx, hence PQ")
    },
    Exception {
        comparison: Some(Comparison::Pixels { full: BLURRED, scaled: SCALED }),
        ..Exception::new(
            "odd/411-luma-subsampled.jpg",
            SecondDecoder::Vips,
            "libjpeg blurs luma of half the size, and the program keeps it sharp",
        )
    },
    Exception {
        comparison: Some(Comparison::Mean(2.0)),
        ..Exception::new(
            "exif/bad-exif.jpg",
            SecondDecoder::Vips,
            "its data is damaged before most restart markers, and each decoder fills the gaps by itself",
        )
    },
    Exception {
        comparison: Some(Comparison::Mean(10.0)),
        ..Exception::new(
            "broken/truncated-progressive.jpg",
            SecondDecoder::Vips,
            "it is noise, and colours of half the size go through another filter if data is damaged",
        )
    },
    Exception {
        comparison: Some(Comparison::Pixels { full: JPEG, scaled: DETAILED }),
        ..Exception::new(
            "exif/gps-position.jpg",
            SecondDecoder::Vips,
            "its leaves are as fine as pixels, and the program's are sharper",
        )
    },
    Exception {
        correction: Correction::Canvas(32, 32),
        ..Exception::new(
            "broken/frame-outside-canvas.gif",
            SecondDecoder::Vips,
            "libvips enlarges the canvas",
        )
    },
    Exception {
        comparison: Some(Comparison::Size),
        ..Exception::new(
            "bombs/gif-40000-frames-2000x2000.gif",
            SecondDecoder::Vips,
            "libvips paints what no frame has drawn, and the program leaves it transparent",
        )
    },
];

const fn with_gamma(path: &'static str, gamma: f64) -> Exception {
    Exception {
        correction: Correction::Gamma(gamma),
        comparison: Some(Comparison::Pixels { full: CONVERTED, scaled: SCALED }),
        ..Exception::new(path, SecondDecoder::Vips, "libvips ignores gAMA")
    }
}

/// The names of all exceptions.
pub(crate) fn exceptions() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXCEPTIONS.iter().map(|exception| (exception.path, exception.reason))
}

/// All that the comparison of a file needs.
pub(crate) struct Expectation {
    pub(crate) decoder: SecondDecoder,
    pub(crate) comparison: Comparison,
    correction: Correction,
}

impl Expectation {
    pub(crate) fn of(entry: &Entry) -> Self {
        let usual = usual(entry);
        match EXCEPTIONS.iter().find(|exception| exception.path == entry.path) {
            None => usual,
            Some(exception) => Self {
                decoder: exception.decoder,
                comparison: exception.comparison.unwrap_or(usual.comparison),
                correction: exception.correction,
            },
        }
    }

    /// The second decoder's picture, without what it is known to do otherwise.
    pub(crate) fn corrected(&self, picture: Picture) -> Picture {
        match self.correction {
            Correction::None => picture,
            Correction::Gamma(gamma) => picture.mapped(&gamma_table(gamma)),
            Correction::Canvas(width, height) => picture.cut(width, height),
        }
    }
}

fn usual(entry: &Entry) -> Expectation {
    let decoder = if entry.format == "JXL" { SecondDecoder::Jxl } else { SecondDecoder::Vips };
    let full = match &entry.format[..] {
        "JPEG" => JPEG,
        "AVIF" | "HEIC" => SUBSAMPLED,
        _ if entry.has_profile() || entry.is_deep() => CONVERTED,
        _ => EXACT,
    };
    let scaled = if entry.has_profile() { SCALED_CONVERTED } else { SCALED };
    let comparison = Comparison::Pixels { full, scaled };
    Expectation { decoder, comparison, correction: Correction::None }
}

/// From values of a PNG with this gamma to sRGB.
fn gamma_table(gamma: f64) -> [u8; 256] {
    std::array::from_fn(|value| {
        let light = (value as f64 / 255.0).powf(100_000.0 / gamma);
        let encoded =
            if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}

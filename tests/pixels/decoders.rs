//! The second decoders: command lines that write a picture upright, in sRGB and in full size.
//!
//! Without them a test prints a line and passes; on a continuous integration server it fails.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::manifest::Entry;
use crate::picture::Picture;

/// Longer than any of them takes on a busy machine. The files are hostile, so `timeout` ends what hangs.
const PATIENCE_SECONDS: &str = "60";

/// A program that decodes pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondDecoder {
    /// libvips, which knows all formats and orientations, and converts profiles with LittleCMS.
    Vips,
    /// The same for profiles that it does not convert by itself, with this intent. It turns nothing.
    VipsTransform(&'static str),
    /// libheif by itself.
    Heif,
    /// libavif. It turns and cuts nothing.
    Avif,
    /// libjxl.
    Jxl,
    /// libjpeg, with the plain formula for CMYK. It turns nothing.
    Jpeg,
}

impl SecondDecoder {
    const ALL: [Self; 6] =
        [Self::Vips, Self::VipsTransform(""), Self::Heif, Self::Avif, Self::Jxl, Self::Jpeg];

    const fn name(self) -> &'static str {
        match self {
            Self::Vips => "vipsthumbnail",
            Self::VipsTransform(_) => "vips",
            Self::Heif => "heif-convert",
            Self::Avif => "avifdec",
            Self::Jxl => "djxl",
            Self::Jpeg => "djpeg",
        }
    }

    /// Decodes the first picture of a file. `scratch` is a folder that nothing else uses.
    pub(crate) fn decode(self, entry: &Entry, file: &Path, scratch: &Path) -> Result<Picture, String> {
        let output = scratch.join(if self == Self::Jpeg { "picture.ppm" } else { "picture.png" });
        let mut command = Command::new("timeout");
        command.args([PATIENCE_SECONDS, self.name()]).env("VIPS_CONCURRENCY", "1");
        match self {
            Self::Vips => {
                // A size beyond every picture's, and no enlargement: the pixels stay.
                command.arg(file).args(["--size", "1000000x1000000>", "--output"]);
                command.arg(format!("{}[compression=0]", output.display()));
                if entry.has_profile() {
                    command.args(["--export-profile", "srgb", "--intent", "relative"]);
                }
            }
            Self::VipsTransform(intent) => {
                command.arg("icc_transform").arg(file);
                command.arg(format!("{}[compression=0]", output.display()));
                command.args(["srgb", "--embedded", "--intent", intent]);
            }
            Self::Heif | Self::Jxl => drop(command.arg(file).arg(&output)),
            Self::Avif => drop(command.arg("--no-strict").arg(file).arg(&output)),
            Self::Jpeg => drop(command.args(["-pnm", "-outfile"]).arg(&output).arg(file)),
        }
        let run = command.output().map_err(|error| error.to_string())?;
        let written = fs::read(&output);
        let _ = fs::remove_file(&output);
        match written {
            Ok(ppm) if self == Self::Jpeg => Picture::from_ppm(&ppm),
            Ok(png) => Picture::from_png(&png),
            Err(_) => Err(format!("{}: {}", self.name(), String::from_utf8_lossy(&run.stderr).trim())),
        }
    }
}

/// Whether all are installed; if not, a line on standard error says so.
///
/// # Panics
/// If they are missing on a continuous integration server.
pub(crate) fn are_installed() -> bool {
    let is_missing = |name: &&str| Command::new(name).arg("--version").output().is_err();
    let missing: Vec<_> =
        SecondDecoder::ALL.map(SecondDecoder::name).into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI compares pixels: install {missing:?}");
    // `eprintln!` would not do: the test runner captures its output.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {missing:?} are not installed");
    false
}

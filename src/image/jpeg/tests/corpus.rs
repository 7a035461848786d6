//! The decoder on the JPEG files of the corpus.

use std::fs;
use std::path::Path;

use super::*;
use crate::image::tests::corpus;

pub(super) fn files(folder: &Path, of: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder.join(of)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn photos_are_those_of_the_other_decoder_at_every_scale() {
    let Some(folder) = corpus::folder() else { return };
    let photos = files(&folder, "photos");
    assert!(photos.len() >= 6);
    // The largest files take long in an unoptimised build; other files of the second folder are damaged.
    let small = |(_, bytes): &&(String, Vec<u8>)| bytes.len() < 800_000;
    let whole = |(name, _): &&(String, Vec<u8>)| name.starts_with("portrait-") && name.len() == 14;
    let exif = files(&folder, "exif");
    for (name, bytes) in photos.iter().filter(small).chain(exif.iter().filter(whole)) {
        let Some(jpeg) = Jpeg::read(bytes) else { panic!("{name} is for this decoder") };
        let whole = decoded(bytes, Scale::Whole);
        let expected = reference(bytes);
        for (plane, expected) in
            whole.iter().zip(&expected).filter(|(plane, _)| plane.across() * plane.down() == 1.0)
        {
            let samples = plane.clone().into_samples();
            assert!(most_apart(&samples, expected) <= 2, "{name}");
            assert!(mean_apart(&samples, expected) < 0.1, "{name}");
        }
        for (scale, side) in [(Scale::Half, 2), (Scale::Quarter, 4), (Scale::Eighth, 8)] {
            let small = jpeg.decode([scale; 4], &LIMITS, &|| true).unwrap();
            for (whole, small) in whole.iter().zip(&small) {
                let (means, samples) = averaged(whole, small, side);
                let apart = mean_apart(&means, &samples);
                assert!(apart < 2.0, "{name} {scale:?}: {apart:.2}");
            }
        }
    }
}

#[test]
fn large_progressive_photos_are_those_of_the_other_decoder_at_an_eighth() {
    let Some(folder) = corpus::folder() else { return };
    for (name, bytes) in files(&folder, "photos").iter().filter(|(name, _)| name.contains("progressive")) {
        let small = decoded(bytes, Scale::Eighth);
        let Size { width, height } = Jpeg::read(bytes).unwrap().size();
        let expected = &reference(bytes)[0];
        let side = |x: u32, y: u32| -> u32 {
            let rows = (y * 8..y * 8 + 8).map(|y| &expected[(y * width + x * 8) as usize..][..8]);
            rows.flatten().map(|&sample| u32::from(sample)).sum()
        };
        for (x, y) in (0..height / 8).flat_map(|y| (0..width / 8).map(move |x| (x, y))) {
            let mean = (side(x, y) + 32) / 64;
            // Samples beyond 0–255 were clipped in the whole picture and not in the mean.
            assert!(mean.abs_diff(u32::from(small[0].row(y)[x as usize])) <= 8, "{name} at {x}, {y}");
        }
    }
}

#[test]
fn broken_and_odd_files_end_in_planes_or_an_error() {
    let Some(folder) = corpus::folder() else { return };
    let mut taken = 0;
    for of in ["broken", "odd", "bombs", "color"] {
        for (_, bytes) in files(&folder, of) {
            let Some(jpeg) = Jpeg::read(&bytes) else { continue };
            for scale in [Scale::Eighth, Scale::Quarter] {
                let limits = Limits { pixels_max: 20_000_000, frames_max: 1 };
                taken += usize::from(jpeg.decode([scale; 4], &limits, &|| true).is_ok());
            }
        }
    }
    assert!(taken > 20, "{taken}");
}

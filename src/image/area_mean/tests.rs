use super::*;
use crate::image::shape::Rect;
use crate::image::tests::support::{photo, psnr};
use crate::image::{effect, resize};

const KINDS: [PixelKind; 4] = [PixelKind::Gray, PixelKind::GrayAlpha, PixelKind::Rgb, PixelKind::Rgba];

fn reduced(pixels: &Pixels, covered: (f64, f64), to: Size) -> Option<Pixels> {
    let shape = RowShape { kind: pixels.kind(), size: pixels.size(), covered, light: Light::Encoded };
    let mut mean = AreaMean::new(shape, to)?;
    pixels.data().chunks_exact(pixels.stride()).for_each(|row| mean.push(row));
    mean.finish()
}

fn whole(pixels: &Pixels, to: Size) -> Pixels {
    let Size { width, height } = pixels.size();
    reduced(pixels, (width.into(), height.into()), to).unwrap()
}

fn gray(width: u32, height: u32, data: &[u8]) -> Pixels {
    Pixels::new(Size { width, height }, PixelKind::Gray, data.to_vec()).unwrap()
}

#[test]
fn each_pixel_is_the_mean_of_its_area_parts_of_pixels_included() {
    let row = gray(3, 1, &[0, 90, 210]);
    assert_eq!(whole(&row, Size { width: 1, height: 1 }).data(), [100]);
    assert_eq!(whole(&row, Size { width: 2, height: 1 }).data(), [30, 170]);
    let column = gray(1, 3, &[0, 90, 210]);
    assert_eq!(whole(&column, Size { width: 1, height: 2 }).data(), [30, 170]);
    assert_eq!(whole(&row, row.size()), row);
    assert_eq!(whole(&row, Size { width: 6, height: 1 }).data(), [0, 0, 90, 90, 210, 210]);
}

#[test]
fn what_lies_outside_the_picture_does_not_count() {
    let rows = gray(3, 2, &[0, 90, 255, 0, 90, 255]);
    assert_eq!(reduced(&rows, (2.0, 2.0), Size { width: 1, height: 1 }).unwrap().data(), [45]);
    assert_eq!(reduced(&rows, (1.5, 1.0), Size { width: 1, height: 1 }).unwrap().data(), [30]);
}

#[test]
fn colours_of_invisible_pixels_never_show() {
    let picture = |kind, data: &[u8]| Pixels::new(Size { width: 2, height: 1 }, kind, data.to_vec()).unwrap();
    let one = Size { width: 1, height: 1 };
    let half = picture(PixelKind::Rgba, &[200, 100, 0, 255, 255, 255, 255, 0]);
    assert_eq!(whole(&half, one).data(), [200, 100, 0, 128]);
    let none = picture(PixelKind::GrayAlpha, &[200, 0, 100, 0]);
    assert_eq!(whole(&none, one).data(), [0, 0]);
}

#[test]
fn the_result_is_close_to_the_filters() {
    for kind in KINDS {
        for (width, height) in [(400, 300), (211, 307), (130, 97)] {
            let pixels = photo(Size { width, height }, kind);
            let to = Size { width: width / 3, height: height / 3 };
            let filtered = resize::resize(pixels.clone(), Rect::whole(pixels.size()), to).unwrap();
            // Colours that hardly show are free.
            let shown = |pixels| effect::flattened(pixels, [255; 3]);
            let alike = psnr(shown(whole(&pixels, to)).data(), shown(filtered).data());
            assert!(alike > 30.0, "{kind:?} {width}x{height}: {alike} dB");
        }
    }
}

#[test]
fn missing_rows_and_rows_of_another_length_give_no_picture() {
    let shape = RowShape::whole(PixelKind::Rgb, Size { width: 4, height: 3 }, Light::Encoded);
    let mut mean = AreaMean::new(shape, Size { width: 2, height: 2 }).unwrap();
    mean.push(&[7; 12]);
    mean.push(&[7; 11]);
    mean.push(&[7; 12]);
    assert_eq!(mean.finish(), None);
    let mut mean = AreaMean::new(shape, Size { width: 2, height: 2 }).unwrap();
    (0..9).for_each(|_| mean.push(&[7; 12]));
    assert_eq!(mean.finish().unwrap().data(), [7; 12]);
}

#[test]
fn no_size_overflows() {
    let shape = |width, height| RowShape::whole(PixelKind::Gray, Size { width, height }, Light::Encoded);
    let one = Size { width: 1, height: 1 };
    for (width, height) in [(1, u32::MAX), (1, 16_777_215), (1, 65_536)] {
        assert!(AreaMean::new(shape(width, height), one).is_none(), "{width}x{height}");
    }
    for to in [Size { width: 0, height: 1 }, Size { width: 1, height: 0 }, Size { width: 300, height: 1 }] {
        assert!(AreaMean::new(shape(1, 1), to).is_none(), "{to:?}");
    }
    for covered in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        let shape = RowShape { covered: (covered, 1.0), ..shape(1, 1) };
        let made = AreaMean::new(shape, one).map(|mean| mean.columns);
        assert!(made.is_none() || made == Some(vec![0, 256]), "{covered}");
    }
    let mut high = AreaMean::new(shape(2, 65_535), one).unwrap();
    (0..65_535).for_each(|_| high.push(&[255, 255]));
    assert_eq!(high.finish().unwrap().data(), [255]);
}

#[test]
fn means_of_linear_light_are_those_of_a_display_and_plain_colours_stay() {
    let mean = |kind, size, data: &[u8], to| {
        let shape = RowShape::whole(kind, size, Light::Linear);
        let mut mean = AreaMean::new(shape, to).unwrap();
        data.chunks_exact(size.width as usize * kind.channels()).for_each(|row| mean.push(row));
        mean.finish().unwrap().into_data()
    };
    let (two, one) = (Size { width: 2, height: 1 }, Size { width: 1, height: 1 });
    assert_eq!(mean(PixelKind::Gray, two, &[0, 255], one), [188]);
    let half = mean(PixelKind::Rgba, two, &[0, 9, 255, 255, 255, 9, 255, 255], one);
    assert_eq!((half[0], half[2], half[3]), (188, 255, 255));
    assert!(half[1].abs_diff(9) <= 1);
    let hidden = mean(PixelKind::Rgba, two, &[200, 100, 0, 255, 255, 255, 255, 0], one);
    assert!(hidden[0].abs_diff(200) <= 1 && hidden[1].abs_diff(100) <= 1 && hidden[3] == 128, "{hidden:?}");
    for value in 0..=255_u8 {
        let plain = mean(PixelKind::Gray, Size { width: 2, height: 2 }, &[value; 4], one);
        assert!(plain[0].abs_diff(value) <= 1, "{value}: {plain:?}");
    }
    let long = RowShape::whole(PixelKind::Gray, Size { width: 1, height: 4096 }, Light::Linear);
    assert!(AreaMean::new(long, one).is_none(), "its sums would overflow");
    let size = Size { width: 1, height: 4095 };
    assert_eq!(mean(PixelKind::Gray, size, &[255; 4095], one), [255]);
}

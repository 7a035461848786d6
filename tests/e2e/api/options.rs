//! What the options of a spec do to drawn pictures, to the pixel where the contract is exact.

use std::collections::BTreeSet;

use crate::support::harness::Node;
use crate::support::pictures::{BLUE, GREEN, Picture, RED, YELLOW, animation, gif_frames, jpeg};

const FORMATS: [&str; 4] = ["jpg", "png", "gif", "webp"];
const WHITE: [u8; 3] = [255; 3];

/// The picture behind a URL, which must be there.
#[track_caller]
fn see(node: &Node, id: &str, spec: &str, extension: &str) -> Picture {
    let answer = node.get(&format!("/image/{id}/{spec}/x.{extension}")).expect(200);
    Picture::decode(&answer.body)
}

#[track_caller]
fn tag(node: &Node, id: &str, spec: &str, extension: &str) -> String {
    let answer = node.get(&format!("/image/{id}/{spec}/x.{extension}")).expect(200);
    answer.expect_header("etag").to_owned()
}

#[track_caller]
fn expect_sizes(node: &Node, id: &str, sizes: &[(&str, u32, u32)]) {
    for (index, &(spec, width, height)) in sizes.iter().enumerate() {
        let extension = FORMATS[index % FORMATS.len()];
        assert_eq!(see(node, id, spec, extension).size(), (width, height), "{spec}.{extension}");
    }
}

/// A picture of two colours side by side.
fn halves(width: u32, height: u32, [left, right]: [[u8; 3]; 2]) -> Picture {
    Picture::draw(width, height, |x, _| {
        let [red, green, blue] = if x * 2 < width { left } else { right };
        [red, green, blue, 255]
    })
}

/// A red rectangle on a field of another colour.
fn framed(size: (u32, u32), left: u32, top: u32, (width, height): (u32, u32), field: [u8; 4]) -> Picture {
    Picture::draw(size.0, size.1, |x, y| {
        let inside = (left..left + width).contains(&x) && (top..top + height).contains(&y);
        if inside { [220, 40, 40, 255] } else { field }
    })
}

#[test]
fn up_enlarges_and_without_it_nothing_is_enlarged() {
    let node = Node::plain();
    let id = node.upload(&jpeg(40, 30, 1));
    let sizes = [
        ("100w", 40, 30),
        ("100w,up", 100, 75),
        ("100h,up", 133, 100),
        ("100w100h,up", 100, 75),
        ("100s,up", 100, 100),
        ("200w100h,fill,up", 200, 100),
        ("20w,up", 20, 15),
    ];
    expect_sizes(&node, &id, &sizes);
    see(&node, &id, "100w,up", "png").expect_corners([RED, GREEN, BLUE, YELLOW], "enlarged");
}

#[test]
fn an_enlarged_side_beyond_the_bound_is_422() {
    let node = Node::plain();
    let id = node.upload(&Picture::bands(3, 5000).png());
    node.get(&format!("/image/{id}/6w,up/x.png")).problem(422);
    see(&node, &id, "4w,up", "png");
}

#[test]
fn dpr_multiplies_the_size_part() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    let sizes = [
        ("100w,dpr2", 200, 150),
        ("33w,dpr1.5", 50, 38),
        ("100w,dpr0.5", 50, 38),
        ("50s,dpr3", 150, 150),
        ("300w,dpr2", 400, 300),
        ("300w,dpr2,up", 600, 450),
        ("30w40h,pad,dpr2", 60, 80),
    ];
    expect_sizes(&node, &id, &sizes);
    assert_eq!(tag(&node, &id, "100w,dpr2", "png"), tag(&node, &id, "200w", "png"), "they are one variant");
    let detail = node.get(&format!("/image/{id}/5000w,dpr2/x.png")).problem(400);
    assert!(detail.contains("5000w"), "{detail}");
}

#[test]
fn stretch_ignores_the_aspect() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    let sizes = [
        ("100w100h,stretch", 100, 100),
        ("500w100h,stretch", 400, 100),
        ("500w600h,stretch", 400, 300),
        ("500w600h,stretch,up", 500, 600),
    ];
    expect_sizes(&node, &id, &sizes);
    see(&node, &id, "100w100h,stretch", "png").expect_corners([RED, GREEN, BLUE, YELLOW], "stretched");
}

/// Panics unless exactly the pixels of this window are opaque and all others clear.
#[track_caller]
fn expect_window(picture: &Picture, left: u32, top: u32, width: u32, height: u32, what: &str) {
    for (x, y) in (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y))) {
        let inside = (left..left + width).contains(&x) && (top..top + height).contains(&y);
        let alpha = if inside { 255 } else { 0 };
        assert_eq!(picture.pixel(x, y)[3], alpha, "{what}: at {x},{y}");
    }
}

#[test]
fn pad_puts_the_whole_image_into_the_middle_of_the_box() {
    let node = Node::plain();
    let wide = node.upload(&jpeg(200, 100, 1));
    let tall = node.upload(&jpeg(30, 61, 1));
    for (id, spec, (width, height), (left, top, across, down)) in [
        (&wide, "100w100h,pad", (100, 100), (0, 25, 100, 50)),
        (&wide, "100w101h,pad", (100, 101), (0, 25, 100, 50)),
        (&wide, "90w20h,pad", (90, 20), (25, 0, 40, 20)),
        (&tall, "64w70h,pad", (64, 70), (17, 4, 30, 61)),
        (&tall, "60w122h,pad,up", (60, 122), (0, 0, 60, 122)),
        (&tall, "30w61h,pad", (30, 61), (0, 0, 30, 61)),
    ] {
        for extension in ["png", "webp", "gif"] {
            let picture = see(&node, id, spec, extension);
            let what = format!("{spec}.{extension}");
            assert_eq!(picture.size(), (width, height), "{what}");
            expect_window(&picture, left, top, across, down, &what);
        }
    }
}

#[test]
fn padding_is_white_without_alpha_and_bg_in_every_format() {
    let node = Node::plain();
    let id = node.upload(&Picture::bands(60, 30).png());
    let jpeg = see(&node, &id, "60w60h,pad", "jpg");
    jpeg.expect_colour(0.5, 0.1, WHITE, "padding of a JPEG");
    jpeg.expect_colour(0.1, 0.5, RED, "the picture in it");
    for extension in FORMATS {
        let picture = see(&node, &id, "60w60h,pad,bg-2828dc", extension);
        picture.expect_colour(0.5, 0.1, BLUE, extension);
        picture.expect_colour(0.5, 0.9, BLUE, extension);
        picture.expect_colour(0.5, 0.5, GREEN, extension);
    }
}

#[test]
fn bg_shows_where_the_image_is_transparent_in_every_format() {
    let node = Node::plain();
    for source in ["png", "webp", "gif"] {
        let id = node.upload(&Picture::half_transparent(80, 60).encode(source));
        for target in FORMATS {
            let picture = see(&node, &id, "40w,bg-28c828", target);
            let what = format!("{source} to {target}");
            picture.expect_colour(0.2, 0.5, GREEN, &what);
            picture.expect_colour(0.8, 0.5, RED, &what);
        }
    }
    let id = node.upload(&Picture::half_transparent(80, 60).png());
    let exact = see(&node, &id, "full,bg-010203", "png");
    assert_eq!((exact.pixel(0, 0), exact.pixel(79, 0)), ([1, 2, 3, 255], [220, 40, 40, 255]));
}

#[test]
fn grey_is_the_luma_of_the_encoded_values() {
    let node = Node::plain();
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30], [200, 100, 50]];
    let source = Picture::draw(6, 4, |x, _| {
        let [red, green, blue] = colours[x as usize];
        [red, green, blue, 255]
    });
    let id = node.upload(&source.png());
    let grey = see(&node, &id, "full,grey", "png");
    for (x, luma) in (0..).zip([76, 150, 29, 255, 18, 124]) {
        assert_eq!(grey.pixel(x, 2), [luma, luma, luma, 255], "{:?}", colours[x as usize]);
    }
    for extension in ["jpg", "webp", "gif"] {
        let pixel = see(&node, &id, "full,grey", extension).pixel(3, 2);
        assert!(pixel[0].abs_diff(pixel[1]) < 6 && pixel[1].abs_diff(pixel[2]) < 6, "{extension}: {pixel:?}");
    }
    // The colour type of a PNG, and the number of components of a JPEG's frame.
    let png = node.get(&format!("/image/{id}/full,grey/x.png")).expect(200).body;
    assert!(matches!(png[25], 0 | 4), "the PNG is not gray");
    let jpeg = node.get(&format!("/image/{id}/full,grey/x.jpg")).expect(200).body;
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).expect("a baseline frame");
    assert_eq!(jpeg[frame + 9], 1, "the JPEG has colours");
}

#[test]
fn grey_and_blur_leave_the_background_as_it_is() {
    let node = Node::plain();
    let id = node.upload(&Picture::bands(60, 30).png());
    let picture = see(&node, &id, "60w90h,pad,blur1,grey,bg-2828dc", "png");
    assert_eq!(picture.pixel(30, 5), [0x28, 0x28, 0xDC, 255], "the background");
    assert_eq!(picture.pixel(30, 45), [134, 134, 134, 255], "the luma of the green band");
}

#[test]
fn blur_is_a_gaussian_of_the_result() {
    let node = Node::plain();
    let id = node.upload(&halves(200, 40, [[0; 3], [200; 3]]).png());
    // The share of a Gaussian's bell that lies on the light side, at so many sigmas from the edge.
    for (spec, sigma) in [("full,blur3", 3.0), ("full,blur10", 10.0), ("full,blur20", 20.0)] {
        let picture = see(&node, &id, spec, "png");
        for (sigmas, share) in [(-2.0, 0.0228), (-1.0, 0.1587), (0.0, 0.5), (1.0, 0.8413), (2.0, 0.9772)] {
            let x = 100.0 + sigmas * sigma;
            // The edge lies between two pixels: their mean is its value.
            let (before, after) = (picture.pixel(x as u32 - 1, 20)[0], picture.pixel(x as u32, 20)[0]);
            let value = (f64::from(before) + f64::from(after)) / 2.0;
            assert!((value - 200.0 * share).abs() < 3.5, "{spec} at {sigmas} sigma: {value}");
        }
        for y in [0, 39] {
            assert_eq!(picture.pixel(100, y), picture.pixel(100, 20), "{spec}: the edges are clamped");
        }
    }
    let half = see(&node, &id, "100w,blur10", "png");
    assert!(half.pixel(30, 10)[0] > 1 && half.pixel(40, 10)[0] > 20, "sigma counts in pixels of the result");
}

#[test]
fn blur_of_one_colour_changes_nothing() {
    let node = Node::plain();
    let id = node.upload(&Picture::draw(30, 20, |_, _| [12, 200, 99, 77]).png());
    for spec in ["full,blur0.3", "full,blur2.5", "full,blur4", "full,blur100", "full,sharpen10"] {
        let picture = see(&node, &id, spec, "png");
        for (x, y) in [(0, 0), (15, 10), (29, 19)] {
            assert_eq!(picture.pixel(x, y), [12, 200, 99, 77], "{spec}");
        }
    }
}

#[test]
fn sharpen_overshoots_at_an_edge_by_its_gain() {
    let node = Node::plain();
    let id = node.upload(&halves(40, 10, [[100; 3], [150; 3]]).png());
    // Beside the edge a Gaussian of sigma 1 is off by 0.30 of the step.
    for (spec, dark, light) in
        [("full,sharpen1", 85, 165), ("full,sharpen2", 70, 180), ("full,sharpen0.1", 98, 152)]
    {
        let picture = see(&node, &id, spec, "png");
        let (before, after) = (picture.pixel(19, 5)[0], picture.pixel(20, 5)[0]);
        assert!(before.abs_diff(dark) <= 2 && after.abs_diff(light) <= 2, "{spec}: {before} {after}");
        assert_eq!(
            (picture.pixel(5, 5)[0], picture.pixel(35, 5)[0]),
            (100, 150),
            "{spec}: far from the edge"
        );
    }
    let most = see(&node, &id, "full,sharpen10", "png");
    assert_eq!((most.pixel(19, 5)[0], most.pixel(20, 5)[0]), (0, 255));
}

#[test]
fn trim_cuts_the_border_to_the_pixel_before_sizing() {
    let node = Node::plain();
    let id = node.upload(&framed((100, 80), 13, 7, (60, 40), [250, 250, 250, 255]).png());
    let sizes = [
        ("full,trim", 60, 40),
        ("30w,trim", 30, 20),
        ("100w,trim", 60, 40),
        ("120w,up,trim", 120, 80),
        ("20s,trim", 20, 20),
        ("full,rot90,trim", 40, 60),
        // The border is that of the crop: here the content touches three of its sides.
        ("full,crop-20-0-40-30,trim", 40, 23),
    ];
    expect_sizes(&node, &id, &sizes);
    for spec in ["full,trim", "30w,trim", "120w,up,trim"] {
        let picture = see(&node, &id, spec, "png");
        for (x, y) in [(0.0, 0.0), (0.99, 0.0), (0.0, 0.99), (0.5, 0.5)] {
            picture.expect_colour(x, y, RED, spec);
        }
    }
}

#[test]
fn trim_takes_for_border_what_differs_by_ten_at_most() {
    let node = Node::plain();
    let picture = Picture::draw(9, 7, |x, y| match (x, y) {
        (3, 2) => [111, 100, 100, 255],
        (5, 4) => [100, 100, 89, 255],
        _ => [100 - ((x + y) % 11) as u8, 100 + ((x * y) % 11) as u8, 100, 255],
    });
    let id = node.upload(&picture.png());
    assert_eq!(see(&node, &id, "full,trim", "png").size(), (3, 3));
}

#[test]
fn an_image_that_is_all_border_is_not_trimmed() {
    let node = Node::plain();
    let id = node.upload(&Picture::draw(30, 20, |_, _| [9, 9, 9, 255]).png());
    expect_sizes(&node, &id, &[("full,trim", 30, 20), ("15w,trim", 15, 10)]);
}

#[test]
fn trim_follows_the_displayed_corner() {
    let node = Node::plain();
    // As stored the top left corner is blue; turned by 180° it is the white one that counts.
    let picture = Picture::draw(40, 40, |x, y| if x < 20 && y < 20 { [40, 40, 220, 255] } else { [255; 4] });
    let id = node.upload(&picture.png());
    assert_eq!(see(&node, &id, "full,rot180,trim", "png").size(), (20, 20));
    assert_eq!(see(&node, &id, "full,trim", "png").size(), (40, 40));
}

#[test]
fn nothing_beyond_a_crop_shows_at_its_edge() {
    let node = Node::plain();
    let id = node.upload(&halves(40, 20, [RED, BLUE]).png());
    for spec in ["100w,up,crop-0-0-20-20", "7w,crop-0-0-20-20", "50w70h,stretch,up,crop-0-0-20-20"] {
        let picture = see(&node, &id, spec, "png");
        for x in [0, picture.width - 1] {
            let [red, green, blue, _] = picture.pixel(x, 3);
            assert_eq!([red, green, blue], RED, "{spec} at {x}");
        }
    }
}

/// Whether the bytes hold this text.
fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn meta_keeps_exif_upright_and_without_it_there_is_none() {
    let node = Node::plain();
    let id = node.upload(&Picture::corners(120, 80, 1).jpeg_oriented(6));
    for (extension, mark) in [("jpg", &b"Exif\0\0MM"[..]), ("png", b"eXIfMM"), ("webp", b"EXIF")] {
        let url = |spec: &str| format!("/image/{id}/{spec}/x.{extension}");
        let kept = node.get(&url("60w,meta")).expect(200).body;
        assert!(holds(&kept, mark), "{extension} lost its EXIF");
        let plain = node.get(&url("60w")).expect(200).body;
        assert!(!holds(&plain, mark), "{extension} kept EXIF that nobody asked for");
        assert_ne!(tag(&node, &id, "60w,meta", extension), tag(&node, &id, "60w", extension));
        // A viewer that obeys the kept orientation must not turn it again.
        let again = node.upload(&kept);
        let info = node.get(&format!("/info/{again}")).expect(200).json();
        assert_eq!(
            (&info["orientation"], &info["width"], &info["height"]),
            (&1.into(), &60.into(), &90.into())
        );
        see(&node, &again, "full,flip", "png").expect_corners([YELLOW, GREEN, BLUE, RED], extension);
    }
    assert_eq!(tag(&node, &id, "60w,meta", "gif"), tag(&node, &id, "60w", "gif"), "a GIF keeps nothing");
}

#[test]
fn more_frames_than_allowed_are_a_still_of_the_first() {
    let node = Node::with_config("[images]\nmax_frames = 1\n");
    let id = node.upload(&animation(&[Picture::corners(60, 60, 1), Picture::bands(60, 60)]));
    for spec in ["full,frame0", "30w", "30w,frame0"] {
        let answer = node.get(&format!("/image/{id}/{spec}/x.gif")).expect(200);
        assert_eq!(gif_frames(&answer.body), 1, "{spec}");
        Picture::decode(&answer.body).expect_corners([RED, GREEN, BLUE, YELLOW], spec);
    }
    for spec in ["full,frame1", "30w,frame2"] {
        node.get(&format!("/image/{id}/{spec}/x.png")).problem(422);
    }
}

#[test]
fn options_combine_in_the_order_of_the_contract() {
    let node = Node::plain();
    // Cropped to its right part, trimmed of white, scaled, padded: in that order and no other.
    let id = node.upload(&framed((120, 60), 70, 10, (40, 20), [255; 4]).png());
    let picture = see(&node, &id, "30w30h,pad,crop-60-0-60-60,trim", "png");
    assert_eq!(picture.size(), (30, 30));
    expect_window(&picture, 0, 7, 30, 15, "cropped, trimmed and padded");
    // Turned clockwise, then mirrored, then cropped.
    let id = node.upload(&Picture::corners(80, 40, 1).png());
    see(&node, &id, "full,crop-0-0-20-40,rot90,flop", "png").expect_colour(
        0.5,
        0.5,
        RED,
        "turned, then cropped",
    );
}

#[test]
fn every_option_makes_a_variant_of_its_own_and_a_default_spelled_out_does_not() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 45, 1));
    let specs = [
        "30w",
        "30w,up",
        "30w20h",
        "30w20h,fill",
        "30w20h,pad",
        "30w20h,stretch",
        "30w,blur1",
        "30w,blur1.5",
        "30w,sharpen1",
        "30w,grey",
        "30w,trim",
        "30w,bg-000000",
        "30w,frame0",
        "30w,meta",
    ];
    let tags: BTreeSet<_> = specs.iter().map(|spec| tag(&node, &id, spec, "jpg")).collect();
    assert_eq!(tags.len(), specs.len());
    assert_eq!(tag(&node, &id, "30w,bg-ffffff", "jpg"), tag(&node, &id, "30w", "jpg"));
    assert_ne!(tag(&node, &id, "30w,bg-ffffff", "png"), tag(&node, &id, "30w", "png"));
}

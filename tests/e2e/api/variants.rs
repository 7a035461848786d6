//! What a spec makes of an image: sizes to the pixel, which way up, which part, which format, which ETag.

use std::collections::BTreeSet;

use crate::support::client::Request;
use crate::support::harness::{Node, Options};
use crate::support::pictures::{
    BLUE, GREEN, Picture, RED, YELLOW, animation, extension, gif_frames, jpeg, undecodable_png,
};

const FORMATS: [(&str, &str); 4] =
    [("jpg", "image/jpeg"), ("png", "image/png"), ("gif", "image/gif"), ("webp", "image/webp")];

/// The picture behind a URL, which must be there.
#[track_caller]
fn see(node: &Node, id: &str, spec: &str, extension: &str) -> Picture {
    let answer = node.get(&format!("/image/{id}/{spec}/x.{extension}")).expect(200);
    Picture::decode(&answer.body)
}

/// Checks sizes, in turn through all formats.
#[track_caller]
fn expect_sizes(source: &[u8], sizes: &[(&str, u32, u32)]) {
    let node = Node::plain();
    let id = node.upload(source);
    for (index, &(spec, width, height)) in sizes.iter().enumerate() {
        let (extension, _) = FORMATS[index % FORMATS.len()];
        assert_eq!(see(&node, &id, spec, extension).size(), (width, height), "{spec}.{extension}");
    }
}

#[test]
fn sizes_are_exact() {
    expect_sizes(
        &jpeg(400, 300, 1),
        &[
            ("full", 400, 300),
            ("200w", 200, 150),
            ("100h", 133, 100),
            ("333w", 333, 250),
            ("200w100h", 133, 100),
            ("100w200h", 100, 75),
            ("100s", 100, 100),
            ("1w", 1, 1),
            ("399w", 399, 299),
            ("300w100h,fill", 300, 100),
        ],
    );
}

#[test]
fn nothing_is_enlarged() {
    expect_sizes(
        &jpeg(400, 300, 1),
        &[
            ("1000w", 400, 300),
            ("1000h", 400, 300),
            ("1000w2000h", 400, 300),
            ("500s", 300, 300),
            ("800w100h,fill", 400, 50),
        ],
    );
    expect_sizes(&jpeg(333, 77, 1), &[("100s", 77, 77)]);
}

#[test]
fn a_side_is_never_less_than_one() {
    expect_sizes(&jpeg(1000, 1, 1), &[("10w", 10, 1), ("1w", 1, 1)]);
    expect_sizes(&jpeg(1, 1000, 1), &[("10h", 1, 10), ("1h", 1, 1)]);
    expect_sizes(&jpeg(1, 1, 1), &[("10w", 1, 1), ("10s", 1, 1), ("full", 1, 1)]);
}

#[test]
fn crops_and_turns_come_before_sizing() {
    expect_sizes(
        &jpeg(400, 300, 1),
        &[
            ("full,crop-10-20-30-40", 30, 40),
            ("full,crop-390-290-100-100", 10, 10),
            ("100w,crop-0-0-200-300", 100, 150),
            ("full,rot90", 300, 400),
            ("200w,rot270", 200, 267),
            ("full,rot180", 400, 300),
        ],
    );
}

#[test]
fn every_format_becomes_every_format() {
    let node = Node::plain();
    for (source, _) in FORMATS {
        let id = node.upload(&Picture::corners(120, 90, 1).encode(source));
        for (target, kind) in FORMATS {
            let answer = node.get(&format!("/image/{id}/60w/x.{target}")).expect(200);
            assert_eq!(answer.header("content-type"), Some(kind));
            assert_eq!(extension(&answer.body), target);
            let picture = Picture::decode(&answer.body);
            assert_eq!(picture.size(), (60, 45));
            picture.expect_corners([RED, GREEN, BLUE, YELLOW], &format!("{source} to {target}"));
        }
    }
}

/// Where the stored corners (top left, top right, bottom left, bottom right) are shown, by EXIF orientation.
fn shown(orientation: u8, [a, b, c, d]: [[u8; 3]; 4]) -> [[u8; 3]; 4] {
    match orientation {
        2 => [b, a, d, c],
        3 => [d, c, b, a],
        4 => [c, d, a, b],
        5 => [a, c, b, d],
        6 => [c, a, d, b],
        7 => [d, b, c, a],
        8 => [b, d, a, c],
        _ => [a, b, c, d],
    }
}

#[test]
fn every_orientation_is_applied() {
    let node = Node::plain();
    for orientation in 0..=9 {
        let id = node.upload(&Picture::corners(120, 80, 1).jpeg_oriented(orientation));
        let turned = (5..=8).contains(&orientation);
        for (spec, target) in [("full", "png"), ("60w", "jpg"), ("30s", "webp")] {
            let picture = see(&node, &id, spec, target);
            let what = format!("orientation {orientation}, {spec}.{target}");
            picture.expect_corners(shown(orientation, [RED, GREEN, BLUE, YELLOW]), &what);
            let size = match (spec, turned) {
                ("full", false) => (120, 80),
                ("full", true) => (80, 120),
                ("60w", false) => (60, 40),
                ("60w", true) => (60, 90),
                _ => (30, 30),
            };
            assert_eq!(picture.size(), size, "{what}");
        }
    }
}

#[test]
fn turns_and_mirrors_follow_orientation_in_their_order() {
    let node = Node::plain();
    let upright = node.upload(&Picture::corners(120, 80, 1).png());
    for (spec, corners) in [
        ("full,rot90", [BLUE, RED, YELLOW, GREEN]),
        ("full,rot180", [YELLOW, BLUE, GREEN, RED]),
        ("full,rot270", [GREEN, YELLOW, RED, BLUE]),
        ("full,flip", [BLUE, YELLOW, RED, GREEN]),
        ("full,flop", [GREEN, RED, YELLOW, BLUE]),
        ("full,rot90,flip", [YELLOW, GREEN, BLUE, RED]),
        ("full,rot90,flop", [RED, BLUE, GREEN, YELLOW]),
        ("60w,flip,flop", [YELLOW, BLUE, GREEN, RED]),
    ] {
        see(&node, &upright, spec, "webp").expect_corners(corners, spec);
    }
    let turned = node.upload(&Picture::corners(120, 80, 1).jpeg_oriented(6));
    // Orientation 6 shows blue, red above yellow, green; mirrored left-right after it.
    see(&node, &turned, "full,flop", "png")
        .expect_corners([RED, BLUE, GREEN, YELLOW], "orientation, then flop");
}

#[test]
fn a_crop_counts_from_the_displayed_corner() {
    let node = Node::plain();
    let id = node.upload(&Picture::corners(120, 80, 1).jpeg_oriented(6));
    for (spec, colour) in
        [("full,crop-0-0-40-60", BLUE), ("full,crop-40-0-40-60", RED), ("full,crop-40-60-40-60", GREEN)]
    {
        let picture = see(&node, &id, spec, "png");
        assert_eq!(picture.size(), (40, 60), "{spec}");
        picture.expect_colour(0.5, 0.5, colour, spec);
    }
}

#[test]
fn gravity_says_what_a_crop_keeps() {
    let node = Node::plain();
    let id = node.upload(&Picture::bands(300, 100).png());
    for (spec, colour) in [
        ("100s", GREEN),
        ("50s,g-w", RED),
        ("50s,g-e", BLUE),
        ("50s,g-nw", RED),
        ("50s,g-x0y0.5", RED),
        ("50s,g-x0.5y0.5", GREEN),
        ("50s,g-x1y1", BLUE),
        ("50w50h,fill,g-se", BLUE),
    ] {
        let picture = see(&node, &id, spec, "png");
        for place in [0.1, 0.5, 0.9] {
            picture.expect_colour(place, 0.5, colour, spec);
        }
    }
}

#[test]
fn transparency_stays_where_the_format_has_it_and_is_white_where_not() {
    let node = Node::plain();
    const WHITE: [u8; 3] = [255; 3];
    for source in ["png", "webp", "gif"] {
        let id = node.upload(&Picture::half_transparent(80, 60).encode(source));
        for target in ["png", "webp", "gif"] {
            let picture = see(&node, &id, "40w", target);
            assert_eq!(picture.pixel(5, 15)[3], 0, "{source} to {target}");
            picture.expect_colour(0.8, 0.5, RED, target);
        }
        see(&node, &id, "40w", "jpg").expect_colour(0.2, 0.5, WHITE, source);
    }
}

#[test]
fn an_animation_stays_one_where_the_format_can_and_else_is_its_first_frame() {
    let node = Node::plain();
    let id = node.upload(&animation(&[Picture::corners(80, 60, 1), Picture::bands(80, 60)]));
    for (target, _) in FORMATS {
        let picture = see(&node, &id, "40w", target);
        assert_eq!(picture.size(), (40, 30), "{target}");
        picture.expect_corners([RED, GREEN, BLUE, YELLOW], target);
        let frames = if matches!(target, "gif" | "webp") { 2 } else { 1 };
        let again = node.upload(&node.get(&format!("/image/{id}/40w/x.{target}")).expect(200).body);
        assert_eq!(node.get(&format!("/info/{again}")).expect(200).json()["frames"], frames, "{target}");
        if frames == 2 {
            see(&node, &again, "full,frame1", "png").expect_colour(0.5, 0.5, GREEN, target);
        }
    }
}

#[test]
fn an_animated_webp_becomes_a_gif_for_those_who_do_not_name_webp() {
    let node = Node::plain();
    let gif = node.upload(&animation(&[Picture::corners(80, 60, 1), Picture::bands(80, 60)]));
    let webp = node.get(&format!("/image/{gif}/full/x.webp")).expect(200).body;
    let id = node.upload(&webp);
    let answer = node.get(&format!("/image/{id}/40w/x.auto")).expect(200);
    assert_eq!(answer.header("content-type"), Some("image/gif"));
    assert_eq!(gif_frames(&answer.body), 2);
}

#[test]
fn a_jpeg_with_one_scan_per_component_looks_as_drawn() {
    let node = Node::plain();
    for (width, height) in [(16, 16), (60, 45), (300, 200)] {
        let id = node.upload(&Picture::corners(width, height, 1).jpeg_in_scans());
        for spec in ["full", "15w"] {
            see(&node, &id, spec, "png").expect_corners([RED, GREEN, BLUE, YELLOW], spec);
        }
    }
}

#[test]
fn a_thumbnail_uploaded_again_looks_the_same() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    for (target, _) in FORMATS {
        let thumbnail = node.get(&format!("/image/{id}/60w/x.{target}")).expect(200).body;
        let again = node.upload(&thumbnail);
        see(&node, &again, "40w", "png").expect_corners([RED, GREEN, BLUE, YELLOW], target);
    }
}

#[test]
fn frame_picks_one_frame_as_a_still() {
    let node = Node::plain();
    let id = node.upload(&animation(&[Picture::corners(60, 60, 1), Picture::bands(60, 60)]));
    let answer = node.get(&format!("/image/{id}/full,frame1/x.gif")).expect(200);
    assert_eq!(gif_frames(&answer.body), 1);
    see(&node, &id, "full,frame1", "png").expect_colour(0.5, 0.5, GREEN, "the second frame");
    see(&node, &id, "full,frame0", "png").expect_corners([RED, GREEN, BLUE, YELLOW], "the first frame");
}

#[test]
fn what_lies_beyond_the_image_is_422() {
    let node = Node::plain();
    let still = node.upload(&jpeg(400, 300, 1));
    let moving = node.upload(&animation(&[Picture::corners(60, 60, 1), Picture::bands(60, 60)]));
    for (id, spec) in [
        (&still, "full,crop-400-0-10-10"),
        (&still, "full,crop-0-300-10-10"),
        (&still, "100w,crop-5000-5000-10-10"),
        (&still, "full,frame1"),
        (&moving, "full,frame2"),
        (&moving, "full,frame99999"),
    ] {
        node.get(&format!("/image/{id}/{spec}/x.png")).problem(422);
    }
}

#[test]
fn pixels_that_cannot_be_decoded_are_422() {
    let node = Node::plain();
    let id = node.upload(&undecodable_png());
    node.get(&format!("/image/{id}/60w/x.jpg")).problem(422);
    node.get("/healthz").expect(200);
}

#[test]
fn every_variant_has_a_strong_etag_of_its_own_that_survives_a_restart() {
    let mut node = Node::start(Options { shards: 2, ..Options::default() });
    let id = node.upload(&jpeg(400, 300, 1));
    let urls: Vec<_> = [
        "full/x.png",
        "200w/x.jpg",
        "200w/x.png",
        "200w/x.webp",
        "201w/x.jpg",
        "200w,q50/x.jpg",
        "200s/x.jpg",
    ]
    .iter()
    .map(|tail| format!("/image/{id}/{tail}"))
    .collect();
    let tags = |node: &Node| -> Vec<String> {
        urls.iter().map(|url| node.get(url).expect(200).expect_header("etag").to_owned()).collect()
    };
    let before = tags(&node);
    assert!(
        before.iter().all(|tag| tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10),
        "{before:?}"
    );
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), urls.len(), "{before:?}");
    assert!(!before.contains(&format!("\"{id}\"")), "the stored bytes have that one");
    assert_eq!(node.terminate(), Some(0));
    node.restart();
    assert_eq!(tags(&node), before);
}

#[test]
fn the_default_quality_spelled_out_is_the_same_variant() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    let tag = |spec: &str| {
        node.get(&format!("/image/{id}/{spec}/x.jpg")).expect(200).expect_header("etag").to_owned()
    };
    assert_eq!(tag("200w"), tag("200w,q82"));
    assert_ne!(tag("200w"), tag("200w,q81"));
}

#[test]
fn if_none_match_on_a_variant_is_304_even_when_it_was_never_made() {
    let mut node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    let url = format!("/image/{id}/200w/x.jpg");
    let tag = node.get(&url).expect(200).expect_header("etag").to_owned();
    assert_eq!(node.terminate(), Some(0));
    node.remove_cache();
    node.restart();
    let answer = node.ask(&Request::get(&url).header("If-None-Match", &tag)).expect(304);
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 0.0);
}

#[test]
fn a_variant_carries_every_promised_header() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    let answer = node.get(&format!("/image/{id}/200w/x.webp")).expect(200);
    for (name, value) in [
        ("content-type", "image/webp"),
        ("content-length", &answer.body.len().to_string()),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'"),
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("timing-allow-origin", "*"),
        ("x-cache", "miss"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let original = node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
    assert_eq!(answer.header("last-modified"), original.header("last-modified"));
}

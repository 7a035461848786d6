//! `images.originals`: what strangers get of an image as it was uploaded.

use crate::support::client::{Answer, Request};
use crate::support::harness::{Node, sha1};
use crate::support::pictures::Picture;

const SECRET: &[u8] = b"52.5200N 13.4050E";

/// A photo with a comment, and with EXIF that turns it.
fn photo() -> Vec<u8> {
    let plain = Picture::corners(60, 40, 1).jpeg_oriented(6);
    let comment = [&[0xFF, 0xFE, 0, SECRET.len() as u8 + 2][..], SECRET].concat();
    [&plain[..2], &comment, &plain[2..], SECRET].concat()
}

fn node(originals: &str, more: &str) -> Node {
    Node::with_config(&format!(
        "[images]\noriginals = \"{originals}\"\n{more}\n[access]\noperator_key = \"op\"\nopen_uploads = true\n"
    ))
}

fn ask(node: &Node, target: &str, key: Option<&str>) -> Answer {
    let request = Request::get(target);
    let request = key
        .into_iter()
        .fold(request, |request, key| request.header("Authorization", &format!("Bearer {key}")));
    node.ask(&request)
}

/// Refused because of `images.originals`, or another reason of this name.
fn is_refused(answer: &Answer, reason: &str) {
    answer.problem(403);
    assert_eq!(answer.json()["type"], reason);
}

fn holds_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET)
}

#[test]
fn stripped_originals_hold_the_picture_and_its_orientation_alone() {
    let node = node("stripped", "");
    let photo = photo();
    let id = node.upload(&photo);
    let url = format!("/image/{id}/full/x.jpg");
    for _ in 0..4 {
        let answer = ask(&node, &url, None).expect(200);
        assert!(!holds_secret(&answer.body) && answer.body.len() < photo.len());
        assert_ne!(answer.header("etag"), Some(format!("\"{id}\"").as_str()));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let (bare, stored) = (Picture::decode(&answer.body), Picture::decode(&photo));
        assert_eq!(bare.size(), stored.size());
        assert!(bare.psnr(&stored) > 90.0, "other pixels");
    }
    // The way up is still told, so a variant of it stands upright.
    let info = ask(&node, &format!("/info/{id}"), None).expect(200).json();
    assert_eq!((&info["orientation"], &info["hash"]), (&6.into(), &id.as_str().into()));
    let again = node.upload(&ask(&node, &url, None).expect(200).body);
    let info = ask(&node, &format!("/info/{again}"), None).expect(200).json();
    assert_eq!((&info["orientation"], &info["width"]), (&6.into(), &40.into()));
}

#[test]
fn the_operator_key_gets_the_stored_bytes_and_nobody_after_it() {
    for originals in ["as_is", "stripped", "off"] {
        let node = node(originals, "");
        let photo = photo();
        let id = node.upload(&photo);
        let url = format!("/image/{id}/full/x.jpg");
        let exact = format!("{url}?original");
        for _ in 0..3 {
            let answer = ask(&node, &exact, Some("op")).expect(200);
            assert_eq!(
                (sha1(&answer.body), answer.header("cache-control")),
                (id.clone(), Some("private, no-store"))
            );
            for target in [&exact, &url] {
                let answer = ask(&node, target, None);
                match originals {
                    "off" => is_refused(&answer, "originals"),
                    "stripped" => assert!(!holds_secret(&answer.expect(200).body)),
                    _ => assert!(answer.expect(200).body == photo),
                }
            }
        }
        ask(&node, &exact, Some("wrong")).expect(401);
    }
}

#[test]
fn without_originals_other_formats_and_sizes_are_still_made() {
    let node = node("off", "");
    let id = node.upload(&photo());
    is_refused(&ask(&node, &format!("/image/{id}/full/x.jpg"), None), "originals");
    for target in ["full/x.png", "full/x.webp", "30w/x.jpg", "full,flip/x.jpg"] {
        let answer = ask(&node, &format!("/image/{id}/{target}"), None).expect(200);
        assert!(!holds_secret(&answer.body), "{target}");
    }
    let absent = sha1(b"absent");
    ask(&node, &format!("/image/{absent}/full/x.jpg"), None).expect(404);
}

#[test]
fn metadata_is_kept_for_the_operator_key_alone() {
    for originals in ["stripped", "off"] {
        let node = node(originals, "");
        let id = node.upload(&photo());
        let url = format!("/image/{id}/30w,meta/x.jpg");
        for _ in 0..3 {
            is_refused(&ask(&node, &url, None), "originals");
            let answer = ask(&node, &url, Some("op")).expect(200);
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        }
        ask(&node, &format!("/image/{}/30w,meta/x.jpg", sha1(b"absent")), None).expect(404);
    }
}

#[test]
fn what_cannot_be_stripped_is_not_given() {
    let node = node("stripped", "");
    // Without an end marker, a trailer cannot be told from the picture.
    let whole = Picture::corners(60, 40, 1).jpeg();
    let id = node.upload(&[&whole[..whole.len() - 2], SECRET].concat());
    is_refused(&ask(&node, &format!("/image/{id}/full/x.jpg"), None), "originals");
    ask(&node, &format!("/image/{id}/30w/x.jpg"), None).expect(200);
}

#[test]
fn bound_to_presets_a_node_gives_stripped_originals_and_no_other_format() {
    let node = node("stripped", "only_presets = true\n[images.presets]\nthumb = \"20w\"");
    let id = node.upload(&photo());
    assert!(!holds_secret(&ask(&node, &format!("/image/{id}/full/x.jpg"), None).expect(200).body));
    is_refused(&ask(&node, &format!("/image/{id}/full/x.png"), None), "only-presets");
}

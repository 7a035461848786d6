//! Signed URLs: which need a signature, what a right one allows, what a wrong one gives.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::support::client::Request;
use crate::support::harness::{Node, put, sha1};
use crate::support::pictures::jpeg;

/// The keys of a rotation, and one that was dropped before.
const NEW: &str = "new-key-of-these-tests";
const OLD: &str = "old-key-of-these-tests";
const OLDER: &str = "older-key-of-these-tests";

pub(crate) fn sign(key: &str, path: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    format!("{path}?sig={}", URL_SAFE_NO_PAD.encode(mac.chain_update(path).finalize().into_bytes()))
}

fn sign_until(key: &str, path: &str, expires: u64) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    let mac = mac.chain_update(format!("{path}?exp={expires}"));
    format!("{path}?exp={expires}&sig={}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A node with the keys [`NEW`] and [`OLD`], and the id of its only image, a JPEG.
fn signing(require: &str) -> (Node, String) {
    let config = format!("[access]\nsign_keys = [\"{NEW}\", \"{OLD}\"]\nrequire_signature = \"{require}\"\n");
    let node = Node::with_config(&config);
    let id = node.upload(&jpeg(60, 40, 1));
    (node, id)
}

#[track_caller]
fn refused(node: &Node, target: &str, status: u16) {
    let answer = node.get(target);
    answer.problem(status);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
}

#[test]
fn both_keys_of_a_rotation_sign_and_no_other() {
    let (node, id) = signing("all");
    let path = format!("/image/{id}/30w/x.jpg");
    for key in [NEW, OLD] {
        node.get(&sign(key, &path)).expect(200);
        node.get(&sign_until(key, &path, now() + 3600)).expect(200);
        node.ask(&Request::new("HEAD", &sign(key, &path))).expect(200);
    }
    refused(&node, &sign(OLDER, &path), 403);
    refused(&node, &sign("", &path), 403);
}

#[test]
fn a_good_signature_that_has_expired_is_410_and_a_bad_one_403() {
    let (node, id) = signing("all");
    let path = format!("/image/{id}/30w/x.jpg");
    refused(&node, &sign_until(NEW, &path, now() - 1), 410);
    refused(&node, &sign_until(OLDER, &path, now() - 1), 403);
}

#[test]
fn whatever_is_changed_after_signing_is_403() {
    let (node, id) = signing("off");
    let expires = now() + 3600;
    let good = sign_until(NEW, &format!("/image/{id}/30w/x.jpg"), expires);
    node.get(&good).expect(200);
    let later = good.replace(&format!("exp={expires}"), &format!("exp={}", expires + 1));
    for bad in [
        good.replace("/30w/", "/31w/"),
        good.replace("/x.jpg", "/y.jpg"),
        good.replace("/x.jpg", "/x.png"),
        good.replace("/30w/", "/030w/"),
        good.replace("/x.jpg", "/%78.jpg"),
        good.replace(&id, &id.to_uppercase()),
        good.replacen("exp=", "exp=0", 1),
        later,
        format!("{good}&exp=1"),
        format!("{good}="),
        good[..good.len() - 2].to_owned(),
        good.split("&sig").next().expect("exp").to_owned() + "&sig=",
    ] {
        refused(&node, &bad, 403);
    }
    node.get(&format!("{good}&download=dog.jpg&more")).expect(200);
}

#[test]
fn variants_need_a_signature_where_it_says_so_and_the_stored_bytes_do_not() {
    let (node, id) = signing("variants");
    let stored = format!("/image/{id}/full/x.jpg");
    node.get(&stored).expect(200);
    node.get(&sign(NEW, &stored)).expect(200);
    refused(&node, &sign(OLDER, &stored), 403);
    let upper = node.get(&format!("/image/{}/full/x.jpeg", id.to_uppercase())).expect(301);
    assert_eq!(upper.header("location"), Some(stored.as_str()));
    for variant in ["30w/x.jpg", "full/x.png", "full/x.webp", "full,q80/x.jpg", "full,rot90/x.jpg"] {
        let path = format!("/image/{id}/{variant}");
        refused(&node, &path, 403);
        node.get(&sign(NEW, &path)).expect(200);
        let etag = Request::get(&path).header("If-None-Match", "*");
        node.ask(&etag).problem(403);
    }
    node.get(&format!("/image/{}/full/x.png", sha1(b"x"))).problem(404);
    refused(&node, &format!("/image/{}/30w/x.png", sha1(b"x")), 403);
}

#[test]
fn everything_needs_a_signature_where_all_says_so() {
    let (node, id) = signing("all");
    for path in [format!("/image/{id}/full/x.jpg"), format!("/image/{id}/30w/x.jpg")] {
        refused(&node, &path, 403);
        refused(&node, &format!("{path}?exp={}", now() + 3600), 403);
        node.get(&sign(OLD, &path)).expect(200);
    }
}

#[test]
fn without_a_key_a_signature_means_nothing() {
    let open = Node::plain();
    let id = open.upload(&jpeg(60, 40, 1));
    open.get(&format!("/image/{id}/30w/x.jpg?sig=nonsense&exp=1")).expect(200);
}

#[test]
fn a_signed_url_that_is_not_canonical_is_answered_as_it_is() {
    let (node, id) = signing("all");
    let upper = id.to_uppercase();
    for path in [format!("/image/{upper}/040h0030w/x.JPEG"), format!("/image/{id}/30w%2Cq70/x%2ejpg")] {
        let answer = node.get(&sign(NEW, &path)).expect(200);
        assert_eq!(answer.header("content-type"), Some("image/jpeg"));
    }
}

#[test]
fn answers_to_images_come_in_order() {
    let (node, id) = signing("off");
    let upper = id.to_uppercase();
    let absent = sha1(b"x").to_uppercase();
    let brew = |target: &str| node.ask(&Request::new("BREW", target));
    brew("/cluster/x?sig=bad").problem(401);
    brew("/image/short/nonsense/x.bmp?sig=bad").problem(404);
    brew("/image/short/nonsense/x.JPEG?sig=bad").problem(405);
    node.get("/image/short/nonsense/x.JPEG?sig=bad").problem(400);
    let wrong_spec = format!("/image/{absent}/nonsense/x.JPEG");
    refused(&node, &format!("{wrong_spec}?sig=bad"), 403);
    refused(&node, &sign_until(NEW, &wrong_spec, 1), 410);
    node.get(&sign(NEW, &wrong_spec)).problem(400);
    node.get(&wrong_spec).problem(400);
    node.get(&format!("/image/{absent}/30w/x.JPEG")).expect(301);
    node.get(&format!("/image/{}/30w/x.jpg", absent.to_lowercase())).problem(404);
    let outside = |target: &str| Request::get(target).header("Range", "bytes=999999-");
    let target = format!("/image/{id}/30w/x.jpg");
    node.ask(&outside(&format!("/image/{upper}/30w/x.jpg"))).expect(301);
    node.ask(&outside(&target).header("If-None-Match", "*")).expect(304);
    node.ask(&outside(&target)).problem(416);
}

#[test]
fn uploads_need_no_signature() {
    let (node, _) = signing("all");
    node.ask(&node.with_operator_key(put(&jpeg(30, 20, 9)))).expect(200);
}

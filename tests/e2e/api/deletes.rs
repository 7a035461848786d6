//! Deleting, banning and purging on one node: the answers, who may, and what is left on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::api::access::{BOTH_KEYS, kind};
use crate::support::client::{Answer, Request};
use crate::support::harness::{Node, at_once, put, sha1, wait_until};
use crate::support::pictures::jpeg;

const UPLOADER: &str = "up";
const OPERATOR: &str = "op";

/// Every kind of URL of an image.
pub(crate) fn urls(id: &str) -> [String; 6] {
    [
        format!("/image/{id}/full/a.jpg"),
        format!("/image/{id}/full/a.auto"),
        format!("/image/{id}/30w/a.png"),
        format!("/image/{id}/20w/a.webp"),
        format!("/image/{id}/25w/a.auto"),
        format!("/info/{id}"),
    ]
}

/// The files below a directory, outside `meta/`, that have the id in their names.
pub(crate) fn files_of(directory: &Path, id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "meta") {
            continue;
        }
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains(id)) {
            found.push(path.clone());
        }
        found.extend(files_of(&path, id));
    }
    found
}

fn with_key(request: Request, key: &str) -> Request {
    request.header("Authorization", &format!("Bearer {key}"))
}

pub(crate) fn ask(node: &Node, method: &str, target: &str, key: &str) -> Answer {
    let request = Request::new(method, target);
    let request = if method == "POST" { request.body(b"") } else { request };
    node.ask(&with_key(request, key))
}

fn upload(node: &Node, bytes: &[u8], key: &str) -> Answer {
    let request = Request::new("PUT", &format!("/image/{}", sha1(bytes))).body(bytes);
    node.ask(&with_key(request, key))
}

#[track_caller]
pub(crate) fn expect_gone(node: &Node, id: &str) {
    for url in urls(id) {
        let answer = node.get(&url);
        assert_eq!(kind(&answer, 410), "deleted", "{url}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{url}");
    }
    let tag = format!("\"{id}\"");
    node.ask(&Request::get(&urls(id)[0]).header("If-None-Match", &tag)).problem(410);
    node.ask(&Request::get(&urls(id)[2]).header("If-None-Match", "*")).problem(410);
    assert_eq!(node.ask(&Request::new("HEAD", &urls(id)[0])).status, 410);
}

/// Has everything of an image in memory and on disk.
fn warm(node: &Node, id: &str) {
    for _ in 0..3 {
        urls(id).iter().for_each(|url| drop(node.get(url).expect(200)));
    }
    wait_until("variants on disk", || files_of(&node.data().join("cache"), id).len() >= 4);
}

#[test]
fn a_deleted_image_is_410_on_every_url_and_no_file_of_it_is_left_also_after_a_restart() {
    let mut node = Node::start(crate::support::harness::Options {
        config: format!("[node]\nname = \"solo\"\n{BOTH_KEYS}"),
        shards: 2,
        ..Default::default()
    });
    let (bytes, other) = (jpeg(60, 40, 1), jpeg(60, 40, 2));
    let (id, kept) = (sha1(&bytes), sha1(&other));
    for bytes in [&bytes, &other] {
        upload(&node, bytes, UPLOADER).expect(200);
        warm(&node, &sha1(bytes));
    }
    // A damaged copy that was set aside, as an earlier failure leaves it.
    fs::write(node.data().join(format!("quarantine/{id}.jpg.7")), b"x").expect("write");
    let answer = ask(&node, "DELETE", &format!("/image/{id}"), UPLOADER).expect(202);
    assert_eq!(answer.json(), serde_json::json!({"hash": id, "erased": ["solo"], "pending": []}));
    expect_gone(&node, &id);
    assert_eq!(files_of(&node.data(), &id), Vec::<PathBuf>::new());
    let status = ask(&node, "GET", &format!("/erasure/{id}"), UPLOADER).expect(200);
    assert_eq!(status.json(), answer.json());
    wait_until("one image to be counted", || node.metric("reticulum_images") == 1.0);
    // Again, and of what was never there.
    ask(&node, "DELETE", &format!("/image/{id}"), OPERATOR).expect(202);
    ask(&node, "DELETE", &format!("/image/{}", sha1(b"nothing")), OPERATOR).expect(202);
    assert_eq!(node.terminate(), Some(0));
    node.restart();
    expect_gone(&node, &id);
    assert_eq!(node.get(&urls(&kept)[0]).expect(200).body, other);
    assert_eq!(kind(&ask(&node, "GET", &format!("/erasure/{kept}"), OPERATOR), 404), "not-deleted");
    // An upload brings it back, for good.
    upload(&node, &bytes, UPLOADER).expect(200);
    assert_eq!(node.get(&urls(&id)[0]).expect(200).body, bytes);
    ask(&node, "GET", &format!("/erasure/{id}"), OPERATOR).problem(404);
    node.kill9();
    node.restart();
    warm(&node, &id);
    assert_eq!(node.get(&urls(&id)[0]).expect(200).body, bytes);
    ask(&node, "DELETE", &format!("/image/{id}"), UPLOADER).expect(202);
    expect_gone(&node, &id);
    assert_eq!(files_of(&node.data(), &id), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_node_has_left_of_a_deleted_image_is_erased_after_its_start() {
    let mut node = Node::with_config(BOTH_KEYS);
    let bytes = jpeg(60, 40, 1);
    let id = sha1(&bytes);
    upload(&node, &bytes, UPLOADER).expect(200);
    warm(&node, &id);
    // Its cache cannot be listed, so that the erasure does not end.
    let cache = node.data().join(format!("cache/{}/{}", &id[..2], &id[2..4]));
    let aside = node.data().join("aside");
    fs::rename(&cache, &aside).expect("rename");
    std::os::unix::fs::symlink(&cache, &cache).expect("link");
    let answer = ask(&node, "DELETE", &format!("/image/{id}"), UPLOADER).expect(202).json();
    assert_eq!(answer["erased"], serde_json::json!([]));
    expect_gone(&node, &id);
    node.kill9();
    fs::remove_file(&cache).expect("remove");
    fs::rename(&aside, &cache).expect("rename");
    node.restart();
    expect_gone(&node, &id);
    wait_until("the rest to be erased", || files_of(&node.data(), &id).is_empty());
    let status = || ask(&node, "GET", &format!("/erasure/{id}"), UPLOADER).expect(200).json();
    wait_until("that to be confirmed", || status()["pending"] == serde_json::json!([]));
}

#[test]
fn a_ban_refuses_every_upload_until_the_operator_lifts_it() {
    let mut node = Node::with_config(BOTH_KEYS);
    let bytes = jpeg(60, 40, 1);
    let (id, image) = (sha1(&bytes), format!("/image/{}", sha1(&bytes)));
    upload(&node, &bytes, UPLOADER).expect(200);
    for (method, target) in [("DELETE", format!("{image}?ban")), ("POST", format!("{image}?undelete"))] {
        assert_eq!(kind(&ask(&node, method, &target, UPLOADER), 401), "key");
    }
    ask(&node, "POST", &image, OPERATOR).problem(400);
    node.get(&urls(&id)[0]).expect(200);
    ask(&node, "DELETE", &format!("{image}?ban"), OPERATOR).expect(202);
    expect_gone(&node, &id);
    for key in [UPLOADER, OPERATOR] {
        assert_eq!(kind(&upload(&node, &bytes, key), 410), "banned");
        let post = with_key(Request::new("POST", "/image").body(&bytes), key);
        assert_eq!(kind(&node.ask(&post), 410), "banned");
    }
    node.kill9();
    node.restart();
    assert_eq!(kind(&upload(&node, &bytes, OPERATOR), 410), "banned");
    node.wait_until_tmp_is_empty();
    let lifted = ask(&node, "POST", &format!("{image}?undelete"), OPERATOR).expect(200);
    assert_eq!(lifted.json(), serde_json::json!({"hash": id, "banned": false}));
    expect_gone(&node, &id);
    upload(&node, &bytes, UPLOADER).expect(200);
    assert_eq!(node.get(&urls(&id)[0]).expect(200).body, bytes);
    // Both at once.
    ask(&node, "DELETE", &format!("{image}?ban"), OPERATOR).expect(202);
    let undelete = Request::new("PUT", &format!("{image}?undelete")).body(&bytes);
    node.ask(&with_key(undelete, OPERATOR)).expect(200);
    assert_eq!(node.get(&urls(&id)[0]).expect(200).body, bytes);
}

#[test]
fn a_purge_removes_the_variants_alone() {
    let node = Node::with_config(BOTH_KEYS);
    let (bytes, other) = (jpeg(60, 40, 1), jpeg(60, 40, 2));
    let (id, kept) = (sha1(&bytes), sha1(&other));
    for bytes in [&bytes, &other] {
        upload(&node, bytes, UPLOADER).expect(200);
        warm(&node, &sha1(bytes));
    }
    let before = files_of(&node.data(), &kept).len();
    let answer = ask(&node, "POST", &format!("/purge/{id}"), UPLOADER).expect(204);
    assert!(answer.body.is_empty());
    assert_eq!(files_of(&node.data(), &id), [node.stored(&id, "jpg")]);
    assert!(files_of(&node.data(), &kept).len() >= before);
    assert_eq!(node.get(&urls(&id)[2]).expect(200).expect_header("x-cache"), "miss");
    assert_eq!(node.get(&urls(&kept)[2]).expect(200).expect_header("x-cache"), "memory");
    ask(&node, "POST", &format!("/purge/{}", sha1(b"nothing")), UPLOADER).expect(204);
}

#[test]
fn deletions_and_uploads_of_one_image_at_once_are_each_answered_clearly_and_the_last_one_counts() {
    let node = Node::with_shards(2);
    let bytes = jpeg(60, 40, 1);
    let (id, key) = (sha1(&bytes), node.operator_key());
    for _ in 0..10 {
        let statuses = at_once(6, |number| match number % 3 {
            0 => ask(&node, "DELETE", &format!("/image/{id}"), &key).status,
            1 => upload(&node, &bytes, &key).status,
            _ => node.get(&urls(&id)[2]).status,
        });
        for (number, status) in statuses.into_iter().enumerate() {
            let allowed: &[u16] = match number % 3 {
                0 => &[202, 503],
                1 => &[200, 410],
                _ => &[200, 404, 410, 503],
            };
            assert!(allowed.contains(&status), "{number}: {status}");
        }
        upload(&node, &bytes, &key).expect(200);
        assert_eq!(node.get(&urls(&id)[0]).expect(200).body, bytes);
        ask(&node, "DELETE", &format!("/image/{id}"), &key).expect(202);
        expect_gone(&node, &id);
        wait_until("all of it to be gone", || files_of(&node.data(), &id).is_empty());
    }
    node.ask(&put(&bytes)).expect(200);
    node.wait_until_tmp_is_empty();
}

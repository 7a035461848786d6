//! The client commands, as a user runs them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;

use super::{finished_bytes, folder, names, text, url};
use crate::support::client::{Form, Request};
use crate::support::harness::{Node, free_port, put, run, run_with, sha1, wait_until};
use crate::support::pictures::{Picture, extension, jpeg};

const ABSENT: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/// An address where nobody answers.
fn nobody() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

/// Answers one request with these bytes; its address.
fn impostor(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            // The client may have gone.
            let _ = stream.write_all(&answer);
        }
    });
    format!("http://{address}")
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn put_uploads_a_folder_to_the_bottom_and_prints_id_and_url() {
    let node = Node::plain();
    let images: Vec<_> = (0..5).map(|seed| jpeg(60, 40, seed)).collect();
    let png = Picture::corners(30, 20, 1).png();
    let folder =
        folder(&[("a.jpg", &images[0]), ("b/c.txt", &images[1]), ("b/d/e", &images[2]), ("b/d/f.png", &png)]);
    let finished = run(&["put", text(folder.path()), "--node", &url(&node)]);
    let ids: BTreeSet<_> = finished.lines().iter().map(|line| line[..40].to_owned()).collect();
    let expected: BTreeSet<_> = images[..3].iter().chain([&png]).map(|bytes| sha1(bytes)).collect();
    assert_eq!(ids, expected);
    for line in finished.lines() {
        let link = line.split(' ').nth(1).expect("a URL");
        let path = link.strip_prefix(&url(&node)).expect("the node's URL");
        assert_eq!(sha1(&node.get(path).expect(200).body), line[..40]);
    }
}

#[test]
fn put_tells_each_failure_and_uploads_the_rest() {
    let node = Node::with_config("[images]\nmax_bytes = \"200KiB\"\n");
    let good = jpeg(60, 40, 1);
    let long = [good.clone(), vec![0; 8 << 20]].concat();
    let folder = folder(&[
        ("good.jpg", &good),
        ("note.txt", b"no image"),
        ("long.jpg", &long),
        ("cut.jpg", &good[..200]),
    ]);
    let unreadable = "/proc/self/mem";
    let arguments = ["put", text(folder.path()), "no-such-file", unreadable, "/dev/null", "--node"];
    let finished = run(&[&arguments[..], &[&url(&node)]].concat());
    finished.fails(&[
        "note.txt: refused (415)",
        "long.jpg: refused (413): Send at most 204800 bytes.",
        "cut.jpg: refused (422)",
        "no-such-file",
        unreadable,
        "/dev/null: neither a file nor a folder",
        "6 of 7 failed",
    ]);
    assert_eq!(&finished.text()[..40], sha1(&good));

    let finished = run(&[&arguments[..], &[&url(&node), "--json"]].concat());
    assert_eq!(finished.code, Some(1));
    let (failed, taken): (Vec<_>, Vec<_>) =
        finished.json_lines().into_iter().partition(|line| line["error"].is_string());
    assert_eq!((failed.len(), taken.len()), (6, 1));
    assert!(failed.iter().all(|line| line["path"].is_string()));
    assert_eq!(taken[0]["hash"], sha1(&good).as_str());
    assert_eq!(taken[0]["path"], text(&folder.path().join("good.jpg")));
    assert_eq!(taken[0]["width"], 60);
}

#[test]
fn put_sends_several_files_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = format!("http://{}", listener.local_addr().expect("an address"));
    let images: Vec<_> = (0..8).map(|seed| jpeg(60, 40, seed)).collect();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let folder = folder(&names.into_iter().zip(images.iter().map(Vec::as_slice)).collect::<Vec<_>>());
    let path = text(folder.path()).to_owned();
    let client = thread::spawn(move || run(&["put", &path, "--node", &at]));
    // None is answered before there are three of them, and none has been given up by then.
    let mut together = Vec::new();
    for _ in 0..3 {
        together.push(listener.accept().expect("a connection").0);
        for mut stream in &together {
            stream.set_nonblocking(true).expect("a socket");
            let ended = std::io::copy(&mut stream, &mut std::io::sink());
            assert_eq!(ended.expect_err("an end").kind(), std::io::ErrorKind::WouldBlock);
        }
    }
    drop((together, listener));
    client.join().expect("no panic").fails(&["broke"]);
}

#[test]
fn put_with_hints_uploads_by_the_form_and_is_refused_for_a_bad_one() {
    let node = Node::plain();
    let image = jpeg(400, 300, 1);
    let folder = folder(&[("a.jpg", &image)]);
    let at = url(&node);
    let hints = ["--hint", "300w200h,fill,q70", "--hint", "50s"];
    let arguments = [&["put", text(folder.path()), "--node", &at], &hints[..]].concat();
    assert_eq!(run(&arguments).lines()[0][..40], sha1(&image));
    assert_eq!(node.get(&format!("/image/{}/full/x.jpg", sha1(&image))).expect(200).body, image);
    let finished = run(&["put", text(folder.path()), "--hint", "fill", "--node", &at]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let seventeen: Vec<_> = (1..18).flat_map(|width| ["--hint".to_owned(), format!("{width}w")]).collect();
    let seventeen = seventeen.iter().map(String::as_str);
    let arguments: Vec<_> =
        ["put", text(folder.path()), "--node", &at].into_iter().chain(seventeen).collect();
    run(&arguments).fails(&["a.jpg: refused (400)", "16"]);
}

#[test]
fn put_waits_and_tries_again_when_the_node_asks_for_patience() {
    let node = Node::with_config("[limits]\nuploads = 1\n");
    let image = jpeg(60, 40, 1);
    let folder = folder(&[("a.jpg", &image)]);
    let mut held = node.connect();
    held.send(&Form::announce().header("Content-Length", "1000000").head());
    held.send(b"------");
    wait_until("the only place to be taken", || node.ask(&put(&image)).status == 503);
    let refused = node.metric("reticulum_http_requests_total{status=\"503\"}");
    let (path, node_url) = (text(folder.path()).to_owned(), url(&node));
    let client = thread::spawn(move || run(&["put", &path, "--node", &node_url]));
    wait_until("the client to be refused", || {
        node.metric("reticulum_http_requests_total{status=\"503\"}") > refused
    });
    drop(held);
    assert_eq!(client.join().expect("no panic").lines()[0][..40], sha1(&image));
}

#[test]
fn a_node_that_is_not_there_is_one_clear_sentence() {
    let folder = folder(&[("a.jpg", b"x"), ("b.jpg", b"y")]);
    let nobody = nobody();
    for command in [&["put", text(folder.path())][..], &["get", ABSENT], &["ls"], &["rm", ABSENT]] {
        let finished = run(&[command, &["--node", &nobody]].concat());
        finished.fails(&["cannot reach", &nobody, "--node"]);
        assert_eq!(finished.stderr.matches("cannot reach").count(), 1, "{}", finished.stderr);
        assert_eq!(finished.text(), "");
        // The same, named by the environment.
        run_with(command, &[("RETICULUM_NODE", &nobody)]).fails(&["cannot reach", &nobody]);
    }
}

#[test]
fn get_gives_the_stored_bytes_and_variants_in_the_format_that_suits() {
    let node = Node::plain();
    let (photo, drawing) = (jpeg(200, 100, 1), Picture::half_transparent(60, 40).webp());
    let (photo_id, drawing_id) = (node.upload(&photo), node.upload(&drawing));
    let get = |arguments: &[&str]| {
        let finished = run(&[&["get"], arguments, &["--node", &url(&node)]].concat());
        finished_bytes(finished)
    };
    assert_eq!(get(&[&photo_id]), photo);
    assert_eq!(get(&[&drawing_id.to_uppercase()]), drawing);
    let small = get(&[&photo_id, "0050w"]);
    assert_eq!((extension(&small), Picture::decode(&small).size()), ("jpg", (50, 25)));
    assert_eq!(extension(&get(&[&drawing_id, "30w"])), "png");
    assert_eq!(extension(&get(&[&photo_id, "30w", "--format", "webp"])), "webp");
    assert_eq!(extension(&get(&[&photo_id, "--format", "png"])), "png");

    let target = folder(&[("kept.jpg", b"old")]);
    let file = target.path().join("kept.jpg");
    assert_eq!(get(&[&photo_id, "-o", text(&file)]), b"");
    assert_eq!(fs::read(&file).expect("read"), photo);
    assert_eq!(get(&[&photo_id, "-o", "/dev/null"]), b"");
    assert!(!Path::new("/dev/null").is_file());
    assert_eq!(names(target.path()), ["kept.jpg"]);
}

#[test]
fn get_fails_with_the_nodes_sentence_and_leaves_no_file() {
    let node = Node::plain();
    let target = folder(&[]);
    let file = target.path().join("x.jpg");
    run(&["get", ABSENT, "-o", text(&file), "--node", &url(&node)]).fails(&["(404)", "upload it first"]);
    let id = node.upload(&jpeg(60, 40, 1));
    run(&["get", &id, "full,crop-9999-0-1-1", "-o", text(&file), "--node", &url(&node)])
        .fails(&["refused (422)"]);
    // Too large to be proven before it is sent: the end is missing.
    let large = [jpeg(60, 40, 2), vec![0; 3 << 20]].concat();
    let large_id = node.upload(&large);
    let stored = node.stored(&large_id, "jpg");
    let mut damaged = large;
    damaged[1 << 20] ^= 1;
    fs::write(stored, damaged).expect("write");
    let arguments = ["get", &large_id, "--format", "jpg", "-o", text(&file), "--node"];
    run(&[&arguments[..], &[&url(&node)]].concat()).fails(&["broke"]);
    assert!(names(target.path()).is_empty());
    assert_eq!(run(&["get", "abc"]).code, Some(2));
}

#[test]
fn get_does_not_believe_wrong_bytes_or_half_an_answer() {
    let target = folder(&[]);
    let file = target.path().join("x.jpg");
    let etag = format!("ETag: \"{ABSENT}\"\r\n");
    let wrong = impostor(answer(&etag, b"other bytes"));
    let arguments = ["get", ABSENT, "--format", "jpg", "-o", text(&file), "--node"];
    run(&[&arguments[..], &[&wrong]].concat()).fails(&[ABSENT, "SHA-1"]);
    let mut half = answer(&etag, b"half an answer");
    half.truncate(half.len() - 5);
    run(&[&arguments[..], &[&impostor(half)]].concat()).fails(&["broke"]);
    run(&[&arguments[..], &[&impostor(b"SSH-2.0-x\r\n\r\n".to_vec())]].concat()).fails(&["--node"]);
    assert!(names(target.path()).is_empty());
}

#[test]
fn an_answer_that_no_node_gives_is_told_and_cannot_hold_a_client_for_ever() {
    let folder = folder(&[("a.jpg", &jpeg(60, 40, 1))]);
    let html = impostor(answer("", b"<html>"));
    run(&["put", text(folder.path()), "--node", &html]).fails(&["no node"]);
    run(&["ls", "--node", &html]).fails(&["no node"]);
    let circle = impostor(answer("", format!(r#"{{"images":[],"next":"{ABSENT}"}}"#).as_bytes()));
    run(&["ls", "--node", &circle]).fails(&["not in order"]);
    let other = format!(r#"{{"hash":"{ABSENT}","extension":"jpg"}}"#);
    run(&["put", text(folder.path()), "--node", &impostor(answer("", other.as_bytes()))]).fails(&["a.jpg"]);
    let command = format!(
        r#"{{"images":[{{"hash":"{ABSENT}","length":1,"extension":"jpg","uploaded":"\u001b[2J","copies":1}}],"next":null}}"#
    );
    let finished = run(&["ls", "--node", &impostor(answer("", command.as_bytes()))]);
    assert!(!finished.lines()[0].contains('\u{1b}'));
}

#[test]
fn url_prints_what_the_node_answers_without_a_redirect_and_nothing_else() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    let finished = run(&["url", &id.to_uppercase(), "010h20W", "--format", "jpeg", "--base", &url(&node)]);
    let printed = finished.lines();
    assert_eq!(printed, [format!("{}/image/{id}/20w10h/image.jpg", url(&node))]);
    let path = printed[0].strip_prefix(&url(&node)).expect("the base");
    node.get(path).expect(200);
    let signed = run(&["url", &id, "--sign-key", "k", "--expires", "24h"]);
    let signed = signed.lines()[0].to_owned();
    let (start, query) = signed.split_once('?').expect("a query");
    assert_eq!(start, format!("http://127.0.0.1:8080/image/{id}/full/image.auto"));
    let (expiry, signature) = query.split_once("&sig=").expect("a signature");
    assert!(expiry.strip_prefix("exp=").is_some_and(|seconds| seconds.parse::<u64>().is_ok()), "{query}");
    assert_eq!(signature.len(), 43);
}

#[test]
fn rm_deletes_and_bans_and_put_says_that_an_image_is_banned() {
    let node = Node::with_config("[node]\nname = \"solo\"\n");
    let (one, two) = (jpeg(60, 40, 1), jpeg(60, 40, 2));
    let ids = [node.upload(&one), node.upload(&two)];
    let removed = run(&["rm", &ids[0], &ids[1], "--node", &url(&node)]);
    assert_eq!(removed.lines(), [format!("{} erased solo", ids[0]), format!("{} erased solo", ids[1])]);
    for id in &ids {
        node.get(&format!("/image/{id}/full/x.jpg")).problem(410);
    }
    run(&["rm", "--ban", &ids[0], "--node", &url(&node)]).lines();
    let folder = tempfile::tempdir().expect("a folder");
    let paths = [folder.path().join("one.jpg"), folder.path().join("two.jpg")];
    fs::write(&paths[0], &one).expect("write");
    fs::write(&paths[1], &two).expect("write");
    run(&["put", text(&paths[0]), text(&paths[1]), "--node", &url(&node)]).fails(&[
        "one.jpg",
        "has banned this image",
        "1 of 2 failed",
    ]);
    node.get(&format!("/image/{}/full/x.jpg", ids[1])).expect(200);
}

/// A GIF of one pixel; what follows its end makes it another image.
fn gif(number: usize) -> Vec<u8> {
    let mut bytes =
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b"
            .to_vec();
    bytes.extend_from_slice(number.to_string().as_bytes());
    bytes
}

/// Writes an image where a node would store it.
fn plant(node: &Node, bytes: &[u8], extension: &str) -> PathBuf {
    let path = node.stored(&sha1(bytes), extension);
    fs::create_dir_all(path.parent().expect("below the store")).expect("folders");
    fs::write(&path, bytes).expect("write");
    path
}

#[test]
fn ls_lists_every_image_in_order_over_many_pages() {
    let node = Node::with_shards(2);
    assert!(run(&["ls", "--node", &url(&node)]).lines().is_empty());
    // A full page of a thousand and a bit.
    let mut ids: Vec<_> = (0..1003).map(|number| plant(&node, &gif(number), "gif")).collect();
    ids.sort();
    let ids: Vec<_> =
        ids.iter().map(|path| text(path).rsplit('/').next().expect("a name")[..40].to_owned()).collect();
    let finished = run(&["ls", "--node", &url(&node)]);
    let listed: Vec<_> = finished.lines().iter().map(|line| line[..40].to_owned()).collect();
    assert_eq!(listed, ids);
    let words: Vec<_> = finished.lines()[0].split(' ').collect();
    let length = fs::metadata(node.stored(&ids[0], "gif")).expect("a file").len().to_string();
    assert_eq!([words[1], words[3], &words[2][10..11]], [&length, "1", "T"], "{words:?}");
    let finished = run(&["ls", "--json", "--after", &ids[1000], "--node", &url(&node)]);
    let lines = finished.json_lines();
    assert_eq!(lines.iter().map(|line| &line["hash"]).collect::<Vec<_>>(), [&ids[1001], &ids[1002]]);
    assert_eq!((&lines[0]["copies"], &lines[0]["extension"]), (&1.into(), &"gif".into()));
}

#[test]
fn the_listing_is_served_a_page_at_a_time() {
    let node = Node::plain();
    let mut ids: Vec<_> = (0..5).map(|number| node.upload(&gif(number))).collect();
    ids.sort();
    let page = |query: &str| node.operate(&format!("/images{query}")).expect(200).json();
    let hashes = |page: &Value| -> Vec<String> {
        let images = page["images"].as_array().expect("images").iter();
        images.map(|image| image["hash"].as_str().expect("a hash").to_owned()).collect()
    };
    let first = page("?limit=2");
    assert_eq!((hashes(&first), &first["next"]), (ids[..2].to_vec(), &ids[1].as_str().into()));
    let last = page(&format!("?limit=2&after={}", ids[3]));
    assert_eq!((hashes(&last), &last["next"]), (ids[4..].to_vec(), &Value::Null));
    assert_eq!(hashes(&page("")), ids);
    let image = &first["images"][0];
    assert_eq!(image["length"], gif(0).len());
    let info = node.get(&format!("/info/{}", ids[0])).expect(200).json();
    assert_eq!((&image["uploaded"], &image["extension"]), (&info["uploaded"], &info["extension"]));
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?after=x", "?after="] {
        node.operate(&format!("/images{query}")).problem(400);
    }
    node.ask(&Request::new("POST", "/images").body(b"")).problem(405);
}

#[test]
fn a_file_with_an_impossible_date_is_listed_and_served() {
    let node = Node::plain();
    let path = plant(&node, &gif(1), "gif");
    let file = fs::File::options().write(true).open(&path).expect("open");
    for seconds in [0, 1 << 40] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        file.set_modified(time).expect("a file system that knows such dates");
        assert_eq!(run(&["ls", "--node", &url(&node)]).lines().len(), 1);
        let id = sha1(&gif(1));
        node.get(&format!("/info/{id}")).expect(200);
        node.get(&format!("/image/{id}/full/x.gif")).expect(200);
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).lines().len() > 10);
    }
    assert!(run(&["man"]).lines().iter().any(|line| line.starts_with(".TH")));
    assert_eq!(run(&["completions", "cmd.exe"]).code, Some(2));
}

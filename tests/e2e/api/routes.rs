//! The routes beside images: facts, health, metrics, and what is said to the wrong method or path.

use std::collections::BTreeSet;

use crate::cache::variants::{ask_until_kept, without_memory};
use crate::support::client::Request;
use crate::support::harness::{Node, put, sha1, wait_until};
use crate::support::pictures::{Picture, animation, jpeg};

/// Routes, and one method that each must name in `Allow`.
fn routes() -> Vec<(String, &'static str)> {
    let id = sha1(b"anything");
    vec![
        ("/".into(), "POST"),
        ("/image".into(), "POST"),
        (format!("/image/{id}"), "PUT"),
        (format!("/image/{id}"), "DELETE"),
        (format!("/erasure/{id}"), "GET"),
        (format!("/purge/{id}"), "POST"),
        (format!("/image/{id}/300w/x.jpg"), "GET"),
        (format!("/info/{id}"), "GET"),
        ("/healthz".into(), "GET"),
        ("/readyz".into(), "GET"),
        ("/metrics".into(), "GET"),
    ]
}

#[test]
fn the_wrong_method_is_405_with_allow() {
    let node = Node::plain();
    for (target, method) in routes() {
        for wrong in ["PATCH", "TRACE", "BREW"] {
            let answer = node.ask(&Request::new(wrong, &target));
            answer.problem(405);
            let allowed: Vec<_> = answer.expect_header("allow").split(',').map(str::trim).collect();
            assert!(allowed.contains(&method), "{wrong} {target}: {allowed:?}");
            assert!(method != "GET" || allowed.contains(&"HEAD"), "{wrong} {target}: {allowed:?}");
            assert!(!allowed.contains(&wrong), "{wrong} {target}: {allowed:?}");
        }
    }
}

#[test]
fn a_method_is_judged_before_the_id() {
    let node = Node::plain();
    node.ask(&Request::new("PATCH", "/image/abc123")).problem(405);
    node.ask(&Request::new("POST", "/image/abc123/nonsense/x.jpg").body(b"")).problem(405);
}

#[test]
fn an_unknown_route_is_404() {
    let node = Node::plain();
    let id = sha1(b"anything");
    for target in ["/nope", "/info", "/images/x/y/z", "/healthz/more", "//", "/favicon.ico"] {
        node.get(target).problem(404);
    }
    node.get(&format!("/image/{id}/300w")).problem(404);
    node.get(&format!("/image/{id}/300w/x.jpg/more")).problem(404);
}

#[test]
fn whatever_is_below_cluster_is_401() {
    let node = Node::plain();
    for target in
        ["/cluster/", "/cluster/v1/ping", "/cluster/v1/", "/cluster/nope/../..", "/cluster/v9/x?y=z"]
    {
        for method in ["GET", "POST", "PUT", "DELETE", "BREW"] {
            node.ask(&Request::new(method, target).body(b"")).problem(401);
        }
    }
}

#[test]
fn info_tells_the_facts_of_an_image() {
    let node = Node::with_config("[node]\nname = \"solo\"\n");
    let bytes = Picture::corners(60, 40, 1).jpeg_oriented(6);
    let id = node.upload(&bytes);
    let answer = node.get(&format!("/info/{id}")).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut info = answer.json();
    let uploaded = info.as_object_mut().and_then(|keys| keys.remove("uploaded")).expect("uploaded");
    let expected = serde_json::json!({
        "hash": id,
        "length": bytes.len(),
        "extension": "jpg",
        "width": 40,
        "height": 60,
        "orientation": 6,
        "frames": 1,
        "has_alpha": false,
        "color": "rgb8",
        "color_space": "srgb",
        "hdr": false,
        "c2pa": false,
        "location": false,
        "average": null,
        "thumbhash": null,
        "nodes": ["solo"],
    });
    assert_eq!(info, expected);
    let uploaded = uploaded.as_str().expect("a text");
    assert!(
        uploaded.ends_with('Z') && uploaded.as_bytes().get(10) == Some(&b'T'),
        "no RFC 3339 UTC: {uploaded}"
    );
}

#[test]
fn info_tells_frames_alpha_and_colour() {
    let node = Node::plain();
    let moving = animation(&[Picture::corners(60, 40, 1), Picture::corners(60, 40, 2)]);
    for (bytes, extension, frames, alpha, colour) in [
        (Picture::half_transparent(60, 40).png(), "png", 1, true, "rgba8"),
        (moving, "gif", 2, false, "palette8"),
        (jpeg(60, 40, 1), "jpg", 1, false, "rgb8"),
    ] {
        let info = node.get(&format!("/info/{}", node.upload(&bytes))).expect(200).json();
        assert_eq!(info["extension"], extension);
        assert_eq!(info["frames"], frames, "{extension}");
        assert_eq!(info["has_alpha"], alpha, "{extension}");
        assert_eq!(info["color"], colour, "{extension}");
        assert_eq!(info["orientation"], 1, "{extension}");
    }
}

#[test]
fn info_redirects_an_upper_case_id() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    let answer = node.get(&format!("/info/{}", id.to_uppercase())).expect(301);
    assert_eq!(answer.header("location"), Some(format!("/info/{id}").as_str()));
}

#[test]
fn health_and_readiness_are_200() {
    let node = Node::plain();
    for target in ["/healthz", "/readyz"] {
        node.get(target).expect(200);
        assert!(node.ask(&Request::new("HEAD", target)).expect(200).body.is_empty());
    }
}

#[test]
fn metrics_are_prometheus_text() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    node.get(&format!("/image/{id}/30w/x.jpg")).expect(200);
    node.get("/nope").expect(404);
    let answer = node.operate("/metrics").expect(200);
    assert!(answer.expect_header("content-type").starts_with("text/plain"), "{answer:?}");
    let text = String::from_utf8(answer.body).expect("UTF-8");
    let mut explained = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# ") {
            let words: Vec<_> = rest.splitn(3, ' ').collect();
            assert!(["HELP", "TYPE"].contains(&words[0]) && words.len() == 3, "{line}");
            explained.insert((words[0].to_owned(), words[1].to_owned()));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(!series.contains(&id) && !series.contains("127.0.0.1") && !series.contains("nope"), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {line}");
        let name = series.split('{').next().expect("a name");
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        for kind in ["HELP", "TYPE"] {
            let known = |name: &str| explained.contains(&(kind.to_owned(), name.to_owned()));
            assert!(known(family) || known(name), "no {kind} before {line}");
        }
    }
}

#[test]
fn the_promised_metrics_are_there() {
    let node = without_memory(1);
    let id = node.upload(&jpeg(60, 40, 1));
    let url = format!("/image/{id}/30w/x.jpg");
    ask_until_kept(&node, &url);
    let text = String::from_utf8(node.operate("/metrics").expect(200).body).expect("UTF-8");
    for name in [
        "reticulum_http_requests_total",
        "reticulum_http_request_seconds",
        "reticulum_variant_stage_seconds",
        "reticulum_resize_queue",
        "reticulum_resizes_total",
        "reticulum_coalesced_total",
        "reticulum_cache_bytes",
        "reticulum_cache_hits_total",
        "reticulum_cache_evictions_total",
        "reticulum_corrupt_total",
        "reticulum_scrubbed_total",
        "reticulum_scrub_position_ratio",
        "reticulum_scrub_full_pace",
        "reticulum_store_bad_copies",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "no {name}");
    }
    assert_eq!(node.metric("reticulum_resizes_total{outcome=\"ok\"}"), 1.0);
    assert!(node.metric("reticulum_cache_hits_total{tier=\"disk\"}") >= 1.0);
    assert!(node.metric("reticulum_cache_bytes{tier=\"disk\"}") > 0.0);
    assert_eq!(node.metric("reticulum_resize_queue"), 0.0);
}

/// Images and their bytes, by the metrics; waits until they are counted.
#[track_caller]
fn stored(node: &Node) -> (f64, f64) {
    wait_until("the count of images", || {
        let text = String::from_utf8(node.operate("/metrics").expect(200).body).expect("UTF-8");
        text.contains("# TYPE reticulum_images gauge") && text.contains("# TYPE reticulum_image_bytes gauge")
    });
    (node.metric("reticulum_images"), node.metric("reticulum_image_bytes"))
}

#[test]
fn images_and_their_bytes_are_counted_from_the_start_and_kept_up_to_date() {
    for shards in [1, 2] {
        let mut node = Node::with_shards(shards);
        assert_eq!(stored(&node), (0.0, 0.0));
        let images: Vec<_> = (0..6).map(|seed| jpeg(60, 40, seed)).collect();
        let bytes = |images: &[Vec<u8>]| images.iter().map(Vec::len).sum::<usize>() as f64;
        for image in images.iter().chain(&images) {
            node.upload(image);
        }
        node.ask(&put(b"just some text")).problem(415);
        wait_until("the count to grow", || stored(&node) == (6.0, bytes(&images)));
        node.kill9();
        node.restart_with_shards(3 - shards);
        wait_until("the same count", || stored(&node) == (6.0, bytes(&images)));
        // What is quarantined is stored no more, until it is uploaded again.
        let id = sha1(&images[0]);
        let path = node.stored(&id, "jpg");
        let mut damaged = images[0].clone();
        damaged[300] ^= 1;
        std::fs::write(&path, damaged).expect("write");
        node.get(&format!("/image/{id}/full/x.jpg")).problem(503);
        wait_until("the quarantine", || !path.exists() && node.metric("reticulum_images") == 5.0);
        assert_eq!(stored(&node), (5.0, bytes(&images[1..])));
        node.upload(&images[0]);
        wait_until("the count to grow again", || stored(&node) == (6.0, bytes(&images)));
    }
}

#[test]
fn a_node_alone_is_one_active_member() {
    let node = Node::plain();
    for (state, count) in [("active", 1.0), ("joining", 0.0), ("draining", 0.0), ("out", 0.0)] {
        assert_eq!(node.metric(&format!("reticulum_members{{state=\"{state}\"}}")), count, "{state}");
    }
    let text = String::from_utf8(node.operate("/metrics").expect(200).body).expect("UTF-8");
    assert_eq!(text.matches("\nreticulum_members{").count(), 4);
}

#[test]
fn requests_are_counted_by_status() {
    let node = Node::plain();
    let count = |status| node.metric(&format!("reticulum_http_requests_total{{status=\"{status}\"}}"));
    let before = [200, 404, 415].map(count);
    node.upload(&jpeg(60, 40, 1));
    node.get("/nope").problem(404);
    node.ask(&put(b"just some text")).problem(415);
    assert!(count(200) > before[0]);
    assert_eq!(count(404), before[1] + 1.0);
    assert_eq!(count(415), before[2] + 1.0);
}

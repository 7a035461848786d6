//! Keys of the configuration that change what a node makes, how it waits and how it logs; the other keys are
//! tested where they act.

use std::fs;

use crate::support::client::{Connection, Form, Request};
use crate::support::harness::{Node, Options, at_once, put, sha1, wait_until};
use crate::support::pictures::{Picture, jpeg};

#[test]
fn a_side_above_max_dimension_is_400_whatever_the_source_and_the_sources_own_size_is_not() {
    let node = Node::with_config("[images]\nmax_dimension = 100\n");
    let [large, small] = [jpeg(400, 300, 1), jpeg(20, 10, 1)].map(|bytes| node.upload(&bytes));
    for spec in ["101w", "51w,dpr2", "100w101h", "300s,dpr0.5"] {
        for id in [&large, &small] {
            let detail = node.get(&format!("/image/{id}/{spec}/x.png")).problem(400);
            assert!(detail.contains("100"), "{spec} does not name the bound: {detail}");
        }
    }
    for (spec, size) in [("100w", (100, 75)), ("50w,dpr2", (100, 75)), ("full", (400, 300))] {
        let answer = node.get(&format!("/image/{large}/{spec}/x.png")).expect(200);
        assert_eq!(Picture::decode(&answer.body).size(), size, "{spec}");
    }
}

#[test]
fn a_node_that_is_not_writable_serves_what_it_has_and_takes_nothing() {
    let node = Node::with_config("[node]\nwritable = false\n");
    let bytes = jpeg(40, 30, 1);
    let id = sha1(&bytes);
    let form = Form::default().file("image", "a.jpg", &bytes).post();
    for request in [put(&bytes), form] {
        let answer = node.ask(&request);
        answer.problem(503);
        assert!(answer.retry_after() > 0);
    }
    node.expect_nothing_stored();
    let folder = node.data().join("store").join(&id[..2]).join(&id[2..4]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{id}.jpg")), &bytes).unwrap();
    assert_eq!(node.get(&format!("/image/{id}/full/x.jpg")).expect(200).body, bytes);
    assert_eq!(
        Picture::decode(&node.get(&format!("/image/{id}/20w/x.jpg")).expect(200).body).size(),
        (20, 15)
    );
}

#[test]
fn upscale_enlarges_without_up_and_is_another_variant() {
    let [plain, enlarging] = ["", "[images]\nupscale = true\n"].map(Node::with_config);
    let bytes = jpeg(40, 30, 1);
    let seen = [&plain, &enlarging].map(|node| {
        let answer = node.get(&format!("/image/{}/80w/x.png", node.upload(&bytes))).expect(200);
        (Picture::decode(&answer.body).size(), answer.expect_header("etag").to_owned())
    });
    assert_eq!((seen[0].0, seen[1].0), ((40, 30), (80, 60)));
    assert_ne!(seen[0].1, seen[1].1);
}

#[test]
fn photos_are_scaled_in_linear_light_and_drawings_are_not_unless_the_configuration_says_one_for_all() {
    let checks = Picture::draw(320, 240, |x, y| if (x + y) % 2 == 0 { [255; 4] } else { [0, 0, 0, 255] });
    let [photo, drawing] = [checks.jpeg(), checks.png()];
    let [linear, stored] = [180..=192, 122..=134];
    for (config, of_photo, of_drawing) in [
        ("", &linear, &stored),
        ("[images]\nlight = \"linear\"\n", &linear, &linear),
        ("[images]\nlight = \"encoded\"\n", &stored, &stored),
    ] {
        let node = Node::with_config(config);
        for (source, expected) in [(&photo, of_photo), (&drawing, of_drawing)] {
            let id = node.upload(source);
            for target in ["40w/x.png", "20w/x.png", "80w/x.webp", "40w/x.jpg"] {
                let answer = node.get(&format!("/image/{id}/{target}")).expect(200);
                let gray = Picture::decode(&answer.body).pixel(9, 7)[1];
                assert!(expected.contains(&gray), "{config:?} {target}: {gray} of {expected:?}");
            }
        }
    }
}

#[test]
fn two_nodes_of_equal_settings_make_equal_variants_with_equal_tags() {
    let config = "[images]\nquality.jpeg = 70\npresets = { thumb = \"50s\" }\n";
    let nodes =
        [1, 2].map(|shards| Node::start(Options { shards, config: config.into(), ..Options::default() }));
    let bytes = jpeg(400, 300, 1);
    for target in ["100w/x.jpg", "p-thumb/x.png", "80w,dpr2,blur1/x.webp", "full/x.gif", "full/x.jpg"] {
        let seen = nodes.each_ref().map(|node| {
            let answer = node.get(&format!("/image/{}/{target}", node.upload(&bytes))).expect(200);
            (answer.expect_header("etag").to_owned(), answer.body)
        });
        assert!(seen[0] == seen[1], "{target}: {} {}", seen[0].0, seen[1].0);
    }
}

#[test]
fn a_node_alone_answers_with_the_one_copy_that_it_can_keep() {
    let node =
        Node::with_config("[cluster]\nreplication = 5\nmin_replication = 4\n[node]\nname = \"solo\"\n");
    let answer = node.ask(&put(&jpeg(40, 30, 1))).expect(200).json();
    assert_eq!((&answer["satisfied"], &answer["nodes"]), (&true.into(), &serde_json::json!(["solo"])));
}

#[test]
fn the_configured_quality_is_that_of_a_url_that_names_none() {
    let node = Node::with_config("[images]\nquality = { jpeg = 30, webp = 40 }\n");
    let id = node.upload(&Picture::noise(200, 150, 1).png());
    for (extension, quality) in [("jpg", "q30"), ("webp", "q40")] {
        let ask = |spec: &str| node.get(&format!("/image/{id}/{spec}/x.{extension}")).expect(200);
        let (configured, named) = (ask("100w"), ask(&format!("100w,{quality}")));
        assert_eq!(configured.header("etag"), named.header("etag"), "{extension}");
        assert!(configured.body == named.body && configured.body.len() < ask("100w,q90").body.len());
    }
}

#[test]
fn variants_whose_turn_comes_after_the_deadline_are_503_and_the_node_goes_on() {
    let node = Node::with_config("[limits]\nresize_deadline = \"100ms\"\n");
    let id = node.upload(&Picture::corners(3000, 2000, 1).jpeg());
    // No worker decodes six million pixels forty times in a tenth of a second, and the queue has room for all.
    let answers = at_once(40, |index| node.get(&format!("/image/{id}/{}w/x.png", 900 + index)));
    let late: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!late.is_empty());
    for answer in late {
        answer.problem(503);
        answer.retry_after();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
    wait_until("the worker", || node.metric("reticulum_resize_queue") == 0.0);
}

#[test]
fn an_image_that_decode_memory_can_just_hold_is_made() {
    let limits = "[images]\nmax_pixels = 120000\n[limits]\ndecode_memory = 960000\n";
    let node = Node::with_config(limits);
    let id = node.upload(&jpeg(400, 300, 1));
    let urls: Vec<_> = (1..9).map(|step| format!("/image/{id}/{}w/x.png", step * 40)).collect();
    at_once(urls.len(), |index| node.get(&urls[index]).expect(200));
}

#[test]
fn at_the_limit_of_connections_the_next_one_waits_until_one_ends() {
    let node = Node::with_config("[limits]\nconnections = 4\n");
    let ask = |connection: &mut Connection| connection.ask(&Request::get("/healthz")).expect(200);
    // Connections of the start may still be on their way out.
    let mut open: Vec<Connection> = Vec::new();
    for _ in 0..4 {
        let mut connection = node.connect();
        ask(&mut connection);
        open.push(connection);
    }
    let mut waiting = node.connect();
    waiting.send(&Request::get("/healthz").head());
    // Those that have a place are served as before, and the one that waits is not.
    for connection in &mut open {
        ask(connection);
    }
    assert!(!waiting.has_received(), "a fifth connection was served");
    drop(open.pop());
    waiting.answer().expect(200);
}

#[test]
fn a_json_log_is_one_object_a_line() {
    let config = "[log]\nformat = \"json\"\nlevel = \"debug\"\n".to_owned();
    let node = Node::start(Options { config, ..Options::default() });
    node.upload(&jpeg(40, 30, 1));
    wait_until("the line of the upload", || node.log().contains("stored an image"));
    let log = node.log();
    // The last line may be half written.
    let whole = &log[..log.rfind('\n').expect("a line")];
    let lines: Vec<serde_json::Value> =
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.len() > 1 && lines.iter().all(serde_json::Value::is_object), "{log}");
}

//! The URL's grammar: what is redirected where, what is refused naming which part.

use crate::support::client::Request;
use crate::support::harness::{Node, sha1};
use crate::support::pictures::jpeg;

/// `ID` stands for the id, `Id` for the same in upper case: as asked, and the canonical URL.
const REDIRECTS: &[(&str, &str)] = &[
    ("ID/100h200w/x.jpg", "ID/200w100h/x.jpg"),
    ("ID/0300w/x.jpg", "ID/300w/x.jpg"),
    ("ID/300W/x.jpg", "ID/300w/x.jpg"),
    ("ID/Full/x.png", "ID/full/x.png"),
    ("ID/100w,dpr1/x.jpg", "ID/100w/x.jpg"),
    ("ID/100s,g-c/x.jpg", "ID/100s/x.jpg"),
    ("ID/100w,q070/x.jpg", "ID/100w,q70/x.jpg"),
    ("ID/200w100h,q70,fill/x.jpg", "ID/200w100h,fill,q70/x.jpg"),
    ("ID/q70,100w/x.jpg", "ID/100w,q70/x.jpg"),
    ("ID/100w,flop,flip,rot90/x.jpg", "ID/100w,rot90,flip,flop/x.jpg"),
    ("ID/300w,q50/x.png", "ID/300w/x.png"),
    ("ID/300w,q50/x.gif", "ID/300w/x.gif"),
    ("ID/300w/x.jpeg", "ID/300w/x.jpg"),
    ("ID/300w/x.JPG", "ID/300w/x.jpg"),
    ("ID/300w/My.Photo.JPeG", "ID/300w/My.Photo.jpg"),
    ("Id/300w/x.jpg", "ID/300w/x.jpg"),
    ("Id/full/x.jpg", "ID/full/x.jpg"),
    ("Id/FLOP,q070,ROT90,0100H/x.JPEG", "ID/100h,q70,rot90,flop/x.jpg"),
    ("ID/100w,dpr1.50/x.jpg", "ID/100w,dpr1.5/x.jpg"),
    ("ID/100w,dpr02.0/x.jpg", "ID/100w,dpr2/x.jpg"),
    ("ID/up,100w/x.jpg", "ID/100w,up/x.jpg"),
    ("ID/100w,bg-FFaa00/x.png", "ID/100w,bg-ffaa00/x.png"),
    ("ID/300w/x.Auto", "ID/300w/x.auto"),
    ("ID/300w/x.AVIF", "ID/300w/x.avif"),
    ("ID/g-SMART,030s/x.jpg", "ID/30s,g-smart/x.jpg"),
    ("ID/meta,trim,grey,sharpen1.0,blur3.0,full/x.png", "ID/full,blur3,sharpen1,grey,trim,meta/x.png"),
];

/// A spec that is refused, and the part that the answer names.
const REFUSED: &[(&str, &str)] = &[
    ("300x", "300x"),
    ("nonsense", "nonsense"),
    ("300", "300"),
    ("w", "w"),
    ("-5w", "-5w"),
    ("+5w", "+5w"),
    ("5.5w", "5.5w"),
    ("0w", "0w"),
    ("0s", "0s"),
    ("100000w", "100000w"),
    ("9000w", "9000w"),
    ("100w9000h", "9000"),
    ("200w200w", "200w200w"),
    ("200w100h50w", "200w100h50w"),
    ("300w,", ""),
    (",300w", ""),
    ("300w,,q70", ""),
    ("q70", ""),
    ("300w,200w", "200w"),
    ("300w,zoom", "zoom"),
    ("300w,q0", "q0"),
    ("300w,q101", "q101"),
    ("300w,q", "q"),
    ("300w,q7.5", "q7.5"),
    ("300w,q70,q80", "q80"),
    ("300w,q70,q70", "q70"),
    ("300w,dpr9", "dpr9"),
    ("300w,dpr0.4", "dpr0.4"),
    ("300w,dpr.5", "dpr.5"),
    ("300w,dpr2.", "dpr2."),
    ("300w,dpr1.234", "dpr1.234"),
    ("300w,dpr-1", "dpr-1"),
    ("full,dpr2", "dpr2"),
    ("full,up", "up"),
    ("300w,fill", "fill"),
    ("300s,stretch", "stretch"),
    ("300w200h,fill,stretch", "stretch"),
    ("300w,g-n", "g-n"),
    ("300w200h,g-n", "g-n"),
    ("300s,g-up", "g-up"),
    ("300s,g-x2y0", "g-x2y0"),
    ("300s,g-x0.5", "g-x0.5"),
    ("300s,g-n,g-s", "g-s"),
    ("300w,rot45", "rot45"),
    ("300w,rot90,rot180", "rot180"),
    ("300w,flip,flip", "flip"),
    ("300w,crop-1-2-3", "crop-1-2-3"),
    ("300w,crop-a-0-1-1", "crop-a-0-1-1"),
    ("300w,crop-0-0-1-1-1", "crop-0-0-1-1-1"),
    ("300w,bg-fff", "bg-fff"),
    ("300w,bg-gggggg", "bg-gggggg"),
    ("full,frame", "frame"),
    ("full,frame-1", "frame-1"),
    ("300w,blur0.2", "blur0.2"),
    ("300w,blur101", "blur101"),
    ("300w,sharpen11", "sharpen11"),
    ("p-UPPER.case", "p-"),
    ("p-unknown", "p-unknown"),
    ("P-Unknown,q070", "p-unknown"),
];

/// Asks in the first form; the answer must lead to the second, whose URL is returned.
#[track_caller]
fn expect_redirect(node: &Node, id: &str, (asked, canonical): (&str, &str)) -> String {
    let asked = format!("/image/{}", asked.replace("ID", id).replace("Id", &id.to_uppercase()));
    let canonical = format!("/image/{}", canonical.replace("ID", id));
    for method in ["GET", "HEAD"] {
        let answer = node.ask(&Request::new(method, &asked)).expect(301);
        assert_eq!(answer.header("location"), Some(canonical.as_str()), "{asked}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=86400"), "{asked}");
    }
    canonical
}

#[test]
fn another_form_of_a_url_is_redirected_once_to_the_canonical_one() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    for &redirect in REDIRECTS {
        let canonical = expect_redirect(&node, &id, redirect);
        node.get(&canonical).expect(200);
    }
}

#[test]
fn a_redirect_keeps_the_query() {
    let node = Node::plain();
    let id = sha1(b"anything");
    let answer = node.get(&format!("/image/{id}/0300w/x.jpg?a=b&c=%20d//e")).expect(301);
    assert_eq!(answer.header("location"), Some(format!("/image/{id}/300w/x.jpg?a=b&c=%20d//e").as_str()));
}

#[test]
fn a_redirect_stays_on_this_host() {
    let node = Node::plain();
    let id = sha1(b"anything");
    for name in ["x.jpeg", "..%2f..%2fx.jpeg", "%0d%0aSet-Cookie:a=b.jpeg", "%5cevil.example.jpeg"] {
        let answer = node.get(&format!("/image/{id}/300w/{name}"));
        assert!((300..500).contains(&answer.status), "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
        if let Some(location) = answer.header("location") {
            assert!(location.starts_with(&format!("/image/{id}/300w/")), "{location}");
        }
    }
}

#[test]
fn a_redirect_needs_no_image() {
    let node = Node::plain();
    let id = sha1(b"unknown");
    node.get(&format!("/image/{id}/0300w/x.jpg")).expect(301);
    node.get(&format!("/image/{id}/300w/x.jpg")).problem(404);
}

#[test]
fn a_canonical_url_is_answered_directly() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    for spec in ["full", "300w", "100h", "200w100h", "200w100h,fill,g-n,q70", "100s,g-x0.5y0.25"] {
        node.get(&format!("/image/{id}/{spec}/x.jpg")).expect(200);
    }
}

#[test]
fn the_name_is_free() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    for name in ["a", "a.b.c", "%C3%A9t%C3%A9", "a%20b", "..", "-"] {
        node.get(&format!("/image/{id}/30w/{name}.jpg")).expect(200);
    }
}

#[test]
fn a_spec_outside_the_grammar_is_400_and_names_the_part() {
    let node = Node::plain();
    let id = node.upload(&jpeg(400, 300, 1));
    for &(spec, part) in REFUSED {
        let answer = node.get(&format!("/image/{id}/{spec}/x.jpg"));
        assert_eq!(answer.status, 400, "{spec}: {answer:?}");
        let detail = answer.problem(400);
        assert!(detail.contains(part), "{spec}: {detail:?} does not name {part:?}");
    }
}

#[test]
fn bytes_that_no_spec_has_are_400() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    for spec in [
        "300w%00",
        "300w%2fq70",
        "300w%C3%A9",
        "300w%0a",
        "%20300w",
        "300w;q70",
        "300w%ff",
        "300w%2",
        "300w%zz",
    ] {
        node.get(&format!("/image/{id}/{spec}/x.jpg")).problem(400);
    }
}

#[test]
fn an_extension_that_is_no_output_format_is_404() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    for name in ["x.bmp", "x.svg", "x.html", "x.jpg.exe", "x", "x.", "jpg"] {
        node.get(&format!("/image/{id}/30w/{name}")).problem(404);
    }
}

#[test]
fn an_id_that_is_none_is_400() {
    let node = Node::plain();
    let long = "a".repeat(41);
    for id in
        ["abc123", "a", &long, &"g".repeat(40), &"%61".repeat(41), &"é".repeat(20).replace('é', "%C3%A9")]
    {
        node.get(&format!("/image/{id}/300w/x.jpg")).problem(400);
        node.get(&format!("/info/{id}")).problem(400);
    }
}

#[test]
fn a_bad_id_is_told_before_a_bad_spec_and_that_before_a_missing_image() {
    let node = Node::plain();
    let detail = node.get("/image/abc123/nonsense/x.jpg").problem(400);
    assert!(!detail.contains("nonsense"), "{detail}");
    let detail = node.get(&format!("/image/{}/nonsense/x.jpg", sha1(b"unknown"))).problem(400);
    assert!(detail.contains("nonsense"), "{detail}");
}

//! Who may do what: keys, free loopback, pages of other origins. Signed URLs have a module of their own.

use crate::client::{Answer, Form, Request};
use crate::harness::{Node, put, sha1};
use crate::pictures::jpeg;

/// What a route asks of its caller; the first four are columns of [`CALLERS`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upload,
    Undelete,
    Erase,
    Operate,
    Public,
}

use Class::{Erase, Operate, Public, Undelete, Upload};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// In place of a status: what the route answers to those who may.
const MAY: u16 = 0;

const UPLOAD_KEY: (&str, &str) = ("Authorization", "Bearer up");
const OPERATOR_KEY: (&str, &str) = ("Authorization", "Bearer op");
/// `anybody:op`
const OPERATOR_PASSWORD: (&str, &str) = ("Authorization", "Basic YW55Ym9keTpvcA==");
const WRONG_KEY: (&str, &str) = ("Authorization", "Bearer nonsense");
const PROXIED: (&str, &str) = ("X-Forwarded-For", "192.0.2.1");
const FOREIGN_HOST: (&str, &str) = ("Host", "img.example.org");

const NO_KEYS: &str = "";
const OPEN: &str = "[access]\nopen_uploads = true\n";
const BOTH_KEYS: &str = "[access]\nupload_keys = [\"other\", \"up\"]\noperator_key = \"op\"\n";
const UPLOAD_KEYS: &str = "[access]\nupload_keys = [\"up\"]\n";
const OPERATOR_ONLY: &str = "[access]\noperator_key = \"op\"\n";

type Caller = &'static [(&'static str, &'static str)];

/// Configuration, what the caller sends, and what `Upload`, `Undelete`, `Erase` and `Operate` answer.
const CALLERS: &[(&str, Caller, [u16; 4])] = &[
    (NO_KEYS, &[], [MAY; 4]),
    (NO_KEYS, &[WRONG_KEY], [MAY; 4]),
    (NO_KEYS, &[PROXIED], [403; 4]),
    (NO_KEYS, &[("Via", "1.1 proxy")], [403; 4]),
    (NO_KEYS, &[("Forwarded", "for=192.0.2.1")], [403; 4]),
    (NO_KEYS, &[FOREIGN_HOST], [403; 4]),
    (NO_KEYS, &[("Host", "LocalHost:1")], [MAY; 4]),
    (NO_KEYS, &[("Host", "[::1]:8080")], [MAY; 4]),
    (NO_KEYS, &[("Origin", "https://evil.example")], [MAY, 403, 403, 403]),
    (OPEN, &[], [MAY; 4]),
    (OPEN, &[PROXIED], [MAY, 403, 403, 403]),
    (OPEN, &[FOREIGN_HOST], [MAY, 403, 403, 403]),
    (BOTH_KEYS, &[], [403, 403, 401, 401]),
    (BOTH_KEYS, &[PROXIED], [403, 403, 401, 401]),
    (BOTH_KEYS, &[WRONG_KEY], [403, 403, 401, 401]),
    (BOTH_KEYS, &[UPLOAD_KEY], [MAY, 403, MAY, 401]),
    (BOTH_KEYS, &[UPLOAD_KEY, PROXIED, FOREIGN_HOST], [MAY, 403, MAY, 401]),
    (BOTH_KEYS, &[OPERATOR_KEY], [MAY; 4]),
    (BOTH_KEYS, &[OPERATOR_KEY, PROXIED, FOREIGN_HOST], [MAY; 4]),
    (BOTH_KEYS, &[OPERATOR_PASSWORD], [MAY; 4]),
    (BOTH_KEYS, &[OPERATOR_PASSWORD, ("Origin", "https://evil.example")], [MAY, 403, 403, 403]),
    (BOTH_KEYS, &[OPERATOR_KEY, ("Origin", "https://evil.example")], [MAY; 4]),
    (UPLOAD_KEYS, &[], [403, 403, 401, MAY]),
    (UPLOAD_KEYS, &[PROXIED], [403, 403, 401, 403]),
    (UPLOAD_KEYS, &[UPLOAD_KEY], [MAY; 4]),
    (UPLOAD_KEYS, &[UPLOAD_KEY, PROXIED], [MAY, 403, MAY, 403]),
    (OPERATOR_ONLY, &[], [MAY, 403, 401, 401]),
    (OPERATOR_ONLY, &[FOREIGN_HOST], [403, 403, 401, 401]),
    (OPERATOR_ONLY, &[OPERATOR_KEY, FOREIGN_HOST], [MAY; 4]),
];

/// Every route with the methods it takes, what each asks, and what it answers to those who may: no
/// request here stores anything.
fn routes() -> Vec<(String, &'static [&'static str], Class, u16)> {
    let id = sha1(b"just some text");
    vec![
        ("/".into(), &["POST"], Upload, 415),
        ("/image".into(), &["POST"], Upload, 415),
        (format!("/image/{id}"), &["PUT"], Upload, 415),
        ("/?undelete".into(), &["POST"], Undelete, 501),
        ("/image?undelete".into(), &["POST"], Undelete, 501),
        (format!("/image/{id}?a=b&undelete=1"), &["PUT"], Undelete, 501),
        (format!("/image/{id}"), &["DELETE"], Erase, 501),
        (format!("/erasure/{id}"), &["GET", "HEAD"], Erase, 501),
        (format!("/purge/{id}"), &["POST"], Erase, 501),
        ("/metrics".into(), &["GET", "HEAD"], Operate, 200),
        ("/images".into(), &["GET", "HEAD"], Operate, 200),
        (format!("/image/{id}/300w/x.jpg"), &["GET", "HEAD"], Public, 404),
        (format!("/image/{id}/full/x.jpg"), &["GET", "HEAD"], Public, 404),
        (format!("/info/{id}"), &["GET", "HEAD"], Public, 404),
        ("/healthz".into(), &["GET", "HEAD"], Public, 200),
        ("/readyz".into(), &["GET", "HEAD"], Public, 200),
    ]
}

/// The methods of a target's path: those of its rows without a query.
fn taken(target: &str) -> Vec<&'static str> {
    let path = target.split('?').next().expect("a path");
    let rows = routes().into_iter().filter(|(other, ..)| other == path);
    rows.flat_map(|(_, methods, ..)| methods.iter().copied()).collect()
}

fn request(method: &str, target: &str, caller: Caller) -> Request {
    let body = b"just some text";
    let request = match (method, target.split('?').next()) {
        ("POST", Some("/")) => {
            let form = Form::default().file("image", "a.jpg", body).bytes();
            Form::announce_at(target).body(&form)
        }
        ("POST" | "PUT", _) => Request::new(method, target).body(body),
        _ => Request::new(method, target),
    };
    caller.iter().fold(request, |request, (name, value)| request.header(name, value))
}

#[test]
fn every_route_asks_every_caller_for_its_right() {
    for config in [NO_KEYS, OPEN, BOTH_KEYS, UPLOAD_KEYS, OPERATOR_ONLY] {
        let node = Node::with_config(config);
        for (_, caller, answers) in CALLERS.iter().filter(|(of, ..)| *of == config) {
            for (target, methods, class, granted) in routes() {
                for method in methods {
                    let answer = node.ask(&request(method, &target, caller));
                    let expected = match answers.get(class as usize) {
                        None | Some(&MAY) => granted,
                        Some(status) => *status,
                    };
                    let asked = format!("{config:?} {caller:?} {method} {target}");
                    assert_eq!(answer.status, expected, "{asked}: {answer:?}");
                    let challenge = (expected == 401).then_some("Basic realm=\"reticulum\"");
                    assert_eq!(answer.header("www-authenticate"), challenge, "{asked}");
                }
                for method in METHODS.iter().filter(|method| !taken(&target).contains(method)) {
                    let answer = node.ask(&request(method, &target, caller)).expect(405);
                    assert_eq!(answer.header("allow"), Some(taken(&target).join(", ").as_str()), "{target}");
                }
            }
        }
        node.expect_nothing_stored();
    }
}

#[test]
fn routes_to_come_are_unknown_to_everybody() {
    let node = Node::with_config(BOTH_KEYS);
    for target in ["/nothing", "/logs", "/purge/", "/erasure", "/purge/x/y"] {
        for caller in [&[][..], &[OPERATOR_KEY]] {
            node.ask(&request("GET", target, caller)).problem(404);
        }
    }
}

#[test]
fn a_key_may_come_in_the_forms_field_wherever_it_stands() {
    let node = Node::with_config(BOTH_KEYS);
    let bytes = jpeg(30, 20, 1);
    let image = |form: Form| form.file("image", "a.jpg", &bytes);
    for key in ["up", "other", "op"] {
        node.ask(&image(Form::default().field("key", key)).post()).expect(200);
        node.ask(&image(Form::default()).field("key", key).post()).expect(200);
    }
    node.ask(&image(Form::default()).post().header("Authorization", "Bearer up")).expect(200);
}

#[test]
fn a_form_with_a_wrong_key_or_none_leaves_nothing() {
    let node = Node::with_config(BOTH_KEYS);
    let bytes = jpeg(30, 20, 1);
    for form in [
        Form::default().file("image", "a.jpg", &bytes),
        Form::default().field("key", "nonsense").file("image", "a.jpg", &bytes),
        Form::default().file("image", "a.jpg", &bytes).field("key", "nonsense"),
        Form::default().file("image", "a.jpg", &bytes).field("key", ""),
    ] {
        node.ask(&form.post()).problem(403);
    }
    let right_field = Form::default().field("key", "up").file("image", "a.jpg", &bytes);
    node.ask(&right_field.post().header("Authorization", "Bearer nonsense")).problem(403);
    let two = Form::default().field("key", "up").field("key", "up").file("image", "a.jpg", &bytes);
    node.ask(&two.post()).problem(400);
    node.expect_nothing_stored();
}

#[test]
fn undelete_by_form_needs_the_operator_key_in_the_field() {
    let node = Node::with_config(BOTH_KEYS);
    for (key, status) in [("op", 501), ("up", 403), ("nonsense", 403)] {
        let body = Form::default().field("key", key).file("image", "a.jpg", &jpeg(30, 20, 1)).bytes();
        node.ask(&Form::announce_at("/?undelete").body(&body)).problem(status);
    }
    node.expect_nothing_stored();
}

#[test]
fn a_header_key_is_checked_before_the_body_is_asked_for() {
    let node = Node::with_config(BOTH_KEYS);
    for key in [None, Some("Bearer nonsense")] {
        let request = Request::new("PUT", &format!("/image/{}", sha1(b"x")));
        let request = request.header("Expect", "100-continue").header("Content-Length", "1000");
        let mut connection = node.connect();
        connection.send(&key.into_iter().fold(request, |all, key| all.header("Authorization", key)).head());
        let answer = connection.answer();
        answer.problem(403);
        assert_eq!((answer.informational.len(), answer.header("connection")), (0, Some("close")));
    }
}

#[test]
fn answers_to_uploads_come_in_order() {
    let config = format!("{BOTH_KEYS}[images]\nmax_bytes = 4000\n");
    let node = Node::with_config(&config);
    let (image, broken) = (jpeg(30, 20, 1), &jpeg(30, 20, 1)[..300]);
    let (long, text) = (vec![b'x'; 90_000], b"just some text");
    let keyed = |key: &str, request: Request| request.header("Authorization", &format!("Bearer {key}"));
    let named = |id: &str, bytes: &[u8]| Request::new("PUT", &format!("/image/{id}")).body(bytes);
    let form = |key: &str, bytes: &[u8]| {
        Form::request(&Form::default().file("image", "a.jpg", bytes).field("key", key).bytes())
    };
    let cut = |key: &str| {
        let whole = Form::default().file("image", "a.jpg", text).field("key", key).bytes();
        Form::request(&whole[..whole.len() - 9])
    };
    for (request, status) in [
        (keyed("wrong", named("abc", &long)), 400),
        (keyed("wrong", named(&sha1(b"x"), &long)), 403),
        (keyed("up", named(&sha1(b"x"), &long)), 413),
        (keyed("up", named(&sha1(b"x"), text)), 415),
        (keyed("up", named(&sha1(b"x"), broken)), 422),
        (keyed("up", named(&sha1(b"x"), &image)), 422),
        (keyed("wrong", form("wrong", &long)), 403),
        (form("wrong", &long), 413),
        (cut("wrong"), 400),
        (form("wrong", text), 403),
        (form("up", text), 415),
        (form("up", broken), 422),
    ] {
        node.ask(&request).problem(status);
    }
    node.expect_nothing_stored();
    node.ask(&form("up", &image)).expect(200);
}

fn allow_origin(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("access-control-allow-origin"), answer.header("vary"))
}

#[test]
fn by_default_every_page_may_read_every_answer() {
    let node = Node::plain();
    let id = node.upload(&jpeg(30, 20, 1));
    for target in
        [format!("/image/{id}/20w/x.jpg"), format!("/info/{id}"), "/nope".into(), "/image/x/y/z.jpg".into()]
    {
        for request in [Request::get(&target), Request::get(&target).header("Origin", "https://a.example")] {
            assert_eq!(allow_origin(&node.ask(&request)), (Some("*"), None), "{target}");
        }
    }
}

#[test]
fn listed_origins_alone_may_read_answers() {
    let node =
        Node::with_config("[access]\ncors_origins = [\"https://a.example\", \"https://b.example:1\"]\n");
    let id = node.upload(&jpeg(30, 20, 1));
    let ask = |origin: &str| {
        let request = Request::get(&format!("/image/{id}/full/x.jpg")).header("Origin", origin);
        node.ask(&request).expect(200)
    };
    for origin in ["https://a.example", "https://b.example:1"] {
        assert_eq!(allow_origin(&ask(origin)), (Some(origin), Some("Origin")));
    }
    for origin in ["https://b.example", "http://a.example", "null", "https://a.example.org"] {
        assert_eq!(allow_origin(&ask(origin)), (None, Some("Origin")), "{origin}");
    }
    assert_eq!(allow_origin(&node.get("/healthz")), (None, Some("Origin")));
    let none = Node::with_config("[access]\ncors_origins = []\n");
    assert_eq!(allow_origin(&none.get("/healthz")), (None, None));
}

#[test]
fn a_preflight_names_the_methods_of_every_route_without_a_key() {
    let node = Node::with_config(BOTH_KEYS);
    let preflight = |target: &str| {
        let request = Request::new("OPTIONS", target).header("Origin", "https://a.example");
        node.ask(&request.header("Access-Control-Request-Method", "PUT"))
    };
    for (target, ..) in routes() {
        let answer = preflight(&target).expect(204);
        let methods = answer.expect_header("access-control-allow-methods");
        assert_eq!(methods, taken(&target).join(", "), "{target}");
        let headers = answer.expect_header("access-control-allow-headers");
        assert!(headers.contains("Authorization") && headers.contains("Content-Type"), "{headers}");
        assert_eq!(allow_origin(&answer).0, Some("*"));
    }
    for (target, status) in [("/nope", 404), ("/image/x/y/z.bmp", 404), ("/cluster/v1/x", 401)] {
        preflight(target).problem(status);
    }
}

#[test]
fn a_download_has_a_name_and_the_same_bytes() {
    let node = Node::plain();
    let bytes = jpeg(30, 20, 1);
    let id = node.upload(&bytes);
    for (query, disposition) in [
        ("", None),
        ("?download", Some("attachment; filename=\"cat.jpg\"")),
        ("?download=dog.jpg", Some("attachment; filename=\"dog.jpg\"")),
        ("?download=../%22%0d%0ax", Some("attachment; filename=\"_x.jpg\"; filename*=UTF-8''%22x.jpg")),
    ] {
        let stored = node.get(&format!("/image/{id}/full/cat.jpg{query}")).expect(200);
        assert_eq!((stored.header("content-disposition"), &stored.body), (disposition, &bytes));
        let variant = node.get(&format!("/image/{id}/20w/cat.jpg{query}")).expect(200);
        assert_eq!(variant.header("content-disposition"), disposition);
    }
    let absent = node.get(&format!("/image/{}/full/cat.jpg?download", sha1(b"x")));
    absent.problem(404);
    assert_eq!(absent.header("content-disposition"), None);
}

#[test]
fn an_image_says_how_long_it_took() {
    let node = Node::plain();
    let id = node.ask(&put(&jpeg(30, 20, 1))).expect(200).json()["hash"].as_str().expect("an id").to_owned();
    for spec in ["full", "20w", "20w"] {
        let answer = node.get(&format!("/image/{id}/{spec}/x.jpg")).expect(200);
        assert!(matches!(answer.times()[0], ("total", milliseconds) if milliseconds > 0.0), "{answer:?}");
    }
}

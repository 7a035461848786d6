//! Who may do what: keys, and pages of other origins. Signed URLs have a module of their own, and so have strangers behind
//! a proxy.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use crate::api::signed::sign;
use crate::support::client::{Answer, Connection, Form, Request};
use crate::support::harness::{Node, put, sha1};
use crate::support::nginx::Nginx;
use crate::support::pictures::jpeg;

/// The table that this module tries, cell by cell.
const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ACCESS.md"));

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

pub(crate) const UPLOAD_KEY: (&str, &str) = ("Authorization", "Bearer up");
const OPERATOR_KEY: (&str, &str) = ("Authorization", "Bearer op");
/// `anybody:op`
const OPERATOR_PASSWORD: (&str, &str) = ("Authorization", "Basic YW55Ym9keTpvcA==");
const WRONG_KEY: (&str, &str) = ("Authorization", "Bearer nonsense");
const FOREIGN_ORIGIN: (&str, &str) = ("Origin", "https://evil.example");

const SIGN_KEY: &str = "the-sign-key-of-these-tests";

pub(crate) const BOTH_KEYS: &str = "[access]\nupload_keys = [\"other\", \"up\"]\noperator_key = \"op\"\n";

type Headers = &'static [(&'static str, &'static str)];

/// What the columns of the table show, in their order; the last one signs.
const CALLERS: [Headers; 4] = [&[], &[UPLOAD_KEY], &[OPERATOR_KEY], &[]];

/// How a proxy without nginx can be told from a client: not at all, and by what it adds.
const WAYS: [Headers; 3] = [
    &[],
    &[("Host", "img.example.org")],
    &[("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1"), ("Via", "1.1 proxy")],
];

/// A row of the table for one target.
struct Row {
    methods: Vec<&'static str>,
    target: String,
    /// The status of the refusal; `None` for who may.
    refusals: [Option<u16>; 4],
}

/// The table of routes, with ids and names filled in.
fn rows() -> Vec<Row> {
    let (_, section) = DOCUMENT.split_once("\n## Routes\n").expect("a chapter of the routes");
    let lines = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = lines.take_while(|line| line.starts_with('|')).flat_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [methods, route, refusals @ ..] = &cells[..] else { panic!("not a row: {line}") };
        let refusals = <[&str; 4]>::try_from(refusals).expect("four callers");
        let refusals =
            refusals.map(|cell| (cell != "yes").then(|| cell.parse().expect("a status or \"yes\"")));
        let methods: Vec<_> = match *methods {
            "any" => METHODS[..6].to_vec(),
            methods => methods.split(", ").collect(),
        };
        targets(route.trim_matches('`')).into_iter().map(move |target| Row {
            methods: methods.clone(),
            target,
            refusals,
        })
    });
    rows.collect()
}

/// No request to any of them stores anything: the only body that is sent is no image.
fn targets(route: &str) -> Vec<String> {
    let id = sha1(b"just some text");
    let with = |spec: &str| {
        let route = route.replace("{id}", &id).replace("{spec}", spec).replace("{node}", "n1");
        route.replace("{name}.{ext}", "x.jpg").replace("{name}", "x")
    };
    match route {
        "/cluster/…" => ["hello", "gossip", &format!("image/{id}"), "nothing", ""]
            .map(|rest| format!("/cluster/v1/{rest}"))
            .to_vec(),
        route if route.contains("{spec}") => vec![with("300w"), with("full")],
        _ => vec![with("")],
    }
}

/// The methods of a target's path, each once, whatever the query.
fn taken(target: &str) -> Vec<&'static str> {
    let path = |target: &str| target.split('?').next().expect("a path").to_owned();
    let rows = rows().into_iter().filter(|row| path(&row.target) == path(target));
    let mut taken = Vec::new();
    for method in rows.flat_map(|row| row.methods) {
        if !taken.contains(&method) {
            taken.push(method);
        }
    }
    taken
}

fn request<'a>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
) -> Request {
    let body = b"just some text";
    let request = match (method, target.split('?').next()) {
        ("POST", Some("/")) => {
            let form = Form::default().file("image", "a.jpg", body).bytes();
            Form::announce_at(target).body(&form)
        }
        ("POST" | "PUT", _) => Request::new(method, target).body(body),
        _ => Request::new(method, target),
    };
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// The type of a problem.
#[track_caller]
pub(crate) fn kind(answer: &Answer, status: u16) -> String {
    answer.problem(status);
    answer.json()["type"].as_str().expect("a type").to_owned()
}

/// The target with the signature of its path.
fn with_signature(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let signed = sign(SIGN_KEY, path);
    if query.is_empty() { signed } else { format!("{signed}&{query}") }
}

/// Asks for every cell of the table, on connections that `connect` opens.
fn try_every_cell(way: Headers, connect: impl Fn() -> Connection) {
    for Row { methods, target, refusals } in rows() {
        for (caller, (shown, refusal)) in CALLERS.iter().zip(refusals).enumerate() {
            let target = if caller == 3 { with_signature(&target) } else { target.clone() };
            for method in &methods {
                let answer = connect().ask(&request(method, &target, shown.iter().chain(way)));
                let asked = format!("{method} {target} {shown:?} {way:?}");
                match refusal {
                    Some(status) => assert_eq!(answer.status, status, "{asked}: {answer:?}"),
                    None => assert!(![401, 403, 405].contains(&answer.status), "{asked}: {answer:?}"),
                }
                let is_peers = target.starts_with("/cluster/");
                let scheme = if is_peers { "Reticulum-Peer" } else { "Basic realm=\"reticulum\"" };
                let challenge = answer.header("www-authenticate");
                let is_right = challenge.map_or(answer.status != 401, |it| it.starts_with(scheme));
                assert!(is_right, "{asked}: {answer:?}");
            }
        }
    }
}

#[test]
fn every_route_answers_every_caller_by_every_way_as_the_table_says() {
    let signing = format!("sign_keys = [\"{SIGN_KEY}\"]\nrequire_signature = \"all\"\n");
    let node = Node::with_config(&format!("{BOTH_KEYS}{signing}"));
    assert!(rows().len() >= 20, "the table was not read");
    for way in WAYS {
        try_every_cell(way, || node.connect());
    }
    let proxies = [Nginx::plain(&node), Nginx::keeping_alive(&node), Nginx::forwarding(&node)];
    for nginx in proxies.into_iter().flatten() {
        try_every_cell(&[], || nginx.connect());
    }
    for Row { target, .. } in rows().iter().filter(|row| !row.target.starts_with("/cluster/")) {
        for method in METHODS.iter().filter(|method| !taken(target).contains(method)) {
            let answer = node.ask(&request(method, target, &[])).expect(405);
            assert_eq!(answer.header("allow"), Some(taken(target).join(", ").as_str()), "{target}");
        }
    }
    node.expect_nothing_stored();
}

#[test]
fn signatures_are_asked_for_as_the_table_says() {
    let (_, section) = DOCUMENT.split_once("\n## Signatures\n").expect("a chapter of the signatures");
    let lines = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let mut modes = BTreeMap::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [mode, needs @ ..] = &cells[..] else { panic!("not a row: {line}") };
        modes.insert(mode.trim_matches('`'), [needs[0], needs[1], needs[2]].map(|cell| cell == "yes"));
    }
    assert_eq!(modes.keys().copied().collect::<Vec<_>>(), ["all", "off", "variants"]);
    for (mode, needs) in modes {
        let signing = format!("[access]\nsign_keys = [\"{SIGN_KEY}\"]\nrequire_signature = \"{mode}\"\n");
        let node = Node::with_config(&signing);
        let (id, absent) = (node.upload(&jpeg(60, 40, 1)), sha1(b"x"));
        let ask = |target: &str, method: &str| node.ask(&Request::new(method, target)).status;
        for method in ["GET", "HEAD"] {
            for (target, needs) in [
                ("/image/ID/full/x.jpg", needs[0]),
                ("/image/ID/full/x.auto", needs[0]),
                ("/image/ID/30w/x.jpg", needs[1]),
                ("/image/ID/30w/x.auto", needs[1]),
                ("/image/ID/full,q70/x.jpg", needs[1]),
                ("/info/ID", needs[2]),
            ] {
                let refused = |status| if needs { 403 } else { status };
                let [here, nowhere] = [&id, &absent].map(|id| target.replace("ID", id));
                // Without a signature nothing tells whether there is an image.
                assert_eq!(ask(&here, method), refused(200), "{mode} {method} {here}");
                assert_eq!(ask(&nowhere, method), refused(404), "{mode} {method} {nowhere}");
                assert_eq!(ask(&sign(SIGN_KEY, &here), method), 200, "{mode} {method} {here}");
                assert_eq!(ask(&sign("another-sign-key-of-16", &here), method), 403, "{mode} {here}");
                let upper = target.replace("ID", &id.to_uppercase());
                assert_eq!(ask(&upper, method), refused(301), "{mode} {method} {upper}");
                assert_eq!(ask(&sign(SIGN_KEY, &upper), method), 200, "{mode} {method} {upper}");
            }
        }
    }
}

#[test]
fn a_node_that_was_told_nothing_makes_a_key_once_and_gives_every_right_for_it_alone() {
    let mut node = Node::with_config("[access]\n");
    let path = node.data().join("operator.key");
    let key = node.operator_key();
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let log = node.log();
    assert!(log.contains("operator.key") && !log.contains(&key), "{log}");
    let bytes = jpeg(30, 20, 1);
    for headers in [&[][..], &[("Host", "localhost")], &[WRONG_KEY]] {
        for (method, target) in [("GET", "/metrics"), ("GET", "/images"), ("GET", "/status.json")] {
            node.ask(&request(method, target, headers)).problem(401);
        }
        let put = headers.iter().fold(put(&bytes), |put, (name, value)| put.header(name, value));
        node.ask(&put).problem(403);
    }
    node.expect_nothing_stored();
    node.upload(&bytes);
    node.operate("/metrics").expect(200);
    node.kill9();
    node.restart();
    assert_eq!(node.operator_key(), key);
    node.operate("/images").expect(200);
}

#[test]
fn open_uploads_open_uploads_alone_and_a_wrong_key_is_wrong_all_the_same() {
    let node = Node::with_config(&format!("{BOTH_KEYS}open_uploads = true\n"));
    let bytes = jpeg(30, 20, 1);
    let form = |key: Option<&str>| {
        let form = key.into_iter().fold(Form::default(), |form, key| form.field("key", key));
        form.file("image", "a.jpg", &bytes)
    };
    node.ask(&put(&bytes).header(WRONG_KEY.0, WRONG_KEY.1)).problem(403);
    node.ask(&form(Some("nonsense")).post()).problem(403);
    node.ask(&form(None).field("key", "nonsense").post()).problem(403);
    node.expect_nothing_stored();
    for target in ["/metrics", "/images", "/status.json"] {
        node.get(target).problem(401);
    }
    node.ask(&Request::new("PUT", &format!("/image/{}?undelete", sha1(&bytes))).body(&bytes)).problem(403);
    for request in
        [put(&bytes), form(None).post(), form(Some("up")).post(), form(None).field("key", "op").post()]
    {
        node.ask(&request).expect(200);
    }
}

#[test]
fn a_page_of_another_site_uploads_nothing_by_what_the_browser_adds() {
    let bytes = jpeg(30, 20, 1);
    let open = Node::plain();
    let keyed = Node::with_config(&format!("{BOTH_KEYS}cors_origins = [\"*\", \"https://admin.example\"]\n"));
    let own = format!("http://127.0.0.1:{}", keyed.port());
    let host = format!("127.0.0.1:{}", keyed.port());
    let foreign: [&[(&str, &str)]; 4] = [
        &[FOREIGN_ORIGIN],
        &[("Origin", "null")],
        &[FOREIGN_ORIGIN, ("Sec-Fetch-Site", "cross-site")],
        &[("Origin", "http://other.example"), ("Sec-Fetch-Site", "same-site")],
    ];
    let requests = || {
        let form = Form::default().file("image", "a.jpg", &bytes);
        let keyed_form = Form::default().field("key", "up").file("image", "a.jpg", &bytes);
        [put(&bytes), Request::new("POST", "/image").body(&bytes), form.post(), keyed_form.post()]
    };
    let with = |request: Request, headers: &[(&str, &str)]| {
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    for headers in foreign {
        for request in requests() {
            let answer = open.ask(&with(request.clone(), headers));
            assert_eq!(kind(&answer, 403), "foreign-page", "{headers:?}");
            let with_password = with(with(request, headers), &[OPERATOR_PASSWORD]);
            assert_eq!(kind(&keyed.ask(&with_password), 403), "foreign-page", "{headers:?}");
        }
        for (method, target) in
            [("DELETE", format!("/image/{}", sha1(b"x"))), ("POST", format!("/purge/{}", sha1(b"x")))]
        {
            let with_password = with(Request::new(method, &target), &[OPERATOR_PASSWORD]);
            assert_eq!(kind(&keyed.ask(&with(with_password, headers)), 403), "foreign-page", "{headers:?}");
        }
    }
    open.expect_nothing_stored();
    keyed.expect_nothing_stored();
    for headers in [
        &[("Origin", own.as_str()), ("Host", host.as_str())][..],
        // A proxy before it has changed the host, but the browser knows.
        &[("Origin", "https://img.example"), ("Sec-Fetch-Site", "same-origin")],
        &[("Origin", "https://admin.example"), ("Sec-Fetch-Site", "cross-site")],
    ] {
        keyed.ask(&with(put(&bytes).header(OPERATOR_PASSWORD.0, OPERATOR_PASSWORD.1), headers)).expect(200);
    }
    for headers in foreign {
        keyed.ask(&with(put(&bytes).header(UPLOAD_KEY.0, UPLOAD_KEY.1), headers)).expect(200);
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
        Form::request(&Form::default().field("key", key).file("image", "a.jpg", bytes).bytes())
    };
    let cut = |key: &str| {
        let whole = Form::default().field("key", key).file("image", "a.jpg", text).bytes();
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
        (cut("up"), 400),
        (cut("wrong"), 403),
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
    for Row { target, .. } in rows().into_iter().filter(|row| !row.target.starts_with("/cluster/")) {
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

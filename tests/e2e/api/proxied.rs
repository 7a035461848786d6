//! Strangers who come through a real nginx on the node's own machine, pages of other sites, and names that were made to
//! lead to this machine: nothing but public reads.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::api::signed::sign as signed;
use crate::support::client::{Connection, Form, Request};
use crate::support::harness::{Node, put, sha1};
use crate::support::nginx::Nginx;
use crate::support::nodes::{Cluster, alive, status, unready};
use crate::support::pictures::jpeg;

/// Sign key of [`KEYED`].
const SIGN_KEY: &str = "the-sign-key-of-these-tests";

const KEYED: &str = "[access]\nupload_keys = [\"an-upload-key-of-these-tests\"]\noperator_key = \"an-operator-key-of-these-tests\"\nsign_keys = [\"the-sign-key-of-these-tests\"]\nrequire_signature = \"all\"\n";

/// A node that was told nothing: its operator key is the one that it made.
fn untold() -> Node {
    Node::with_config("[access]\n")
}

fn proxies(node: &Node) -> Vec<Nginx> {
    [Nginx::keeping_alive(node), Nginx::plain(node), Nginx::forwarding(node)].into_iter().flatten().collect()
}

#[test]
fn fault_36_a_stranger_behind_the_plainest_proxy_may_read_images_and_nothing_else() {
    let node = untold();
    let id = node.upload(&jpeg(40, 30, 1));
    let other = jpeg(40, 30, 2);
    for nginx in proxies(&node) {
        for target in ["/status.json", "/metrics", "/images", &format!("/erasure/{id}")] {
            nginx.get(target).problem(401);
        }
        nginx.ask(&put(&other)).problem(403);
        nginx.ask(&Request::new("POST", "/image").body(&other)).problem(403);
        nginx.ask(&Form::default().file("image", "a.jpg", &other).post()).problem(403);
        nginx.ask(&Request::new("DELETE", &format!("/image/{id}"))).problem(401);
        nginx.ask(&Request::new("POST", &format!("/purge/{id}")).body(b"")).problem(401);
        nginx.get(&format!("/image/{id}/full/x.jpg")).expect(200);
        nginx.ask(&node.with_operator_key(Request::get("/status.json"))).expect(200);
    }
    assert_eq!(node.files("store").len(), 1);
    node.wait_until_tmp_is_empty();
}

#[test]
fn a_stranger_who_proves_itself_by_an_empty_key_is_nobody_whatever_the_way() {
    let mut node = Node::with_config(KEYED);
    let image = jpeg(40, 30, 1);
    let id = node.upload(&image);
    for nginx in proxies(&node) {
        attack(|| nginx.connect(), &[], &image);
    }
    attack(|| node.connect(), &[], &image);
    // A page of a site whose name was made to lead here: to the browser, this node is that site.
    let rebound =
        [("Host", "evil.example"), ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")];
    attack(|| node.connect(), &rebound, &image);
    assert_eq!(node.files("store").len(), 1);
    assert_eq!(unready(&node), "");
    assert!(node.log().contains("no cluster.secret is configured"), "{}", node.log());
    node.kill9();
    node.restart();
    assert_eq!(status(&node)["nodes"][0]["state"], "active");
    node.get(&signed(SIGN_KEY, &format!("/image/{id}/full/x.jpg"))).expect(200);
}

#[test]
fn a_stranger_behind_a_proxy_is_nobody_to_a_node_with_peers_either() {
    let cluster = Cluster::start(2);
    let image = jpeg(40, 30, 1);
    cluster.nodes[0].upload(&image);
    for nginx in proxies(&cluster.nodes[0]) {
        attack(|| nginx.connect(), &[], &image);
    }
    assert_eq!(alive(&status(&cluster.nodes[1])).len(), 2);
    assert_eq!(cluster.nodes[0].files("store").len(), 1);
}

/// Everything that a node with an empty secret could ask of this one, on connections that `connect` opens: an original,
/// whether there is one, to take a copy, and to hear a message. `image` is stored. All of it must be 401.
#[track_caller]
fn attack(connect: impl Fn() -> Connection, headers: &[(&str, &str)], image: &[u8]) {
    let (id, planted) = (sha1(image), jpeg(50, 40, 7));
    let mut welcomes = Vec::new();
    let copy = format!("/cluster/v1/image/{}?uploaded=1700000000000000000", sha1(&planted));
    for (method, target, body, digest) in [
        ("GET", format!("/cluster/v1/image/{id}"), &b""[..], bytes_digest(b"")),
        ("HEAD", format!("/cluster/v1/image/{id}"), b"", bytes_digest(b"")),
        ("GET", format!("/cluster/v1/has/{id}"), b"", bytes_digest(b"")),
        ("GET", format!("/cluster/v1/info/{id}"), b"", bytes_digest(b"")),
        ("GET", "/cluster/v1/nothing".to_owned(), b"", bytes_digest(b"")),
        ("GET", "/cluster/".to_owned(), b"", bytes_digest(b"")),
        ("PUT", copy.clone(), &planted, format!("i{}", sha1(&planted))),
        ("POST", "/cluster/v1/gossip".to_owned(), b"\0message", bytes_digest(b"\0message")),
    ] {
        let mut connection = connect();
        let mut stranger = Stranger::new();
        let with =
            |request: Request| headers.iter().fold(request, |all, (name, value)| all.header(name, value));
        let hello =
            with(Request::new("POST", "/cluster/v1/hello").header(HELLO, &stranger.hello()).body(b""));
        let answer = connection.ask(&hello);
        answer.problem(401);
        // Who gets a welcome goes on as a node would; who gets none tries all the same.
        let welcome = answer.header(HELLO).unwrap_or_default().to_owned();
        let proof = stranger.prove(&welcome, method, &target, &digest);
        let mut request = with(Request::new(method, &target).header("Reticulum-Proof", &proof));
        if !body.is_empty() {
            request = request.body(body);
        }
        let mut again = if answer.header("connection") == Some("close") { connect() } else { connection };
        let answer = again.ask(&request);
        assert_eq!(answer.status, 401, "{method} {target}: {answer:?}");
        welcomes.push(welcome);
    }
    assert!(welcomes.iter().all(String::is_empty), "a stranger was welcomed: {welcomes:?}");
}

const HELLO: &str = "reticulum-hello";

/// One end of the protocol between nodes, written from its description, with an empty key.
struct Stranger {
    number: u64,
}

impl Stranger {
    const NODE: [u8; 16] = [7; 16];
    const NONCE: [u8; 16] = [9; 16];

    fn new() -> Self {
        Self { number: 0 }
    }

    fn hello(&self) -> String {
        let mac = mac(&[&[1, 1][..], &field(b"default"), &field(&Self::NODE), &field(&Self::NONCE)].concat());
        format!("1 {} {} default {}", hex(&Self::NODE), hex(&Self::NONCE), hex(&mac))
    }

    /// The proof of the next request after this welcome, or after none.
    fn prove(&mut self, welcome: &str, method: &str, target: &str, digest: &str) -> String {
        let words: Vec<_> = welcome.split(' ').collect();
        let bytes = |at: usize| words.get(at).map(|word| unhex(word)).unwrap_or_default();
        self.number += 1;
        let ends = [field(&Self::NODE), field(&Self::NONCE), field(&bytes(1)), field(&bytes(2))].concat();
        let asked = [field(method.as_bytes()), field(target.as_bytes())].concat();
        let said = [field(b""), field(b""), field(digest.as_bytes())].concat();
        let text = [&[1, 3][..], &ends, &field(&self.number.to_be_bytes()), &asked, &said].concat();
        format!("{} {digest} {}", self.number, hex(&mac(&text)))
    }
}

fn mac(text: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(b"").expect("any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_be_bytes()[..], bytes].concat()
}

fn bytes_digest(bytes: &[u8]) -> String {
    format!("b{}", hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(|pair| byte(pair).unwrap_or_default()).collect()
}

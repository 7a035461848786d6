//! Nodes that are to join a cluster and are no members: what they answer, what is said on both sides, and that a
//! stranger cannot make a member connect anywhere.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use reticulum::cluster::layout::{Edit, Layout, Role};
use reticulum::cluster::node::{Label, NodeId};
use reticulum::peer::auth::{
    ClientHandshake, Digest, HANDSHAKE_HEADER, Identity, PROOF_HEADER, Question, SignedFields,
};
use reticulum::peer::call::{Call, HANDSHAKE_TARGET};
use reticulum::store::record;

use crate::support::client::{Answer, Connection, Request};
use crate::support::harness::{Node, Options, free_port, put, wait_until};
use crate::support::nodes::{Cluster, alive, member, member_with, status, unready};
use crate::support::pictures::jpeg;

/// Secrets of the clusters in which they matter.
const RIGHT: &str = "secret = \"0123456789abcdef right\"\n";
const WRONG: &str = "secret = \"0123456789abcdef wrong\"\n";

/// Every way to ask for an image.
fn every_way(id: &str) -> Vec<Request> {
    let paths = [
        format!("/image/{id}/full/x.jpg"),
        format!("/image/{id}/full/x.auto"),
        format!("/image/{id}/20w/x.jpg"),
        format!("/image/{id}/20w/x.auto"),
        format!("/image/{id}/full/x.webp"),
        format!("/info/{id}"),
    ];
    let mut ways: Vec<_> = paths.iter().map(|path| Request::get(path)).collect();
    ways.extend(paths.iter().map(|path| Request::new("HEAD", path)));
    let tag = format!("\"{id}\"");
    ways.push(Request::get(&paths[0]).header("if-none-match", &tag));
    ways.push(Request::get(&paths[2]).header("if-none-match", "*"));
    ways
}

/// Panics unless the node answers every question for an image that it does not hold as one that is no member.
#[track_caller]
fn expect_not_joined(node: &Node, id: &str) {
    for request in every_way(id) {
        let answer = node.ask(&request);
        let line = String::from_utf8_lossy(&request.head()).lines().next().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 503, "{line}: {answer:?}");
        assert_eq!(answer.expect_header("cache-control"), "no-store", "{line}");
        assert!(answer.retry_after() >= 1, "{line}");
        if !line.starts_with("HEAD") {
            assert_eq!(kind(&answer), "not-joined", "{line}: {answer:?}");
        }
    }
    assert_eq!(kind(&node.ask(&put(&jpeg(60, 40, 77))).expect(503)), "not-joined");
}

fn kind(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap_or_default().to_owned()
}

/// The layout that a node which does not run keeps.
fn kept_layout(node: &Node) -> Layout {
    let bytes = record::read(&node.data().join("meta/layout")).expect("read the layout");
    Layout::decode(&bytes.expect("a layout")).expect("a layout")
}

/// An operator's removal, while the node does not run.
#[track_caller]
fn remove_on_disk(node: &Node, by: &str, removed: &str) {
    let mut layout = kept_layout(node);
    let [by, removed] = [by, removed].map(|id| NodeId::parse(id).expect("an id"));
    assert_eq!(layout.edit(by, &Edit::Role(removed, Role::Removed)), Ok(true));
    record::replace(&node.data().join("meta/layout"), &layout.encode()).expect("write the layout");
}

/// Waits until a node that is not ready says this of the cause.
#[track_caller]
fn wait_for_reason(node: &Node, part: &str) {
    wait_until(&format!("the reason to be known: {part}"), || {
        Connection::try_open(node.port()).is_ok() && unready(node).contains(part)
    });
}

fn id_of(node: &Node) -> String {
    status(node)["node"].as_str().expect("an id").to_owned()
}

fn names(node: &Node) -> Vec<String> {
    let nodes = status(node)["nodes"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<_> =
        nodes.iter().map(|node| node["name"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn fault_35_a_node_with_another_secret_gives_no_false_no_and_both_sides_say_why() {
    let first = free_port();
    let founder = Node::start(member_with(0, first, None, RIGHT));
    let id = founder.upload(&jpeg(60, 40, 1));
    let stranger = Node::start_unready(member_with(1, free_port(), Some(first), WRONG));
    expect_not_joined(&stranger, &id);
    wait_for_reason(&stranger, "another secret");
    expect_not_joined(&stranger, &id);
    assert!(
        stranger.log().contains("rejected our gossip: its cluster.secrets do not include ours"),
        "{}",
        stranger.log()
    );
    wait_until("the other side to say it", || {
        founder.log().contains("rejected a node whose cluster.secrets")
    });
    assert_eq!(
        founder.log().matches("rejected a node whose cluster.secrets").count(),
        1,
        "{}",
        founder.log()
    );
    assert_eq!(names(&founder), ["n0"]);
}

#[test]
fn a_node_that_nobody_answers_gives_no_false_no_and_says_so() {
    let node = Node::start_unready(member(1, free_port(), Some(free_port())));
    let id = "00".repeat(20);
    expect_not_joined(&node, &id);
    wait_for_reason(&node, "no node of cluster.join answers");
    expect_not_joined(&node, &id);
    assert!(node.log().contains("no node of cluster.join answers"), "{}", node.log());
}

#[test]
fn a_node_whose_name_another_id_holds_gives_no_false_no_and_both_sides_say_why() {
    let first = free_port();
    let founder = Node::start(member(0, first, None));
    let id = founder.upload(&jpeg(60, 40, 1));
    let namesake = Node::start_unready(member(0, free_port(), Some(first)));
    wait_for_reason(&namesake, "holds its name");
    expect_not_joined(&namesake, &id);
    let holder = id_of(&founder);
    assert!(namesake.log().contains(&format!("{holder} holds its name")), "{}", namesake.log());
    assert!(founder.log().contains("refused the join of a node: n0 holds its name"), "{}", founder.log());
    assert_eq!(names(&founder), ["n0"]);
}

#[test]
fn a_node_that_was_removed_while_away_gives_what_it_holds_and_no_false_no() {
    let mut cluster = Cluster::start(3);
    let held = cluster.nodes[2].upload(&jpeg(60, 40, 1));
    let removed = id_of(&cluster.nodes[2]);
    let by = id_of(&cluster.nodes[0]);
    wait_until("a copy on every node", || cluster.holders(&held).len() == 3);
    cluster.nodes.iter_mut().for_each(Node::kill9);
    remove_on_disk(&cluster.nodes[0], &by, &removed);
    // Of the others only one is there, which the removed one does not believe to be gone.
    cluster.nodes[0].restart();
    cluster.nodes[2].restart_unready();
    wait_for_reason(&cluster.nodes[2], "was removed");
    expect_not_joined(&cluster.nodes[2], &"11".repeat(20));
    cluster.nodes[2].get(&format!("/image/{held}/full/x.jpg")).expect(200);
    cluster.nodes[2].get(&format!("/image/{held}/20w/x.jpg")).expect(200);
    cluster.nodes[2].get(&format!("/info/{held}")).expect(200);
    wait_until("its log to say so", || cluster.nodes[2].log().contains("was removed from its cluster"));
    wait_until("the other's log to say so", || cluster.nodes[0].log().contains("removed forever"));
}

/// The story: a node's disk is wiped, it is started without the list of those whom it is to join, takes an upload, and
/// is then started with the list. Its old id is still a member of its name and URL.
#[test]
fn a_wiped_node_that_was_started_alone_joins_once_and_loses_nothing() {
    let (first, port) = (free_port(), free_port());
    let founder = Node::start(member(0, first, None));
    let mut old = Node::start(member(1, port, Some(first)));
    let third = Node::start(member(2, free_port(), Some(first)));
    let mut cluster = [founder, third];
    wait_until("three members", || cluster.iter().all(|node| alive(&status(node)).len() == 3));
    let old_id = id_of(&old);
    old.kill9();
    let shared = cluster[0].upload(&jpeg(60, 40, 1));
    drop(old);
    // A cluster of one, rightly so: it was told to join nobody.
    let mut alone = Node::start(member(1, port, None));
    let own = alone.upload(&jpeg(60, 40, 2));
    assert_eq!(alone.terminate(), Some(0));
    join_from_now_on(&mut alone, first);
    alone.restart_unready();
    wait_for_reason(&alone, "holds its name");
    for node in &cluster {
        assert_eq!(names(node).iter().filter(|name| *name == "n1").count(), 1, "{:?}", names(node));
    }
    expect_not_joined(&alone, &shared);
    alone.get(&format!("/image/{own}/full/x.jpg")).expect(200);
    assert!(alone.log().contains(&format!("{old_id} holds its name")), "{}", alone.log());
    // What the operator does: the old id is removed.
    let by = id_of(&cluster[0]);
    cluster.iter_mut().for_each(Node::kill9);
    remove_on_disk(&cluster[0], &by, &old_id);
    cluster.iter_mut().for_each(Node::restart);
    alone.wait_until_ready();
    wait_until("three members again", || {
        cluster.iter().chain([&alone]).all(|node| alive_names(node) == ["n0", "n1", "n2"])
    });
    for node in cluster.iter().chain([&alone]) {
        for id in [&shared, &own] {
            node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
        }
    }
    assert!(alone.log().contains("this node joined its cluster"), "{}", alone.log());
    // What it took alone had one copy, and has as many as the cluster wants now.
    wait_until("copies of what was taken alone", || {
        cluster.iter().all(|node| node.stored(&own, "jpg").exists())
    });
}

fn alive_names(node: &Node) -> Vec<String> {
    let mut names = alive(&status(node));
    names.sort();
    names
}

fn join_from_now_on(node: &mut Node, port: u16) {
    node.options_mut().variables.push(("RETICULUM_CLUSTER_JOIN", format!("http://127.0.0.1:{port}")));
}

/// A listener that nobody has any business with.
fn trap() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener that does not wait");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

#[track_caller]
fn expect_untouched(listener: &TcpListener) {
    match listener.accept() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        other => panic!("somebody connected: {other:?}"),
    }
}

/// It has the secret, but no place in the cluster: nothing goes to where it says that it is.
#[test]
fn a_member_connects_to_no_url_of_a_node_that_is_not_taken_in() {
    let (listener, url) = trap();
    let first = free_port();
    let founder = Node::start(member_with(0, first, None, RIGHT));
    let mut options = member_with(0, free_port(), Some(first), RIGHT);
    options.variables.push(("RETICULUM_NODE_URL", url));
    let stranger = Node::start_unready(options);
    // The marker: it has been heard, judged, and told, more than once.
    wait_for_reason(&stranger, "holds its name");
    assert!(founder.log().contains("refused the join of a node"), "{}", founder.log());
    let later = Node::start(member_with(1, free_port(), Some(first), RIGHT));
    wait_until("two members", || alive(&status(&founder)).len() == 2);
    expect_untouched(&listener);
    drop((stranger, later));
}

/// The bytes of a hello as a node says it that wants to be taken in.
fn hello_message(id: NodeId, url: &str) -> Vec<u8> {
    // What precedes a message of the core; then version, cluster, who it is: id, generation, renewal, instance, URL.
    let mut bytes = vec![0, 1];
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        bytes.extend(text.as_bytes());
    };
    text(&mut bytes, "default");
    bytes.extend(id.bytes());
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend(9_u64.to_be_bytes());
    text(&mut bytes, url);
    // The state of no layout; a hello: name, URL, zone, weight, writable.
    bytes.extend([0; 16]);
    bytes.push(1);
    text(&mut bytes, "trap");
    text(&mut bytes, url);
    text(&mut bytes, "default");
    bytes.extend(100_u32.to_be_bytes());
    bytes.push(1);
    bytes
}

/// Says hello with this secret and sends a message; the status of the answer to the message, or to the greeting where
/// that was refused.
fn announce(port: u16, secret: &str, url: &str) -> u16 {
    let id = NodeId::from_bytes([0xee; 16]);
    let secrets: Vec<_> = [secret.to_owned()].into_iter().filter(|secret| !secret.is_empty()).collect();
    let identity = Identity::new(id, Label::parse("default").expect("a label"), &secrets);
    let (mut client, hello) = ClientHandshake::new(Arc::new(identity), [7; 16]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let head = format!(
        "POST {HANDSHAKE_TARGET} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{HANDSHAKE_HEADER}: {hello}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let (status, head) = read_answer(&mut stream);
    let welcome =
        header(&head, HANDSHAKE_HEADER).and_then(|welcome| client.accept_challenge(welcome.as_bytes()).ok());
    if welcome.is_none() {
        return status;
    }
    let body = hello_message(id, url);
    let target = Call::Gossip.target();
    let question = Question { method: "POST", target: &target };
    let proof = client.sign(&question, &SignedFields::default(), Digest::of(&body)).expect("a proof");
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{PROOF_HEADER}: {proof}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&body).expect("sent");
    read_answer(&mut stream).0
}

/// Status and head of an answer; of its body only what came along is taken.
fn read_answer(stream: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).expect("a head in ASCII");
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).expect("a body");
    (head[9..12].parse().expect("a status"), head)
}

fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

#[test]
fn an_announcement_without_the_secret_makes_no_node_connect_anywhere() {
    let (listener, url) = trap();
    let first = free_port();
    let founder = Node::start(member_with(0, first, None, RIGHT));
    for secret in ["", "0123456789abcdef wrong"] {
        assert_eq!(announce(first, secret, &url), 401);
    }
    let other = Node::start(member_with(1, free_port(), Some(first), RIGHT));
    wait_until("two members", || alive(&status(&founder)).len() == 2);
    expect_untouched(&listener);
    assert_eq!(names(&founder), ["n0", "n1"]);
    // With the secret it is taken in, and only then anybody calls there: the announcement above was a good one.
    assert_eq!(announce(first, "0123456789abcdef right", &url), 200);
    wait_until("a call", || listener.accept().is_ok());
    drop(other);
}

#[test]
fn a_node_that_waits_for_its_cluster_says_whom_it_asked_and_what_came_back() {
    let nobody = free_port();
    let node = Node::start_unready(member(0, free_port(), Some(nobody)));
    let tried = format!("http://127.0.0.1:{nobody}: nobody answers there");
    wait_until("the line", || node.log().contains(&tried));
}

/// Options of three new nodes that name each other.
fn naming_each_other() -> Vec<Options> {
    let ports = [free_port(), free_port(), free_port()];
    let named: Vec<_> = ports.iter().map(|port| format!("\"http://127.0.0.1:{port}\"")).collect();
    let options = |number: usize| {
        let mut options = member(number, ports[number], None);
        let lists = (options.config.clone(), format!("join = [{}]", named.join(", ")));
        options.config = lists.0.replace("join = []", &lists.1);
        options
    };
    (0..3).map(options).collect()
}

#[test]
fn new_nodes_that_name_each_other_are_one_cluster_in_any_order_of_start() {
    for first in 0..3 {
        let mut options = naming_each_other();
        options.rotate_left(first);
        let cluster = Cluster::with(options);
        let images: Vec<_> = (0..3).map(|number| jpeg(60, 40, number)).collect();
        cluster.nodes.iter().zip(&images).for_each(|(node, image)| _ = node.upload(image));
        cluster.expect_readable_everywhere(&images);
        let made = |node: &&Node| node.log().contains("this node made the cluster's first layout");
        assert_eq!(cluster.nodes.iter().filter(made).count(), 1);
    }
}

#[test]
fn new_nodes_wait_for_one_that_is_missing_and_say_for_whom() {
    let mut options = naming_each_other();
    let last = options.pop().expect("three");
    let missing = format!("http://127.0.0.1:{}: nobody answers there", last.port.expect("a port"));
    let waiting: Vec<_> = options.into_iter().map(Node::start_unready).collect();
    for (node, other) in waiting.iter().zip(waiting.iter().rev()) {
        wait_for_reason(node, "begins when all of them run and name the same nodes");
        wait_for_reason(node, &missing);
        wait_for_reason(node, &format!("http://127.0.0.1:{}: it is new, too", other.port()));
        let told_to_strangers = node.get("/readyz").expect(503).json()["detail"].to_string();
        assert!(!told_to_strangers.contains("http://"), "{told_to_strangers}");
        expect_not_joined(node, &"00".repeat(20));
        let line =
            || node.log().lines().any(|line| line.contains("waits until all") && line.contains(&missing));
        wait_until("the line", line);
    }
    let last = Node::start(last);
    let mut waiting = waiting;
    waiting.iter_mut().for_each(Node::wait_until_ready);
    let id = last.upload(&jpeg(60, 40, 1));
    for node in waiting {
        node.get(&format!("/image/{id}/full/x.jpg")).expect(200);
    }
}

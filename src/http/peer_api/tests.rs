//! Every route, asked by a pool of another node over a socket; and what a stranger gets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::cluster::layout::LayoutHash;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::image::recipe::ENCODER_VERSION;
use crate::object::{Format, ObjectId};
use crate::peer::auth::AuthError;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call, Copy, StoredMetadata, VariantCall};
use crate::peer::error::PeerError;
use crate::peer::pool::{Address, PeerAnswer, PeerRequest, Pool};
use crate::peer::requester::Requester;
use crate::shard::service::tests::support::{
    ALONE, Running, address, id as node_id, id_of, identity, identity_of, layout, png, pool, run, view,
};

const SOON: Duration = Duration::from_secs(20);

fn hash() -> LayoutHash {
    LayoutHash::parse("00112233445566778899aabbccddeeff").unwrap()
}

fn uploaded() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)
}

fn image(id: ObjectId, bytes: Vec<u8>) -> Outgoing {
    let (bytes, length) = (Bytes::from(bytes), 0);
    let length = length + bytes.len() as u64;
    let source = move |position: u64| {
        let start = position as usize;
        let piece = bytes.slice(start..bytes.len().min(start + 100_000));
        Box::pin(async move { Ok(piece) }) as crate::peer::body::SourceRead
    };
    Outgoing::Image { id, length, source: Rc::new(source) }
}

async fn ask(pool: &Pool, to: &Running, call: Call, body: Outgoing) -> Result<PeerAnswer, PeerError> {
    pool.ask(&to.address, PeerRequest { call, layout: hash(), body }, SOON).await
}

async fn get(pool: &Pool, to: &Running, call: Call) -> PeerAnswer {
    ask(pool, to, call, Outgoing::empty()).await.unwrap()
}

async fn put(pool: &Pool, to: &Running, bytes: &[u8]) -> ObjectId {
    let id = id_of(bytes);
    let copy = Copy { id, uploaded: uploaded(), misplaced: false, live: 0 };
    let answer = ask(pool, to, Call::Copy(copy), image(id, bytes.to_vec())).await.unwrap();
    assert_eq!(answer.status, call::GIVEN);
    id
}

#[test]
fn a_copy_is_taken_and_given_as_it_was_sent() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        // Below and above what is proven before its first byte.
        for side in [4, 700] {
            let bytes = png(side);
            let id = put(&pool, &node, &bytes).await;
            let answer = get(&pool, &node, Call::Image(id)).await;
            assert_eq!((answer.status, answer.bytes == bytes), (call::GIVEN, true));
            let stored =
                StoredMetadata { format: Format::Png, length: bytes.len() as u64, uploaded: uploaded() };
            assert_eq!(StoredMetadata::parse(answer.metadata()), Some(stored));
            let head = get(&pool, &node, Call::Head(id)).await;
            assert_eq!((StoredMetadata::parse(head.metadata()), head.bytes.len()), (Some(stored), 0));
            assert_eq!(std::fs::read(node.store.image(&id, Format::Png)).unwrap(), bytes);
        }
    });
}

#[test]
fn answers_carry_the_hash_of_the_layout() {
    let node = Running::start(1);
    let layout = layout(&[&node.address], ALONE);
    run(async {
        let answer = get(&pool(2), &node, Call::Has(id_of(b""))).await;
        assert_eq!(answer.layout, Some(layout.hash()));
    });
}

#[test]
fn what_is_here_and_what_is_not_is_said() {
    let node = Running::start(1);
    let synced = view(&layout(&[&node.address], ALONE), node_id(1), &[]).synced_to();
    assert!(synced.is_some());
    run(async {
        let pool = pool(2);
        let id = put(&pool, &node, &png(4)).await;
        let said = async |call| call::read_presence(get(&pool, &node, call).await.metadata());
        assert_eq!(said(Call::Has(id)).await, LookupReply::Present);
        assert_eq!(said(Call::Receipt(id, 0)).await, LookupReply::Present);
        let none = id_of(b"none");
        for call in [Call::Has(none), Call::Receipt(none, 0), Call::Image(none), Call::Head(none)] {
            assert_eq!(said(call).await, LookupReply::Absent(synced));
        }
        assert_eq!(get(&pool, &node, Call::Image(none)).await.status, call::LACKED);
    });
}

#[test]
fn a_receipt_for_a_damaged_copy_is_refused_and_it_is_set_aside() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        let id = put(&pool, &node, &png(4)).await;
        std::fs::write(node.store.image(&id, Format::Png), b"damaged").unwrap();
        let said = call::read_presence(get(&pool, &node, Call::Receipt(id, 0)).await.metadata());
        assert_eq!(said, LookupReply::Unknown);
        // The next no is one of a node that had a copy, and proves nothing.
        let mut said = LookupReply::Unknown;
        while said == LookupReply::Unknown {
            said = call::read_presence(get(&pool, &node, Call::Receipt(id, 0)).await.metadata());
        }
        assert_eq!(said, LookupReply::Absent(None));
    });
}

#[test]
fn a_variant_is_made_where_it_is_asked_for_and_found_the_second_time() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        let id = put(&pool, &node, &png(40)).await;
        let recipe = format!("v{ENCODER_VERSION},jpg,10w,q82,bg-ffffff");
        let call =
            Call::Variant(VariantCall { id, recipe, dimension_max: 8192, requester: Requester::Background });
        let first = get(&pool, &node, call.clone()).await;
        assert_eq!((first.status, first.bytes.starts_with(b"\xff\xd8")), (call::GIVEN, true));
        assert_eq!(StoredMetadata::parse(first.metadata()).unwrap().uploaded, uploaded());
        assert_eq!(get(&pool, &node, call).await.bytes, first.bytes);
        let lacking = VariantCall {
            id: id_of(b"none"),
            recipe: format!("v{ENCODER_VERSION},png,9w"),
            dimension_max: 10,
            requester: Requester::Background,
        };
        let answer = get(&pool, &node, Call::Variant(lacking.clone())).await;
        assert_eq!(answer.status, call::LACKED);
        let strange = VariantCall { recipe: format!("v{},png,9w", ENCODER_VERSION + 1), ..lacking };
        assert_ne!(get(&pool, &node, Call::Variant(strange)).await.status, call::LACKED);
    });
}

#[test]
fn messages_reach_control_with_their_sender() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        let body = Outgoing::Bytes(Bytes::from_static(b"hello"));
        assert_eq!(ask(&pool, &node, Call::Gossip, body).await.unwrap().status, call::GIVEN);
    });
    let message = node.receivers.gossip.recv().unwrap();
    assert_eq!((message.from, &*message.bytes), (node_id(2), &b"hello"[..]));
}

#[test]
fn an_image_says_the_same_about_itself_as_to_a_client() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        let id = put(&pool, &node, &png(4)).await;
        let answer = get(&pool, &node, Call::Info(id)).await;
        let info: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
        assert_eq!((&info["width"], &info["color"]), (&4.into(), &"rgb8".into()));
    });
}

#[test]
fn bytes_that_are_not_the_announced_image_are_unproven_and_leave_nothing() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        let (right, wrong) = (png(4), png(5));
        let copy = Copy { id: id_of(&right), uploaded: uploaded(), misplaced: false, live: 0 };
        let answer = ask(&pool, &node, Call::Copy(copy), image(copy.id, wrong.clone())).await;
        assert!(matches!(answer, Err(PeerError::Refused(_))), "{answer:?}");
        let other = Copy { id: id_of(&wrong), ..copy };
        let answer = ask(&pool, &node, Call::Copy(other), image(copy.id, right)).await;
        assert!(matches!(answer, Err(PeerError::Refused(_))), "{answer:?}");
        for id in [copy.id, other.id] {
            assert_eq!(get(&pool, &node, Call::Has(id)).await.status, call::GIVEN);
            assert!(!node.store.image(&id, Format::Png).exists());
        }
    });
}

#[test]
fn other_clusters_and_secrets_learn_why_and_nothing_else() {
    let node = Running::start(1);
    run(async {
        for (identity, cause) in [
            (identity_of(2, "two", &["secret"]), AuthError::Cluster),
            (identity_of(2, "one", &["other"]), AuthError::Proof),
        ] {
            let pool = Pool::new(identity);
            let answer = ask(&pool, &node, Call::Has(id_of(b"")), Outgoing::empty()).await;
            assert_eq!(answer.unwrap_err(), PeerError::Refused(Some(cause)));
        }
    });
}

#[test]
fn another_node_at_the_address_is_noticed_and_nobody_there_too() {
    let node = Running::start(1);
    run(async {
        let pool = pool(2);
        let request = || PeerRequest::new(Call::Has(id_of(b"")), hash());
        let to = Address { node: Some(node_id(9)), ..node.address.clone() };
        let error = pool.ask(&to, request(), SOON).await.unwrap_err();
        assert_eq!(error, PeerError::OtherNode(node_id(1)));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let to = address(1, closed);
        assert_eq!(pool.ask(&to, request(), SOON).await.unwrap_err(), PeerError::Unreachable);
    });
}

#[test]
fn a_connection_that_was_closed_while_idle_is_replaced() {
    let first = Running::start(1);
    let pool = pool(2);
    let at: SocketAddr = first.address.url.as_str().trim_start_matches("http://").parse().unwrap();
    run(async {
        get(&pool, &first, Call::Has(id_of(b""))).await;
        drop(first);
        // Another process at the same address, as after a restart.
        let second = Running::start_at(1, at);
        get(&pool, &second, Call::Has(id_of(b""))).await;
    });
}

#[test]
fn long_answers_that_nobody_reads_keep_no_question_from_being_asked_and_are_bounded() {
    let one = Running::start(1);
    let pool = pool(2);
    run(async {
        let id = put(&pool, &one, &png(8)).await;
        let open = async || {
            let request = PeerRequest::new(Call::Image(id), hash());
            pool.open(&one.address, request, SOON).await.unwrap().body
        };
        let mut unread = Vec::new();
        loop {
            let mut body = open().await;
            if !body.stand_aside() {
                break;
            }
            unread.push(body);
            assert!(unread.len() < 1_000, "there is no bound");
        }
        assert!(unread.len() > 16, "{} are fewer than the questions that may be asked at once", unread.len());
        assert_eq!(get(&pool, &one, Call::Has(id)).await.status, call::GIVEN);
    });
}

#[test]
fn a_silent_node_costs_no_more_than_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = address(1, silent.local_addr().unwrap());
    run(async {
        let request = PeerRequest::new(Call::Has(id_of(b"")), hash());
        let error = pool(2).ask(&to, request, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error, PeerError::Late);
    });
}

/// One connection's bytes, and what came back until it was closed. The last request must end it: a client that closes its
/// own side is taken for one that has left.
fn raw(node: &Running, bytes: &str) -> String {
    let mut stream = TcpStream::connect(node.address.url.as_str().trim_start_matches("http://")).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Passes one connection on to `node`, both ways, and puts `to` in the place of `from` wherever that comes by; what
/// its client said, once both have ended.
fn meddled(
    node: &Running,
    from: &'static str,
    to: &'static str,
) -> (Address, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = address(1, listener.local_addr().unwrap());
    let at = node.address.url.as_str().trim_start_matches("http://").to_owned();
    let passing = std::thread::spawn(move || {
        let (client, server) = (listener.accept().unwrap().0, TcpStream::connect(at).unwrap());
        let ends = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let back = std::thread::spawn(move || pass(ends.0, ends.1, from, to));
        let heard = pass(client, server, from, to);
        back.join().unwrap();
        heard
    });
    (address, passing)
}

fn pass(mut from: TcpStream, mut to: TcpStream, old: &str, new: &str) -> Vec<u8> {
    let (mut heard, mut piece) = (Vec::new(), [0; 1 << 16]);
    while let Ok(count @ 1..) = from.read(&mut piece) {
        heard.extend_from_slice(&piece[..count]);
        let found = piece[..count].windows(old.len().max(1)).position(|window| window == old.as_bytes());
        if let Some(at) = found {
            piece[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
    heard
}

#[test]
fn whatever_is_changed_on_the_way_is_not_believed() {
    let node = Running::start(1);
    let bytes = png(4);
    run(async {
        let id = put(&pool(2), &node, &bytes).await;
        let message = || Outgoing::Bytes(Bytes::from_static(b"one letter"));
        for (from, to, call, body) in [
            // The body of an answer, which its id proves, and one which its digest proves.
            ("IEND", "IENE", Call::Image(id), Outgoing::empty()),
            ("rgb8", "rgb9", Call::Info(id), Outgoing::empty()),
            // Its status, and what it says beside the body.
            (" 200 OK", " 404 OK", Call::Has(id), Outgoing::empty()),
            ("says=yes", "says=not", Call::Has(id), Outgoing::empty()),
            // A question's line and body.
            ("/v1/has/", "/v1/hat/", Call::Has(id), Outgoing::empty()),
            ("one letter", "two letter", Call::Gossip, message()),
        ] {
            let (address, _passing) = meddled(&node, from, to);
            let answer = pool(2).ask(&address, PeerRequest { call, layout: hash(), body }, SOON).await;
            let unbelieved = matches!(answer, Err(PeerError::Untrusted(_) | PeerError::Refused(_)));
            assert!(unbelieved, "{from}: {answer:?}");
        }
    });
    assert!(node.receivers.gossip.is_empty());
}

#[test]
fn a_connection_that_is_played_again_is_401_throughout() {
    let node = Running::start(1);
    let (to, passing) = meddled(&node, "\0", "");
    run(async {
        let pool = pool(2);
        let body = Outgoing::Bytes(Bytes::from_static(b"hello"));
        for _ in 0..2 {
            let request = PeerRequest { call: Call::Gossip, layout: hash(), body: body.clone() };
            assert_eq!(pool.ask(&to, request, SOON).await.unwrap().status, call::GIVEN);
        }
    });
    let heard = String::from_utf8(passing.join().unwrap()).unwrap();
    assert_eq!(node.receivers.gossip.drain().count(), 2);
    let answer = raw(&node, &format!("{heard}GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert!(answer.matches("HTTP/1.1 401 ").count() >= 2 && !answer.contains("HTTP/1.1 2"), "{answer}");
    assert!(node.receivers.gossip.is_empty());
}

#[test]
fn strangers_get_401_for_known_and_unknown_routes_alike() {
    let node = Running::start(1);
    for line in [
        "GET /cluster/v1/has/da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "GET /cluster/v1/image/da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "PUT /cluster/v1/image/da39a3ee5e6b4b0d3255bfef95601890afd80709?uploaded=1",
        "POST /cluster/v1/gossip",
        "POST /cluster/v1/hello",
        "OPTIONS /cluster/v1/gossip",
        "DELETE /cluster/none",
        "GET /cluster",
    ] {
        for headers in [
            "",
            "reticulum-hello: 1 x\r\n",
            "reticulum-proof: 1 b0 00\r\n",
            "origin: http://x\r\naccess-control-request-method: GET\r\n",
        ] {
            let request = format!(
                "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n{headers}\r\nabc"
            );
            let answer = raw(&node, &request);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{line} {headers}: {answer}");
            assert!(answer.contains("application/problem+json"), "{answer}");
            assert!(!answer.contains("reticulum-"), "{answer}");
        }
    }
    assert!(node.receivers.gossip.is_empty());
}

/// Sends a handshake on a connection of its own; what came back, up to the end of the head.
fn say_hello(to: &Running) -> (TcpStream, String) {
    let (_, hello) = crate::peer::auth::ClientHandshake::new(identity(2), crate::peer::auth::nonce());
    let (name, target) = (crate::peer::auth::HANDSHAKE_HEADER, call::HANDSHAKE_TARGET);
    let mut stream = TcpStream::connect(to.socket_address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{name}: {hello}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    (stream, answer)
}

#[test]
fn a_hello_that_no_proof_follows_holds_its_connection_for_seconds_only() {
    let node = Running::start(1);
    let (mut stream, answer) = say_hello(&node);
    assert!(
        answer.starts_with("http/1.1 401 ") && answer.contains(crate::peer::auth::HANDSHAKE_HEADER),
        "{answer}"
    );
    assert!(!answer.contains("connection: close"), "a challenge is no refusal: {answer}");
    let begin = std::time::Instant::now();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it ends before the patience of this test does");
    assert!(begin.elapsed() < SOON && rest.len() < 4096, "{:?}", begin.elapsed());
    // A second one is a refusal.
    let (mut stream, _) = say_hello(&node);
    stream.write_all(b"GET /cluster/v1/gossip HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let begin = std::time::Instant::now();
    stream.read_to_end(&mut rest).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(String::from_utf8_lossy(&rest).to_lowercase().contains("connection: close"));
}

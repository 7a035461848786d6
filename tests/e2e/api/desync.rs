//! Requests that come in pieces and behind each other: whose bytes are whose.
//!
//! The answers on one connection, however its bytes are cut, are those that each request gets on a connection of its own,
//! up to the first that ends the connection.

use crate::support::client::{Answer, Connection, Request, chunked};
use crate::support::harness::{Node, sha1, wait_until};
use crate::support::nginx::Nginx;
use crate::support::pictures::jpeg;

/// A node with an image whose URL the fast path answers.
fn node() -> (Node, String, Vec<u8>) {
    let node = Node::plain();
    let bytes = jpeg(60, 40, 1);
    let hot = format!("/image/{}/full/x.jpg", node.upload(&bytes));
    for _ in 0..4 {
        assert_eq!(node.get(&hot).expect(200).body, bytes);
    }
    // Once a variant is made, the node learns in the background what the image looks like, and tells it from then on.
    let id = sha1(&bytes);
    node.get(&format!("/image/{id}/30w/x.png")).expect(200);
    wait_until("the image to be known", || node.get(&format!("/info/{id}")).json()["thumbhash"].is_string());
    (node, hot, bytes)
}

/// Returns when the node has read what was sent to it before: it has one shard, which takes events in their order.
fn settle(barrier: &mut Connection) {
    for _ in 0..2 {
        barrier.ask(&Request::get("/healthz")).expect(200);
    }
}

#[test]
fn answers_no_hit_inside_of_a_head_that_is_half_read() {
    let (node, hot, bytes) = node();
    let mut barrier = node.connect();
    let id = sha1(&bytes);
    let (mut connection, hot) = (node.connect(), format!("GET {hot} HTTP/1.1\r\nHost: a\r\n\r\n"));
    // The hit stands in the value of a header of the second request.
    let first =
        [&Request::get("/healthz").head()[..], format!("GET /info/{id} HTTP/1.1\r\nX: ").as_bytes()].concat();
    connection.send(&first);
    assert_eq!(connection.answer().expect(200).body, b"ok\n");
    settle(&mut barrier);
    connection.send(hot.as_bytes());
    assert_eq!(connection.answer().expect(200).json()["hash"], id.as_str());
    // And here in its body.
    let head = format!("POST /image HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", hot.len());
    connection.send(&[&Request::get("/healthz").head()[..], head.as_bytes()].concat());
    assert_eq!(connection.answer().expect(200).body, b"ok\n");
    settle(&mut barrier);
    connection.send(hot.as_bytes());
    connection.answer().problem(415);
    connection.expect_closed();
}

#[test]
fn looks_at_the_head_of_each_request_that_came_behind_another() {
    let (node, ..) = node();
    let both =
        "POST /image HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let plain = [
        Request::new("POST", "/image").header("Transfer-Encoding", "chunked").head(),
        chunked(&jpeg(40, 30, 2), 4096),
    ]
    .concat();
    for before in [1, 2] {
        let mut connection = node.connect();
        connection.send(&[&plain.repeat(before)[..], both.as_bytes()].concat());
        for _ in 0..before {
            connection.answer().expect(200);
        }
        connection.answer().problem(400);
        connection.expect_closed();
    }
}

/// What an answer says, without what differs from one moment to the next.
fn essence(answer: &Answer) -> (u16, Vec<u8>, Option<String>) {
    (answer.status, answer.body.clone(), answer.header("etag").map(str::to_owned))
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// The requests that are mixed, and whether an answer has no body.
fn pool(hot: &str, id: &str) -> Vec<(Vec<u8>, bool)> {
    let get = |target: &str| Request::get(target).head();
    let hit = get(hot);
    let with_body = |request: Request, body: &[u8]| [request.body(body).head(), body.to_vec()].concat();
    let chunks = |body: &[u8]| {
        [Request::new("POST", "/image").header("Transfer-Encoding", "chunked").head(), chunked(body, 97)]
            .concat()
    };
    let image = jpeg(40, 30, 2);
    let raw = |text: &str| text.as_bytes().to_vec();
    let many = "A: b\r\n".repeat(120);
    let mut pool = vec![
        (hit.clone(), false),
        (Request::get(hot).header("If-None-Match", "*").head(), true),
        (get(&format!("/image/{id}/30w/x.png")), false),
        (get(&format!("/info/{id}")), false),
        (get("/image/0123456789012345678901234567890123456789/full/x.jpg"), false),
        (get("/nope"), false),
        (Request::new("HEAD", hot).head(), true),
        (with_body(Request::new("POST", "/image"), &image), false),
        (with_body(Request::new("POST", "/image"), &hit), false),
        (chunks(&image), false),
        (chunks(&hit), false),
        (with_body(Request::get(hot), &hit), false),
        (raw("NO REQUEST\r\n\r\n"), false),
        (raw("\r\n\r\nGET /healthz HTTP/1.1\nHost: a\n\n"), false),
        (raw(&format!("GET {hot} HTTP/1.1\r\n\r\n")), false),
        (raw(&format!("GET {hot} HTTP/1.1\r\nHost: a\r\n{many}\r\n")), false),
        (get("/cluster/v1/gossip"), false),
        (Request::new("POST", "/image").header("Transfer-Encoding", "gzip").head(), false),
    ];
    for both in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: 4\r\nContent-Length: 5"]
    {
        pool.push((raw(&format!("POST /image HTTP/1.1\r\nHost: a\r\n{both}\r\n\r\n0\r\n\r\n")), false));
    }
    pool
}

fn read(connection: &mut Connection, is_head: bool) -> Answer {
    if is_head { connection.answer_without_body() } else { connection.answer() }
}

/// Numbers that look random, the same for the same seed.
struct Lots(u64);

impl Lots {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// Sends some of `pool` in pieces on one connection and compares with what each gets alone.
fn mix(node: &Node, pool: &[(Vec<u8>, bool)], alone: &[(Answer, bool)], seed: u64) {
    let mut lots = Lots(seed);
    let (kept, ending): (Vec<_>, Vec<_>) = (0..pool.len()).partition(|pick| !alone[*pick].1);
    let mut picks: Vec<_> = (0..lots.draw(6)).map(|_| kept[lots.draw(kept.len())]).collect();
    picks.push(lots.draw(pool.len()));
    picks.push(ending[lots.draw(ending.len())]);
    let bytes: Vec<_> = picks.iter().flat_map(|pick| pool[*pick].0.iter().copied()).collect();
    let mut cuts: Vec<_> = (0..lots.draw(8)).map(|_| lots.draw(bytes.len())).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let (mut connection, mut barrier) = (node.connect(), node.connect());
    for cut in cuts.windows(2) {
        // It may have been refused already.
        if connection.try_send(&bytes[cut[0]..cut[1]]).is_err() {
            break;
        }
        settle(&mut barrier);
    }
    for (place, pick) in picks.iter().enumerate() {
        let (expected, is_last) = &alone[*pick];
        let got = read(&mut connection, pool[*pick].1);
        assert_eq!(
            essence(&got),
            essence(expected),
            "seed {seed}, request {place} of {picks:?} cut at {cuts:?}"
        );
        if *is_last {
            break;
        }
    }
    let rest = connection.read_until_closed();
    assert!(rest.is_empty(), "seed {seed}, {picks:?} cut at {cuts:?}: {:?}", String::from_utf8_lossy(&rest));
}

#[test]
fn any_requests_in_any_pieces_get_the_answers_that_each_gets_alone() {
    let (node, hot, bytes) = node();
    let pool = pool(&hot, &sha1(&bytes));
    let ask = |(bytes, is_head): &(Vec<u8>, bool)| {
        let mut connection = node.connect();
        connection.send(bytes);
        let answer = read(&mut connection, *is_head);
        let is_last = closes(&answer);
        (answer, is_last)
    };
    // The first upload of an image may be told otherwise than the next, so all are asked twice.
    pool.iter().for_each(|request| drop(ask(request)));
    let alone: Vec<_> = pool.iter().map(ask).collect();
    assert!(alone.iter().filter(|(_, is_last)| *is_last).count() >= 6, "some end the connection");
    let begin = std::env::var("RETICULUM_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = begin.map_or(0..150, |seed: u64| seed..seed + 1);
    for seed in seeds {
        mix(&node, &pool, &alone, seed);
    }
}

#[test]
fn no_client_of_a_proxy_changes_anothers_answer() {
    let (node, hot, bytes) = node();
    let unbuffered = "proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         proxy_request_buffering off; proxy_buffering off;";
    let Some(nginx) = Nginx::start(&node, unbuffered) else { return };
    let id = sha1(&bytes);
    let (other, info) = (format!("/image/{id}/30w/x.png"), format!("/info/{id}"));
    let expected = [&other, &info, &hot].map(|target| essence(&node.get(target).expect(200)));
    let pool = pool(&hot, &id);
    let mut lots = Lots(1);
    let mut victim = nginx.connect();
    // Fewer requests than nginx takes on one connection, a thousand.
    for round in 0..150 {
        let mut attacker = nginx.connect();
        let picks: Vec<_> = (0..4).map(|_| lots.draw(pool.len())).collect();
        let poison: Vec<_> = picks.iter().flat_map(|pick| pool[*pick].0.iter().copied()).collect();
        let cut = lots.draw(poison.len());
        let _refused_already = attacker.try_send(&poison[..cut]);
        for (target, expected) in [&other, &info, &hot].into_iter().zip(&expected) {
            let got = essence(&victim.ask(&Request::get(target)));
            assert_eq!(got, *expected, "round {round}: {target} after {picks:?} cut at {cut}");
        }
        let _refused_already = attacker.try_send(&poison[cut..]);
        let got = essence(&victim.ask(&Request::get(&info)));
        assert_eq!(got, expected[1], "round {round} after {picks:?}");
    }
}

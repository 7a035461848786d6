//! What arrives on the socket and is no honest request: smuggling, oversize, silence, tricks with paths.

use std::time::Duration;

use crate::support::client::{Answer, Connection, Request};
use crate::support::harness::{Node, at_once, sha1};
use crate::support::pictures::jpeg;

/// Sends these bytes; the answer, after which the server must close.
#[track_caller]
fn answered_and_closed(node: &Node, bytes: &[u8]) -> Answer {
    let mut connection = node.connect();
    connection.send(bytes);
    let answer = connection.answer();
    connection.expect_closed();
    answer
}

#[test]
fn two_lengths_that_differ_are_400_and_close() {
    let node = Node::plain();
    for headers in ["Content-Length: 4\r\nContent-Length: 5", "Content-Length: 4, 5"] {
        let text =
            format!("POST /image HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
        answered_and_closed(&node, text.as_bytes()).problem(400);
    }
    node.expect_nothing_stored();
}

#[test]
fn a_length_with_a_transfer_encoding_is_400_and_close() {
    let node = Node::plain();
    let (length, encoding) = ("Content-Length: 4", "Transfer-Encoding: chunked");
    for (first, second) in [(length, encoding), (encoding, length)] {
        for method in ["POST /image", "GET /healthz"] {
            let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
            let text = format!("{method} HTTP/1.1\r\nHost: a\r\n{first}\r\n{second}\r\n\r\n{smuggled}");
            answered_and_closed(&node, text.as_bytes()).problem(400);
        }
    }
    node.expect_nothing_stored();
}

#[test]
fn a_transfer_encoding_that_is_not_chunked_is_refused() {
    let node = Node::plain();
    for coding in ["gzip", "chunked, gzip", "gzip, chunked", "identity", "xchunked"] {
        let text = format!("POST /image HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        answered_and_closed(&node, text.as_bytes()).problem(501);
    }
    node.expect_nothing_stored();
}

#[test]
fn a_request_without_a_host_or_with_two_is_refused() {
    let node = Node::plain();
    let hot = format!("/image/{}/full/x.jpg", node.upload(&jpeg(60, 40, 1)));
    for target in ["/healthz", &hot] {
        for _ in 0..4 {
            node.get(target).expect(200);
        }
        for hosts in [
            "",
            "Host: a\r\nHost: b\r\n",
            "Host: a\r\nHost: a\r\n",
            "Host: a, b\r\n",
            "Host: \r\n",
            "Host: a/b\r\n",
        ] {
            let text = format!("GET {target} HTTP/1.1\r\n{hosts}\r\n");
            let detail = answered_and_closed(&node, text.as_bytes()).problem(400);
            assert!(detail.contains("Host"), "{detail}");
        }
        // HTTP/1.0 knows none.
        let mut connection = node.connect();
        connection.send(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes());
        assert!(connection.read_until_closed().starts_with(b"HTTP/1.0 200"));
    }
}

#[test]
fn a_client_that_sends_nothing_more_gets_its_answer() {
    let node = Node::plain();
    let id = node.upload(&jpeg(1500, 1000, 1));
    let cold: Vec<_> = (0..5).map(|number| format!("/image/{id}/{}w/x.jpg", 700 + number)).collect();
    let full = format!("/image/{id}/full/x.jpg");
    for target in cold.iter().map(String::as_str).chain(["/healthz", &full, &full, &full, &full]) {
        let mut connection = node.connect();
        connection.send(&Request::get(target).head());
        connection.finish();
        let answer = connection.answer().expect(200);
        assert!(!answer.body.is_empty());
        connection.expect_closed();
    }
    let mut connection = node.connect();
    connection.send(&[Request::get(&full).head(), Request::get(&cold[0]).head()].concat());
    connection.finish();
    connection.answer().expect(200);
    connection.answer().expect(200);
    connection.expect_closed();
}

#[test]
fn work_for_a_client_that_has_closed_is_dropped() {
    let node = Node::plain();
    let id = node.upload(&crate::support::pictures::Picture::corners(2000, 1500, 1).jpeg());
    let resizes = |outcome| node.metric(&format!("reticulum_resizes_total{{outcome=\"{outcome}\"}}"));
    let is_dropped = || resizes("cancelled") >= 1.0;
    let mut width = 1000;
    // However quick the worker, some round finds one waiting.
    for _ in 0..20 {
        let made = resizes("ok");
        let mut clients: Vec<_> = (0..12).map(|_| node.connect()).collect();
        for client in &mut clients {
            width += 1;
            client.send(&Request::get(&format!("/image/{id}/{width}w/x.png")).head());
        }
        // A request of a client that closes before it is read is no work at all.
        crate::support::harness::wait_until("work to begin", || {
            node.metric("reticulum_resize_queue") >= 1.0 || resizes("ok") > made
        });
        drop(clients);
        if is_dropped() {
            break;
        }
    }
    crate::support::harness::wait_until("work to be dropped", is_dropped);
}

#[test]
fn what_is_no_request_is_refused_and_closed() {
    let node = Node::plain();
    for text in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03hello over TLS\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /image/\0/300w/x.jpg HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nBad\0Name: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nName : b\r\n\r\n",
        b"POST /image HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /image HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    ] {
        let answer = answered_and_closed(&node, text);
        answer.problem(400);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(answer.header("date").is_some_and(|date| httpdate::parse_http_date(date).is_ok()));
    }
    let counted = node.metric("reticulum_http_requests_total{route=\"other\",status=\"400\"}");
    assert_eq!(counted, 9.0);
}

#[test]
fn what_is_no_request_behind_an_answered_one_is_refused_after_its_answer() {
    let node = Node::plain();
    let bytes = crate::support::pictures::large_png(1);
    let large = format!("/image/{}/full/x.png", node.upload(&bytes));
    let refused = |mut connection: Connection| {
        connection.answer().problem(400);
        connection.expect_closed();
    };
    for target in ["/healthz", "/nope", &large] {
        let mut connection = node.connect();
        connection.narrow();
        connection.send(&[&Request::get(target).head()[..], b"NO REQUEST\r\n\r\n"].concat());
        let answer = connection.answer();
        assert!(target != large || answer.body == bytes, "other bytes");
        refused(connection);
        let mut connection = node.connect();
        connection.ask(&Request::get(target));
        connection.send(b"NO REQUEST\r\n\r\n");
        refused(connection);
    }
}

#[test]
fn a_refusal_of_our_own_is_not_written_over() {
    let node = Node::plain();
    let mut connection = node.connect();
    // The answer's status is one that hyper gives too.
    for _ in 0..2 {
        let detail = connection.ask(&Request::get("/image/abc/full/x.jpg")).problem(400);
        assert!(detail.contains("40 hex digits"), "{detail}");
    }
}

#[test]
fn a_head_that_is_too_long_or_has_too_many_headers_is_431() {
    let node = Node::plain();
    let long = format!("More: {}\r\n", "x".repeat(200_000));
    let most = "A: b\r\n".repeat(99);
    for (lines, status) in [(long, 431), (most.clone() + "A: b\r\n", 431), (most, 200)] {
        let text = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut connection = node.connect();
        connection.send(text.as_bytes());
        let answer = connection.answer().expect(status);
        if status == 431 {
            answer.problem(431);
            connection.expect_closed();
        }
    }
}

#[test]
fn a_broken_chunk_is_refused_and_leaves_nothing() {
    let node = Node::plain();
    for body in ["zz\r\nabc\r\n", "ffffffffffffffffff\r\nabc", "-1\r\nabc\r\n", "3\r\nabcdef\r\n"] {
        let mut connection = node.connect();
        connection.send(&Request::new("POST", "/image").header("Transfer-Encoding", "chunked").head());
        connection.send(body.as_bytes());
        let raw = connection.read_until_closed();
        assert!(
            raw.is_empty() || raw.starts_with(b"HTTP/1.1 4"),
            "{body:?}: {:?}",
            String::from_utf8_lossy(&raw)
        );
    }
    node.expect_nothing_stored();
}

#[test]
fn two_megabytes_of_header_are_431_or_closed() {
    let node = Node::plain();
    // One header line, or many: in both the server must stop reading long before the end.
    for line in ["x".repeat(2 << 20), "x\r\nMore: ".repeat(200_000)] {
        let text = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nMore: {line}\r\n\r\n");
        let mut connection = node.connect();
        let _cut_short = connection.try_send(text.as_bytes());
        let raw = connection.read_until_closed();
        assert!(raw.is_empty() || raw.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&raw));
    }
    node.get("/healthz").expect(200);
    assert!(node.rss_peak() < 512 << 20, "{} bytes", node.rss_peak());
}

#[test]
fn a_header_that_does_not_end_is_closed() {
    let node = Node::with_config("[limits]\nheader_timeout = \"1s\"\n");
    for begin in ["", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: a\r\n"] {
        let mut connection = node.connect();
        connection.send(begin.as_bytes());
        let raw = connection.read_until_closed();
        assert!(raw.is_empty() || raw.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&raw));
    }
}

#[test]
fn a_header_that_trickles_is_closed_too() {
    let node = Node::with_config("[limits]\nheader_timeout = \"1s\"\n");
    let mut connection = node.connect();
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nSlow: ");
    let raw = connection.trickle_until_closed(b'x', Duration::from_millis(100));
    assert!(raw.is_empty() || raw.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&raw));
}

#[test]
fn a_second_header_that_trickles_is_closed_too() {
    let node = Node::with_config("[limits]\nheader_timeout = \"1s\"\n");
    let mut connection = node.connect();
    connection.ask(&Request::get("/healthz")).expect(200);
    connection.send(b"GET /healthz HTTP/1.1\r\nSlow: ");
    let raw = connection.trickle_until_closed(b'x', Duration::from_millis(100));
    assert!(raw.is_empty() || raw.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&raw));
}

#[test]
fn slow_clients_harm_no_one_else() {
    let node = Node::plain();
    let mut slow: Vec<Connection> = (0..200).map(|_| node.connect()).collect();
    for connection in &mut slow {
        connection.send(b"GET /healthz HTTP/1.1\r\nSlow: ");
    }
    let statuses = at_once(8, |_| node.get("/healthz").status);
    assert_eq!(statuses, [200; 8]);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let node = Node::with_config("[limits]\nidle_timeout = \"1s\"\n");
    let mut connection = node.connect();
    connection.ask(&Request::get("/healthz")).expect(200);
    connection.expect_closed();
}

#[test]
fn connection_close_is_obeyed() {
    let node = Node::plain();
    let mut connection = node.connect();
    let answer = connection.ask(&Request::get("/healthz").header("Connection", "close")).expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    connection.expect_closed();
}

#[test]
fn paths_lead_nowhere_but_to_images() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    let (first, second) = (&id[..2], &id[2..4]);
    for target in [
        "/image/..%2f..%2f..%2fetc%2fpasswd/full/x.jpg".to_owned(),
        "/image/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/../../../../etc/passwd".to_owned(),
        "/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        format!("/store/{first}/{second}/{id}.jpg"),
        format!("/image/{id}%00/full/x.jpg"),
        format!("/image/{id}/full%00/x.jpg"),
        format!("/image/{id}/..%2f..%2ffull/x.jpg"),
        format!("/image/%2e%2e%2f{id}/full/x.jpg"),
        format!("/info/..%2f{id}"),
        format!("/image//{id}/full/x.jpg"),
        format!("/image/{id}//x.jpg"),
    ] {
        let answer = node.get(&target);
        assert!((400..500).contains(&answer.status), "{target}: {answer:?}");
        answer.problem(answer.status);
    }
}

#[test]
fn a_path_of_twenty_kilobytes_is_refused() {
    let node = Node::plain();
    let long = "a".repeat(20_000);
    let id = sha1(b"anything");
    for target in
        [format!("/{long}"), format!("/image/{long}/full/x.jpg"), format!("/image/{id}/{long}/x.jpg")]
    {
        let answer = node.get(&target);
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert!(
            answer.body.len() < 4096,
            "an answer must not repeat what it refuses: {} bytes",
            answer.body.len()
        );
    }
}

#[test]
fn an_absolute_target_is_read_as_its_path() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    let target = format!("http://127.0.0.1:{}/image/{id}/full/x.jpg", node.port());
    node.get(&target).expect(200);
}

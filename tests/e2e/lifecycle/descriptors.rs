//! A node with few file descriptors: it sheds what it cannot do, and does the rest.

use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::client::{Connection, Request};
use crate::support::harness::{Node, Options, at_once, put, wait_until};
use crate::support::pictures::{jpeg, large_png};

#[test]
fn fault_32_sheds_with_503_when_descriptors_are_used_up_and_hits_go_on() {
    let begin = Instant::now();
    let node = Node::start(Options { descriptors: Some(256), ..Options::default() });
    assert_eq!(node.log().matches("limits.connections").count(), 1, "{}", node.log());
    let hot = format!("/image/{}/full/x.jpg", node.upload(&jpeg(60, 40, 1)));
    let large = format!("/image/{}/full/x.png", node.upload(&large_png(1)));
    let mut regular = node.connect();
    for _ in 0..4 {
        regular.ask(&Request::get(&hot)).expect(200);
    }
    // Each holds a socket, and most a file that is sent to nobody who reads.
    let mut crowd = Vec::new();
    for _ in 0..300 {
        let mut client = node.connect();
        client.narrow();
        client.send(&Request::get(&large).head().repeat(4));
        crowd.push(client);
    }
    // Whatever is asked on a connection that is served, the answer is one or 503.
    let mut statuses = Vec::new();
    for number in 0..200 {
        regular.ask(&Request::get(&hot)).expect(200);
        let id = number % 7;
        for request in [
            Request::get(&format!("{}/{}w/x.png", &large[..47], 20 + number)),
            Request::get(&large.replace("full", &format!("{}w", 40 + id))),
            put(&jpeg(40, 30, number)),
        ] {
            let answer = regular.ask(&request);
            if answer.status == 503 {
                answer.retry_after();
            }
            statuses.push(answer.status);
            if answer.header("connection") == Some("close") {
                break;
            }
        }
        if statuses.len() > 60 {
            break;
        }
    }
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}\n{}", node.log());
    assert!(!node.log().contains("Disk failure"));
    drop(crowd);
    wait_until("an upload to be taken again", || {
        Connection::try_open(node.port())
            .and_then(|mut connection| connection.try_ask(&put(&jpeg(40, 30, 999))))
            .is_ok_and(|answer| answer.status == 200)
    });
    let seconds = begin.elapsed().as_secs() as usize;
    // The last one with its consequence: errors of the cache end in the same words.
    let warnings =
        ["all connections are in use", "cannot take a connection", "no file descriptor is left, so requests"];
    for line in warnings {
        assert!(node.log().matches(line).count() <= seconds + 2, "{line}: {}", node.log());
    }
    let all = at_once(20, |_| node.get(&hot).status);
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
}

#[test]
fn without_a_free_descriptor_the_answer_is_503_and_what_is_in_memory_is_given() {
    let node = Node::plain();
    let id = node.upload(&jpeg(60, 40, 1));
    let cold = format!("/image/{}/full/x.jpg", node.upload(&jpeg(50, 40, 2)));
    let hot = format!("/image/{id}/full/x.jpg");
    let mut client = node.connect();
    for _ in 0..4 {
        client.ask(&Request::get(&hot)).expect(200);
    }
    limit_descriptors(&node, Some(8));
    client.ask(&Request::get(&hot)).expect(200);
    for request in [
        Request::get(&cold),
        Request::get(&cold.replace("full", "20w")),
        Request::get(&format!("/image/{id}/30w/x.png")),
        put(&jpeg(40, 30, 3)),
    ] {
        let answer = client.ask(&request);
        answer.problem(503);
        answer.retry_after();
        if answer.header("connection") == Some("close") {
            limit_descriptors(&node, None);
            client = node.connect();
            client.ask(&Request::get("/healthz")).expect(200);
            limit_descriptors(&node, Some(8));
        }
    }
    limit_descriptors(&node, None);
    client.ask(&Request::get(&cold)).expect(200);
    client.ask(&Request::get(&cold.replace("full", "20w"))).expect(200);
    node.ask(&put(&jpeg(40, 30, 3))).expect(200);
    assert!(!node.log().contains("Disk failure"), "{}", node.log());
    node.get("/readyz").expect(200);
}

/// Sets how many descriptors a running node may have; `None`: as many as this process could have. Those that are open
/// stay open.
fn limit_descriptors(node: &Node, current: Option<u64>) {
    let process = Pid::from_raw(node.process().try_into().expect("a number"));
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: current.or(maximum), maximum };
    prlimit(process, Resource::Nofile, limit).expect("a limit that may be set");
}

//! Crowds that take what others need: places of nodes, slots of uploads, the node's patience.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::{Connection, Form, Request};
use crate::support::harness::{Node, free_port, put, wait_until, wait_until_within};
use crate::support::nodes::{Cluster, alive, member, status};
use crate::support::pictures::{jpeg, large_png};

#[test]
fn a_refusal_below_cluster_ends_the_connection() {
    let node = Node::plain();
    for target in ["/cluster/v1/gossip", "/cluster/nope"] {
        let mut connection = node.connect();
        let answer = connection.ask(&Request::get(target));
        answer.problem(401);
        assert_eq!(answer.header("connection"), Some("close"));
        connection.expect_closed();
    }
}

#[test]
fn a_restarted_peer_is_heard_while_a_crowd_speaks_as_nodes_do() {
    let ports = [free_port(), free_port()];
    let mut options = [member(0, ports[0], None), member(1, ports[1], Some(ports[0]))];
    options[0].config += "[limits]\nconnections = 40\n";
    let mut cluster = Cluster::with(options);
    cluster.nodes[1].kill9();
    let is_over = AtomicBool::new(false);
    let crowd = |number: usize| {
        let said: &[&[u8]] = &[
            b"GET /cluster/v1/gossip HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /cluster/v1/hello HTTP/1.1\r\nHost: a\r\n",
            b"GET /cluster/",
        ];
        while !is_over.load(Ordering::Relaxed) {
            let Ok(mut connection) = Connection::try_open(ports[0]) else { continue };
            let _refused = connection.try_send(said[number % said.len()]);
            while !is_over.load(Ordering::Relaxed) {
                if connection.is_closed_within(Duration::from_millis(50)) {
                    break;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let end = End(&is_over);
        for number in 0..60 {
            scope.spawn({
                let crowd = &crowd;
                move || crowd(number)
            });
        }
        // The crowd has every place.
        wait_until("all places to be taken", || {
            cluster.nodes[0].log().contains("all connections are in use")
        });
        let begin = Instant::now();
        cluster.nodes[1].restart_unready();
        wait_until_within(Duration::from_secs(30), "the peer to see the other", || {
            alive(&status(&cluster.nodes[1])).len() == 2
        });
        let lines = cluster.nodes[0].log().matches("all connections are in use").count() as u64;
        assert!(lines <= begin.elapsed().as_secs() + 60, "{lines} lines");
        drop(end);
    });
    cluster.wait_until_whole();
}

/// Ends a crowd also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn slow_forms_do_not_hold_the_slots_of_uploads() {
    let node = Node::plain();
    let body = Form::default().file("image", "a.jpg", &jpeg(60, 40, 1)).bytes();
    let request =
        node.with_operator_key(Form::announce().header("Content-Length", &body.len().to_string())).head();
    let begin_form = || {
        let mut connection = node.connect();
        connection.send(&request);
        connection.send(&body[..200]);
        connection
    };
    let mut slow: Vec<_> = (0..64).map(|_| begin_form()).collect();
    let upload = || node.ask(&put(&jpeg(40, 30, 2))).status;
    wait_until("all slots to be taken", || {
        let is_refused = upload() == 503;
        if !is_refused {
            // It had a slot itself, and a form may have been refused for it.
            slow.push(begin_form());
        }
        is_refused
    });
    let is_over = AtomicBool::new(false);
    let (begin, pace) = (Instant::now(), Duration::from_secs(1));
    std::thread::scope(|scope| {
        let end = End(&is_over);
        scope.spawn(|| {
            // A byte now and then to each that has no answer yet.
            for byte in &body[200..] {
                for connection in slow.iter_mut().filter(|connection| !connection.has_received()) {
                    connection.send(&[*byte]);
                }
                let due = Instant::now() + pace;
                wait_until("the next byte to be due", || {
                    Instant::now() >= due || is_over.load(Ordering::Relaxed)
                });
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        wait_until_within(Duration::from_secs(60), "an upload to be taken", || upload() == 200);
        drop(end);
    });
    assert!(begin.elapsed() > Duration::from_secs(5), "they are given some time");
    let statuses: Vec<_> = slow.iter_mut().map(|connection| connection.answer().status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 408).count(), 64, "{statuses:?}");
    assert!(statuses.iter().all(|status| [408, 503].contains(status)), "{statuses:?}");
}

#[test]
fn fault_16_a_reader_slower_than_the_least_rate_is_ended_and_a_quicker_one_is_not() {
    let node = Node::with_config("[limits]\nbyte_rate_min = \"200kB\"\n");
    // Larger than what kernels keep for both ends.
    let url = format!("/image/{}/full/x.png", node.upload(&large_png(1)));
    let bytes = node.get(&url).expect(200).body;
    let mut slow = node.connect();
    slow.narrow();
    slow.send(&Request::get(&url).head().repeat(16));
    let begin = Instant::now();
    let mut taken = 0;
    let is_ended = || {
        // 64 KiB twice a second would be 128 kB/s.
        let due = begin.elapsed().as_millis() as usize * 128;
        if taken < due {
            taken += 64 << 10;
            return !slow.sip(64 << 10);
        }
        false
    };
    wait_until_within(Duration::from_secs(60), "the slow reader to be ended", is_ended);
    assert!(taken < 16 * bytes.len(), "it was served to the end");
    let mut quick = node.connect();
    quick.send(&Request::get(&url).head().repeat(4));
    for _ in 0..4 {
        assert!(quick.answer().expect(200).body == bytes);
    }
}

//! One client asks for more than can be made: it harms itself, and no other.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::support::client::{Answer, Connection, Request};
use crate::support::harness::{Node, Options, at_once, free_port, put, sha1, wait_until};
use crate::support::nodes::{Cluster, member_with};
use crate::support::pictures::{Picture, jpeg};

const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const QUIET: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Requests of the flooder at once: more than can wait and be made.
const CROWD: usize = 24;

/// A refused request may be followed by another one late, on a machine that has much to do.
const LIMITS: &str = "resize_queue = 4\nidle_timeout = \"1h\"\n";

/// One client: the address that it connects from, and what a proxy or itself adds to its requests.
type Client = (Ipv4Addr, fn(Request) -> Request);

/// From an address of its own.
fn from(address: Ipv4Addr, node: &Node, request: &Request) -> Answer {
    Connection::open_from(address, node.port()).ask(request)
}

/// A new variant of this image with every call.
fn cold(id: &str) -> Request {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Request::get(&format!("/image/{id}/{}w{}h,stretch/x.jpg", 300 + number / 300, 200 + number % 300))
}

fn large() -> Vec<u8> {
    Picture::corners(900, 600, 1).jpeg()
}

/// A client that always has more requests under way than the node takes.
#[derive(Default)]
struct Flood {
    is_over: AtomicBool,
    refused: AtomicUsize,
    /// Answers with a picture so far. A request that was refused is followed by another one when this changes, for
    /// until then there is no room, and requests in vain would only keep the node's core from its work.
    served: Mutex<usize>,
    changed: Condvar,
}

impl Flood {
    fn ask(&self, mut ask: impl FnMut() -> Answer) {
        while !self.is_over.load(Ordering::Relaxed) {
            let before = *self.served.lock().expect("no panic");
            let answer = ask();
            let mut served = self.served.lock().expect("no panic");
            if answer.status == 200 {
                *served += 1;
                self.changed.notify_all();
                continue;
            }
            answer.problem(503);
            answer.retry_after();
            self.refused.fetch_add(1, Ordering::Relaxed);
            while *served == before && !self.is_over.load(Ordering::Relaxed) {
                served = self.changed.wait(served).expect("no panic");
            }
        }
    }
}

/// Ends a flood, also when the test fails.
struct End<'a>(&'a Flood);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Held, so that nobody looks before and waits after.
        let _served = self.0.served.lock();
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

/// One client asks without end; from the first time that it is refused on, ten requests of the other are all
/// answered, however long that takes.
fn expect_quiet_is_served(node: &Node, id: &str, flooder: Client, quiet: Client) {
    let flood = Flood::default();
    // Few connections for all requests: each that is closed keeps a port from other tests for a minute.
    let open = |(address, _): Client| Connection::open_from(address, node.port());
    std::thread::scope(|scope| {
        let _end = End(&flood);
        for _ in 0..CROWD {
            scope.spawn(|| {
                let mut connection = open(flooder);
                flood.ask(|| connection.ask(&flooder.1(cold(id))));
            });
        }
        wait_until("the flooder to be refused", || flood.refused.load(Ordering::Relaxed) > 0);
        let mut connection = open(quiet);
        for _ in 0..10 {
            connection.ask(&quiet.1(cold(id))).expect(200);
        }
    });
}

fn node(shards: usize, limits: &str) -> Node {
    let config = format!("[limits]\n{limits}");
    Node::start(Options { shards, config, ..Options::default() })
}

#[test]
fn a_client_that_floods_the_queue_is_refused_and_the_quiet_one_never() {
    let node = node(1, LIMITS);
    let id = node.upload(&large());
    expect_quiet_is_served(&node, &id, (FLOODER, |request| request), (QUIET, |request| request));
    wait_until("the queue to be empty", || node.metric("reticulum_resize_queue") == 0.0);
}

/// An address that is another one with every call.
fn forged() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("10.9.{}.{}", number / 200 % 200, number % 200)
}

fn forwarded(request: Request, client: &str) -> Request {
    request.header("X-Forwarded-For", client)
}

#[test]
fn clients_behind_a_trusted_proxy_are_told_apart_by_what_it_forwards() {
    let node = node(1, &format!("{LIMITS}trusted_proxies = [\"loopback\"]\n"));
    let id = node.upload(&large());
    // It writes what it likes; the proxy appends the address that it sees.
    let flooder = |request| forwarded(request, &format!("{}, 203.0.113.7", forged()));
    let quiet = |request| forwarded(request, "203.0.113.8");
    expect_quiet_is_served(&node, &id, (Ipv4Addr::LOCALHOST, flooder), (Ipv4Addr::LOCALHOST, quiet));
}

#[test]
fn without_a_trusted_proxy_a_forged_address_changes_nothing() {
    let node = node(1, LIMITS);
    let id = node.upload(&large());
    let flooder = |request| forwarded(request, &forged());
    let quiet = |request| forwarded(request, "10.9.0.1");
    expect_quiet_is_served(&node, &id, (FLOODER, flooder), (QUIET, quiet));
}

#[test]
fn a_client_that_floods_one_node_with_what_another_owns_harms_only_itself() {
    let first = free_port();
    let ports = [first, free_port()];
    let options = (0..2).map(|number| {
        let join = (number > 0).then_some(first);
        member_with(number, ports[number], join, &format!("replication = 1\n[limits]\n{LIMITS}"))
    });
    let cluster = Cluster::with(options);
    let is_anothers = |bytes: &Vec<u8>| cluster.owners(&sha1(bytes)) == [1];
    let bytes = (1..).map(|seed| Picture::corners(900, 600, seed).jpeg()).find(is_anothers);
    let id = cluster.nodes[0].upload(&bytes.expect("owners differ"));
    expect_quiet_is_served(&cluster.nodes[0], &id, (FLOODER, |request| request), (QUIET, |request| request));
}

/// How many of `count` requests at once were answered 200; the rest must be 429.
fn let_through(count: usize, ask: impl Fn(usize) -> Answer + Sync) -> usize {
    let answers = at_once(count, ask);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(429);
        let seconds: u64 = answer.expect_header("retry-after").parse().expect("whole seconds");
        assert!((1..=11).contains(&seconds), "{seconds}");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[test]
fn a_client_over_its_cold_rate_is_429_and_its_hits_and_others_are_not() {
    let node = node(2, "cold_rate = 1\n");
    let ids: Vec<_> = (0..4).map(|seed| node.upload(&jpeg(200, 150, seed))).collect();
    let begin = Instant::now();
    let target =
        |number: usize| Request::get(&format!("/image/{}/{}w/x.png", ids[number % 4], 20 + number / 4));
    let through = let_through(60, |number| from(FLOODER, &node, &target(number)));
    // Ten at once, over all shards, and one more with each second.
    let most = 11 + begin.elapsed().as_secs() as usize;
    assert!((10..=most).contains(&through), "{through} of at most {most}");
    let made = (0..60).filter(|number| {
        let answer = from(FLOODER, &node, &target(*number));
        ["memory", "disk"].contains(&answer.header("x-cache").unwrap_or_default())
    });
    assert!(made.count() >= through, "a hit costs nothing");
    (60..65).for_each(|number| drop(from(QUIET, &node, &target(number)).expect(200)));
    from(FLOODER, &node, &Request::get(&format!("/image/{}/full/x.jpg", ids[0]))).expect(200);
}

#[test]
fn a_client_over_its_upload_rate_is_429_before_its_body_is_read_and_others_are_not() {
    let node = node(2, "upload_rate = 1\n");
    let begin = Instant::now();
    let through = let_through(60, |number| from(FLOODER, &node, &put(&jpeg(16, 16, number as u32))));
    let most = 11 + begin.elapsed().as_secs() as usize;
    assert!((10..=most).contains(&through), "{through} of at most {most}");
    node.upload(&jpeg(16, 16, 99));
    let kept = node.upload(&jpeg(16, 16, 98));
    from(FLOODER, &node, &Request::get(&format!("/image/{kept}/8w/x.jpg"))).expect(200);
}

#[test]
fn uploads_without_a_right_key_use_up_nobodys_rate() {
    let key = "an-upload-key-of-the-tests";
    let node =
        Node::with_config(&format!("[limits]\nupload_rate = 1\n[access]\nupload_keys = [\"{key}\"]\n"));
    let with = |key: &str| put(&jpeg(16, 16, 1)).header("Authorization", &format!("Bearer {key}"));
    // As behind a proxy that nobody named: strangers and the one who has a key come from one address.
    for _ in 0..20 {
        node.ask(&put(&jpeg(16, 16, 1))).problem(403);
        node.ask(&with("another-key-of-the-tests")).problem(403);
    }
    node.ask(&with(key)).expect(200);
}

#[test]
fn a_client_that_leaves_frees_its_place_while_another_job_still_runs() {
    let node = &node(1, "resize_queue = 1\n");
    let id = node.upload(&large());
    let under_way = || node.metric("reticulum_resize_queue");
    // However quick the node, some round sees it before the slow one ends.
    let was_seen = (0..10).any(|round| {
        std::thread::scope(|scope| {
            let slow = format!("/image/{id}/{}w/x.avif", 800 + round);
            let slow = scope.spawn(move || node.get(&slow).expect(200));
            wait_until("the slow job", || under_way() == 1.0 || slow.is_finished());
            let mut leaving = node.connect();
            leaving.send(&cold(&id).head());
            wait_until("a job that waits", || under_way() == 2.0 || slow.is_finished());
            drop(leaving);
            wait_until("its place to be free", || under_way() <= 1.0);
            !slow.is_finished()
        })
    });
    assert!(was_seen, "a job that nobody waits for keeps its place until the one before it ends");
}

//! Members come and go while images are stored: copies move to their new owners, and readers notice nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::client::Request;
use crate::support::harness::{at_once, free_port, put, run, sha1};
use crate::support::nodes::{Cluster, member_with};
use crate::support::pictures::jpeg;

/// Time for a change to come to rest: copies go 15 s after the layout has settled, and 5 s after their last receipt.
const AT_REST: Duration = Duration::from_secs(150);

/// Reads images through these nodes until the work is done. Panics unless every read succeeds, byte by byte.
fn while_reading<T>(cluster: &Cluster, nodes: &[usize], images: &[Vec<u8>], work: impl FnOnce() -> T) -> T {
    let (is_over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let read = |number: usize| {
        let mut connection = cluster.nodes[number].connect();
        for bytes in images.iter().cycle().skip(number) {
            let path = format!("/image/{}/full/a.jpg", sha1(bytes));
            let answer = connection.ask(&Request::get(&path)).expect(200);
            assert!(answer.body == *bytes, "node {number} gives other bytes for {path}");
            reads.fetch_add(1, Ordering::SeqCst);
            // Behind the read: work that is over at once is read through as well.
            if is_over.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    let done = std::thread::scope(|scope| {
        let readers: Vec<_> = nodes.iter().map(|number| scope.spawn(move || read(*number))).collect();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader whose reads all succeed"));
        done
    });
    assert!(reads.load(Ordering::SeqCst) > 0);
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

#[track_caller]
fn command(cluster: &Cluster, arguments: &[&str]) {
    let url = format!("http://127.0.0.1:{}", cluster.nodes[0].port());
    let finished = run(&[arguments, &["--node", &url]].concat());
    assert_eq!(finished.code, Some(0), "{arguments:?}: {}", finished.stderr);
}

#[test]
fn fault_25_copies_follow_joins_drains_and_removals_and_every_read_succeeds() {
    let first = free_port();
    let options = |number: usize| {
        let port = if number == 0 { first } else { free_port() };
        member_with(number, port, (number > 0).then_some(first), "replication = 2\n")
    };
    let mut cluster = Cluster::with((0..3).map(options));
    let images: Vec<_> = (0..60).map(|seed| jpeg(32, 24, seed)).collect();
    at_once(3, |thread| {
        let mut connection = cluster.nodes[thread].connect();
        images.iter().skip(thread).step_by(3).for_each(|bytes| {
            connection.ask(&put(bytes)).expect(200);
        });
    });
    cluster.wait_until_at_rest(&images, AT_REST);
    // A node joins and gets its share; nobody keeps a copy too many.
    cluster.add(options(3));
    while_reading(&cluster, &[0, 1, 2], &images, || {
        cluster.wait_until_whole_within(AT_REST);
        cluster.wait_until_at_rest(&images, AT_REST);
    });
    let share = |cluster: &Cluster, number| {
        images.iter().filter(|bytes| cluster.holders(&sha1(bytes)).contains(&number)).count()
    };
    assert!(share(&cluster, 3) >= 15, "{}", share(&cluster, 3));
    cluster.expect_readable_everywhere(&images);
    // One is drained: it ends empty.
    while_reading(&cluster, &[0, 2, 3], &images, || {
        command(&cluster, &["drain", "n1"]);
        cluster.wait_until_at_rest(&images, AT_REST);
    });
    assert_eq!(share(&cluster, 1), 0);
    command(&cluster, &["activate", "n1"]);
    cluster.wait_until_at_rest(&images, AT_REST);
    // One is lost with its disk, and removed: its copies are made again.
    cluster.lose_last();
    command(&cluster, &["remove", "n3"]);
    cluster.wait_until_whole_within(AT_REST);
    while_reading(&cluster, &[0, 1, 2], &images, || cluster.wait_until_at_rest(&images, AT_REST));
    cluster.expect_readable_everywhere(&images);
    // The number of copies is changed up and down.
    for copies in ["3", "2"] {
        command(&cluster, &["set", "cluster", &format!("replication={copies}"), "--yes"]);
        while_reading(&cluster, &[0, 1, 2], &images, || cluster.wait_until_at_rest(&images, AT_REST));
    }
}

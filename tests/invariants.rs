//! A broken invariant ends the process with a line that names it, also where a panic would be caught.
//!
//! Each test runs this binary again as a child, which breaks one invariant on purpose.

use std::os::unix::process::ExitStatusExt;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use log::LevelFilter;
use reticulum::cluster::layout::{Copies, Layout, LayoutHash, NewNode};
use reticulum::cluster::node::{Label, NodeId, NodeUrl, Weight};
use reticulum::cluster::protocol::repair::{OwnVerified, Repair, RepairOutcome};
use reticulum::cluster::protocol::write::{Upload, Write, WriteOutcome};
use reticulum::cluster::protocol::{Input, Machine};
use reticulum::cluster::time::Time;
use reticulum::cluster::view::{LocalState, View, Writes};
use reticulum::executor::run_blocking;
use reticulum::object::ObjectId;
use reticulum::peer::requester::Requester;
use reticulum::shard::mesh::Mesh;
use reticulum::shard::queue::FairQueue;
use reticulum::store::health::Health;
use reticulum::store::marker::MarkerInode;
use reticulum::store::path::StorePaths;
use reticulum::store::variants::Room;
use reticulum::telemetry::{invariant, log as telemetry_log};

/// Names the invariant that a child breaks.
const CASE: &str = "RETICULUM_TEST_BROKEN_INVARIANT";

/// The exit code of a child that is still there after its case: not one that a test binary ends with.
const SURVIVED: i32 = 42;

/// SIGABRT.
const ABORTED: i32 = 6;

fn this() -> NodeId {
    NodeId::from_bytes([1; 16])
}

fn layout() -> Layout {
    let about = NewNode {
        name: Label::parse("a").expect("a name"),
        url: NodeUrl::parse("http://127.0.0.1:1").expect("a URL"),
        zone: Label::parse("z").expect("a zone"),
        weight: Weight::new(100).expect("a weight"),
        writable: true,
    };
    Layout::found(this(), &about, Copies { replication: 1, min_replication: 1 })
}

fn view() -> View {
    let (this, since, writes) = (this(), Time::default(), Writes::Allowed);
    let (alive, known) = (Default::default(), Default::default());
    View::new(&layout(), LocalState { this, since, alive, known, writes, store: 0 })
}

/// A protocol machine hears of a copy that it never asked for.
fn copy_that_was_not_under_way() {
    let upload = Upload {
        id: ObjectId::from_digest([7; 20]),
        length: 1,
        is_known: false,
        record: Default::default(),
        started: Time::default(),
    };
    let outcome = WriteOutcome::Copied(this(), 0, Some(LayoutHash::default()));
    Write::new(upload).handle(Time::default(), &view(), Input::Outcome(outcome));
}

/// A shard is made without a mailbox of its own.
fn shard_without_a_mailbox() {
    let mailboxes = Mesh::mailboxes(1).into_iter().map(|(sender, _)| sender).collect();
    Mesh::new(1, mailboxes, Arc::default());
}

/// A shard gives way in a round that nobody has begun.
fn gave_way_unasked() {
    let place = MarkerInode { device: 0, inode: 0 };
    let health = Health::new(StorePaths::new(Path::new(".")), [0; 16], place, 0, Arc::default());
    health.gave_way(1, Room::default());
}

/// A copy is found right that nobody has begun to verify.
fn verified_before_it_was_looked_for() {
    let mut repair = Repair::new(ObjectId::from_digest([7; 20]), Time::default());
    let outcome = RepairOutcome::OwnVerified(OwnVerified::Right);
    repair.handle(Time::default(), &view(), Input::Outcome(outcome));
}

/// Two jobs come with one number.
fn two_jobs_of_one_number() {
    let mut queue = FairQueue::new(9);
    for job in ["one", "other"] {
        let _ = queue.push(1, Requester::Background, job);
    }
}

/// What any input may bring about, in a decoder for example.
fn ordinary_panic() {
    panic!("an ordinary panic");
}

type Case = (&'static str, fn());

/// Each with the words by which the log names its invariant.
const BROKEN: &[Case] = &[
    ("write: a copy that was not under way", copy_that_was_not_under_way),
    ("mesh: a shard has a mailbox of its own", shard_without_a_mailbox),
    ("health: no shard gives way before it is asked", gave_way_unasked),
    ("repair: only a copy that is verified can be found right or wrong", verified_before_it_was_looked_for),
    ("queue: every job has a number of its own", two_jobs_of_one_number),
];

const ORDINARY: Case = ("an ordinary panic", ordinary_panic);

/// Runs a case in a process of its own.
fn run(name: &str) -> Output {
    let binary = std::env::current_exe().expect("this binary");
    let mut child = Command::new(binary);
    child.args(["--exact", "child", "--nocapture"]).env(CASE, name);
    child.output().expect("a child")
}

/// No test by itself: the child's part of those below. Everything that catches panics in a node is around the case.
#[test]
fn child() {
    let Ok(name) = std::env::var(CASE) else { return };
    telemetry_log::start(LevelFilter::Info, telemetry_log::Form::Text);
    invariant::end_process_when_broken();
    let (_, case) = BROKEN.iter().chain([&ORDINARY]).find(|(known, _)| *known == name).expect("a case");
    let caught = catch_unwind(|| {
        let executor = glommio::LocalExecutorBuilder::default().io_memory(64 << 10).ring_depth(64);
        executor.make().expect("an executor").run(run_blocking("a case", case))
    });
    assert!(matches!(caught, Ok(Err(_))), "the case panics, and that is caught");
    std::process::exit(SURVIVED);
}

#[test]
fn a_broken_invariant_ends_the_process_with_a_line_that_names_it() {
    for (name, _) in BROKEN {
        let ended = run(name);
        let log = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.signal(), Some(ABORTED), "{name}: {log}");
        let line = log.lines().find(|line| line.contains("an invariant is broken, so the process ends"));
        let line = line.unwrap_or_else(|| panic!("{name}: no line says so in {log}"));
        assert!(line.contains(" ERROR ") && line.contains(&format!("broken={name} place=src/")), "{line}");
    }
}

#[test]
fn an_ordinary_panic_is_caught_and_the_process_goes_on() {
    let ended = run(ORDINARY.0);
    let log = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(SURVIVED), "{log}");
    assert!(log.contains("an ordinary panic") && !log.contains("an invariant is broken"), "{log}");
}

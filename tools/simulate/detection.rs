//! Measures the time until all members see that a node is down, and the bytes that this costs: membership alone, in
//! clusters of any size, without images.

use std::collections::BTreeMap;

use reticulum::cluster::core::{Action, Boot, ClusterSettings, Core, Input};
use reticulum::cluster::layout::{Copies, Layout, NewNode};
use reticulum::cluster::node::{Label, NodeId, NodeUrl, Weight};
use reticulum::cluster::random::Random;
use reticulum::cluster::time::Time;

/// Time before the first node ends, in milliseconds: all members know each other, and their rounds are out of phase.
const WARM_UP_MS: u64 = 20_000;

/// Time during which the bytes of the quiet cluster are counted, in milliseconds.
const QUIET_MS: u64 = 30_000;

/// Approximate bytes of a message beside its body: head, proof, TCP and IP.
const OVERHEAD_BYTES: u64 = 500;

/// Nodes that end, one after the other.
const KILLS: usize = 5;

/// The results of a measurement.
pub(crate) struct Detection {
    /// Milliseconds from the end of each node until the last member saw it down.
    pub(crate) all: Vec<u64>,
    /// Messages that one node sends per second in the quiet cluster.
    pub(crate) messages: f64,
    pub(crate) body_bytes: f64,
    /// Bytes with headers.
    pub(crate) bytes: f64,
}

/// The receiver, and the sender with the bytes of a message; `None` for a deadline.
type TimedMessage = (usize, Option<(NodeId, Vec<u8>)>);

struct QuietCluster {
    now: u64,
    random: Random,
    cores: Vec<Option<Core>>,
    urls: BTreeMap<NodeUrl, usize>,
    /// By time and order.
    events: BTreeMap<(u64, u64), TimedMessage>,
    event_count: u64,
    ticks: Vec<Option<u64>>,
    bytes: u64,
    messages: u64,
}

/// Runs a cluster of `count` nodes that know each other already, and ends some of them.
pub(crate) fn measure(count: usize, seed: u64) -> Detection {
    let mut cluster = QuietCluster::new(count, seed);
    cluster.run_to(WARM_UP_MS);
    (cluster.bytes, cluster.messages) = (0, 0);
    cluster.run_to(WARM_UP_MS + QUIET_MS);
    let per_node_second = |total: u64| total as f64 / (count as u64 * QUIET_MS / 1_000) as f64;
    let (messages, body_bytes) = (per_node_second(cluster.messages), per_node_second(cluster.bytes));
    let mut all = Vec::new();
    for victim in (0..count).rev().take(KILLS.min(count - 2)) {
        let pause = cluster.random.below(2_000);
        cluster.run_to(cluster.now + pause);
        let began = cluster.now;
        cluster.cores[victim] = None;
        while cluster.is_seen(victim) {
            cluster.run_to(cluster.now + 50);
        }
        all.push(cluster.now - began);
    }
    Detection { all, messages, body_bytes, bytes: body_bytes + messages * OVERHEAD_BYTES as f64 }
}

impl QuietCluster {
    fn new(count: usize, seed: u64) -> Self {
        let mut cluster = Self {
            now: 0,
            random: Random::from_seed(seed),
            cores: Vec::new(),
            urls: (0..count).map(|at| (about(at).url, at)).collect(),
            events: BTreeMap::new(),
            event_count: 0,
            ticks: vec![None; count],
            bytes: 0,
            messages: 0,
        };
        let layout = whole_layout(count);
        for at in 0..count {
            let settings = ClusterSettings {
                cluster: Label::parse("cluster").expect("a label"),
                about: about(at),
                copies: COPIES,
                join: vec![about(0).url],
            };
            let (instance, seed) = (cluster.random.next(), cluster.random.next());
            let layout = Some(layout.clone());
            let boot = Boot {
                this: id(at),
                generation: 1,
                instance,
                seed,
                layout,
                was_member: true,
                holds_images: false,
            };
            cluster.cores.push(Some(Core::new(settings, boot, Time::default())));
        }
        (0..count).for_each(|at| cluster.drain(at));
        cluster
    }

    /// Whether any node considers this one alive.
    fn is_seen(&self, victim: usize) -> bool {
        self.cores.iter().flatten().any(|core| core.view().is_alive(id(victim)))
    }

    fn push(&mut self, time: u64, to: usize, what: Option<(NodeId, Vec<u8>)>) {
        self.event_count += 1;
        self.events.insert((time, self.event_count), (to, what));
    }

    fn run_to(&mut self, end: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((time, _), (to, what)) = entry.remove_entry();
            self.now = time;
            if what.is_none() {
                self.ticks[to] = None;
            }
            if let Some(core) = &mut self.cores[to] {
                let input = match &what {
                    Some((from, bytes)) => Input::Message(*from, bytes),
                    None => Input::Tick,
                };
                core.handle(input, Time::from_millis(time));
                self.drain(to);
            }
        }
        self.now = end;
    }

    fn drain(&mut self, at: usize) {
        while let Some(action) = self.cores[at].as_mut().and_then(Core::poll) {
            match action {
                Action::Send { url, bytes, .. } => {
                    self.bytes += bytes.len() as u64;
                    self.messages += 1;
                    let delay = 1 + self.random.below(5);
                    if let Some(to) = self.urls.get(&url).copied() {
                        self.push(self.now + delay, to, Some((id(at), bytes)));
                    }
                }
                Action::Persist { sequence, .. } => {
                    let now = Time::from_millis(self.now);
                    let core = self.cores[at].as_mut().expect("the core that was polled");
                    core.handle(Input::Persisted(sequence), now);
                }
                Action::View(_) | Action::Event(_) | Action::Refuse(..) => {}
            }
        }
        let Some(core) = &self.cores[at] else { return };
        let due = core.next_deadline().millis().max(self.now);
        if self.ticks[at].is_none_or(|tick| due < tick) {
            self.ticks[at] = Some(due);
            self.push(due, at, None);
        }
    }
}

const COPIES: Copies = Copies { replication: 3, min_replication: 2 };

pub(crate) fn id(at: usize) -> NodeId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(at as u64 + 1).to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn about(at: usize) -> NewNode {
    NewNode {
        name: Label::parse(&format!("n{at}")).expect("a label"),
        url: NodeUrl::parse(&format!("http://10.0.{}.{}:8080", at / 250, at % 250)).expect("a URL"),
        zone: Label::parse(&format!("z{}", at % 3)).expect("a label"),
        weight: Weight::new(100).expect("a weight"),
        writable: true,
    }
}

/// The layout to which a cluster of `count` nodes converges.
pub(crate) fn whole_layout(count: usize) -> Layout {
    use reticulum::cluster::layout::{Edit, Role};
    let mut layout = Layout::found(id(0), &about(0), COPIES);
    for at in 1..count {
        for edit in [Edit::Join(id(at), about(at)), Edit::Role(id(at), Role::Active)] {
            layout.edit(id(0), &edit).expect("a new member");
        }
    }
    layout
}

//! Several nodes on loopback that are one cluster.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reticulum::cluster::layout::Layout;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::time::Time;
use reticulum::cluster::view::{LocalState, View, Writes};
use reticulum::object::ObjectId;
use reticulum::store::record;
use serde_json::Value;

use crate::support::client::{Connection, PATIENCE, Request};
use crate::support::harness::{Node, Options, at_once, free_port, sha1, wait_until_within};
use crate::support::links::Links;

/// A cluster; the first node has founded it.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// Who they are.
    ids: Vec<String>,
}

/// Options of node number `number`, which listens on `port` and joins the node that listens on `join`.
pub(crate) fn member(number: usize, port: u16, join: Option<u16>) -> Options {
    let join = join.map(|port| format!("\"http://127.0.0.1:{port}\"")).unwrap_or_default();
    Options {
        config: format!("[node]\nname = \"n{number}\"\n[cluster]\njoin = [{join}]\n"),
        port: Some(port),
        // Shown only when a test fails.
        variables: vec![("RETICULUM_LOG_LEVEL", "debug".into())],
        ..Options::default()
    }
}

/// The same, with more lines in the section of the cluster.
pub(crate) fn member_with(number: usize, port: u16, join: Option<u16>, cluster: &str) -> Options {
    let mut options = member(number, port, join);
    options.config += cluster;
    options
}

impl Cluster {
    /// So many nodes that all know each other and have settled on one layout.
    #[track_caller]
    pub(crate) fn start(count: usize) -> Self {
        let first = free_port();
        let port = |number| if number == 0 { first } else { free_port() };
        let join = |number| (number > 0).then_some(first);
        Self::with((0..count).map(|number| member(number, port(number), join(number))))
    }

    /// The same, but every two nodes talk by links that can be at fault. Tests still talk to the nodes themselves.
    #[track_caller]
    pub(crate) fn linked(count: usize) -> (Self, Links) {
        Self::linked_with(count, "")
    }

    /// The same, with more lines in the config, the first of them in the section of the cluster.
    #[track_caller]
    pub(crate) fn linked_with(count: usize, config: &str) -> (Self, Links) {
        let ports: Vec<_> = (0..count).map(|_| free_port()).collect();
        let links = Links::to(&ports);
        let cluster = Self::with((0..count).map(|number| {
            let join = (number > 0).then_some(links.port(0));
            let mut options = member_with(number, ports[number], join, config);
            let url = format!("http://127.0.0.1:{}", links.port(number));
            options.variables.push(("RETICULUM_NODE_URL", url));
            options
        }));
        links.know(cluster.ids.clone());
        (cluster, links)
    }

    /// Nodes with these options that have settled on one layout.
    #[track_caller]
    pub(crate) fn with(options: impl IntoIterator<Item = Options>) -> Self {
        let mut cluster =
            Self { nodes: options.into_iter().map(Node::start_unready).collect(), ids: Vec::new() };
        cluster.wait_until_whole();
        let id = |node: &Node| status(node)["node"].as_str().expect("an id").to_owned();
        cluster.ids = cluster.nodes.iter().map(id).collect();
        cluster
    }

    /// Starts one more node.
    #[track_caller]
    pub(crate) fn add(&mut self, options: Options) {
        let node = Node::start(options);
        self.ids.push(status(&node)["node"].as_str().expect("an id").to_owned());
        self.nodes.push(node);
    }

    /// Kills the last node, with its disk.
    pub(crate) fn lose_last(&mut self) {
        self.nodes.pop().expect("a node").kill9();
        self.ids.pop();
    }

    /// Numbers of the nodes that should hold an image, by the layout on the first node's disk.
    #[track_caller]
    pub(crate) fn owners(&self, id: &str) -> Vec<usize> {
        let layout = self.layout();
        let view = View::new(
            &layout,
            LocalState {
                this: NodeId::from_bytes([0; 16]),
                since: Time::default(),
                alive: BTreeSet::new(),
                known: BTreeSet::new(),
                writes: Writes::Allowed,
                store: 0,
            },
        );
        let number = |node: NodeId| self.ids.iter().position(|id| *id == node.to_string()).expect("a node");
        let mut owners: Vec<_> =
            view.owners(&ObjectId::parse(id).expect("an id")).into_iter().map(number).collect();
        owners.sort_unstable();
        owners
    }

    /// The layout on the first node's disk.
    fn layout(&self) -> Layout {
        let kept = record::read(&self.nodes[0].data().join("meta/layout")).expect("read the layout");
        Layout::decode(&kept.expect("a layout")).expect("a layout")
    }

    /// Numbers of the nodes on whose disk an image lies.
    pub(crate) fn holders(&self, id: &str) -> Vec<usize> {
        let holds = |number: &usize| self.nodes[*number].stored(id, "jpg").exists();
        (0..self.nodes.len()).filter(holds).collect()
    }

    /// Waits until the layout is settled, and each of these JPEGs lies on its owners and nowhere else.
    #[track_caller]
    pub(crate) fn wait_until_at_rest(&self, images: &[Vec<u8>], within: Duration) {
        let begin = Instant::now();
        wait_until_within(within, "the layout to settle", || self.layout().is_settled());
        for bytes in images {
            let (id, left) = (sha1(bytes), within.saturating_sub(begin.elapsed()));
            let owners = self.owners(&id);
            let what = format!("{id} to lie on its owners {owners:?} and not on {:?}", self.holders(&id));
            wait_until_within(left, &what, || self.holders(&id) == owners);
        }
    }

    /// Panics unless every node gives each of these JPEGs byte by byte.
    #[track_caller]
    pub(crate) fn expect_readable_everywhere(&self, images: &[Vec<u8>]) {
        at_once(self.nodes.len(), |number| {
            let mut connection = self.nodes[number].connect();
            for bytes in images {
                let path = format!("/image/{}/full/a.jpg", sha1(bytes));
                let answer = connection.ask(&Request::get(&path)).expect(200);
                assert!(answer.body == *bytes, "node {number} gives other bytes for {path}");
            }
        });
    }

    /// The sum of a metric over all nodes.
    #[track_caller]
    pub(crate) fn sum(&self, selector: &str) -> f64 {
        self.nodes.iter().map(|node| node.metric(selector)).sum()
    }

    /// Waits until every node sees all of them active and alive, and nothing has to be moved.
    #[track_caller]
    pub(crate) fn wait_until_whole(&self) {
        self.wait_until_whole_within(PATIENCE);
    }

    /// The same, where how long it takes is what was promised.
    #[track_caller]
    pub(crate) fn wait_until_whole_within(&self, within: Duration) {
        let begin = Instant::now();
        for node in &self.nodes {
            let left = within.saturating_sub(begin.elapsed());
            wait_until_within(left, "the cluster to be whole", || {
                let status = status(node);
                let is_settled = status["layout"]["settled"] == true;
                is_settled && alive(&status).len() == self.nodes.len()
            });
        }
    }
}

/// What a node says of the cluster; null while it says nothing.
pub(crate) fn status(node: &Node) -> Value {
    let request = node.with_operator_key(Request::get("/status.json"));
    let answer = Connection::try_open(node.port()).and_then(|mut connection| connection.try_ask(&request));
    answer.map(|answer| if answer.status == 200 { answer.json() } else { Value::Null }).unwrap_or_default()
}

/// The names of the active members that answer.
pub(crate) fn alive(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    let names = nodes.iter().filter(|node| node["state"] == "active" && node["alive"] == true);
    names.map(|node| node["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Why a node is not ready, as its operator hears it; empty when it is.
pub(crate) fn unready(node: &Node) -> String {
    let answer = node.operate("/readyz");
    if answer.status == 200 {
        return String::new();
    }
    let problem = answer.expect(503).json();
    problem["detail"].as_str().expect("a sentence").to_owned()
}

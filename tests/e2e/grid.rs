//! Several nodes on loopback that are one cluster.

use serde_json::Value;

use crate::client::{Connection, Request};
use crate::harness::{Node, Options, free_port, wait_until};

/// A cluster; the first node has founded it.
pub(crate) struct Grid {
    pub(crate) nodes: Vec<Node>,
}

/// Options of node number `number`, which listens on `port` and joins whoever listens on `join`.
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

impl Grid {
    /// So many nodes that all know each other and have settled on one layout.
    #[track_caller]
    pub(crate) fn start(count: usize) -> Self {
        let first = free_port();
        let port = |number| if number == 0 { first } else { free_port() };
        let join = |number| (number > 0).then_some(first);
        let options = (0..count).map(|number| member(number, port(number), join(number)));
        let grid = Self { nodes: options.map(Node::start_unready).collect() };
        grid.wait_until_whole();
        grid
    }

    /// Waits until every node sees all of them active and alive, and nothing has to be moved.
    #[track_caller]
    pub(crate) fn wait_until_whole(&self) {
        for node in &self.nodes {
            wait_until("the cluster to be whole", || {
                let status = status(node);
                let is_settled = status["layout"]["settled"] == true;
                is_settled && alive(&status).len() == self.nodes.len()
            });
        }
    }
}

/// What a node says of the cluster; null while it says nothing.
pub(crate) fn status(node: &Node) -> Value {
    let answer = Connection::try_open(node.port())
        .and_then(|mut connection| connection.try_ask(&Request::get("/status.json")));
    answer.map(|answer| if answer.status == 200 { answer.json() } else { Value::Null }).unwrap_or_default()
}

/// The names of the active members that answer.
pub(crate) fn alive(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    let names = nodes.iter().filter(|node| node["state"] == "active" && node["alive"] == true);
    names.map(|node| node["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Why a node is not ready; empty when it is.
pub(crate) fn unready(node: &Node) -> String {
    let answer = node.get("/readyz");
    if answer.status == 200 {
        return String::new();
    }
    let problem = answer.expect(503).json();
    problem["detail"].as_str().expect("a sentence").to_owned()
}

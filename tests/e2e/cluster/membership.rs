//! How nodes become a cluster and stay one.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::support::client::{Connection, Request};
use crate::support::harness::{Node, Options, free_port, put, run, wait_until};
use crate::support::nodes::{Cluster, alive, member, member_with, status, unready};
use crate::support::pictures::jpeg;

#[test]
fn nodes_that_join_are_active_in_the_eyes_of_all_and_what_each_says_reaches_all() {
    let cluster = Cluster::start(5);
    for node in &cluster.nodes {
        assert_eq!(unready(node), "");
        assert_eq!(node.metric("reticulum_members{state=\"active\"}"), 5.0);
        assert_eq!(node.metric("reticulum_members{state=\"joining\"}"), 0.0);
        wait_until("every node to have counted its images", || {
            let nodes = status(node)["nodes"].as_array().cloned().unwrap_or_default();
            nodes.iter().all(|node| node["images"] == 0 && node["bytes"] == 0 && node["version"].is_string())
        });
        let status = status(node);
        let shares: f64 =
            status["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["share"].as_f64()).sum();
        assert!((shares - 1.0).abs() < 0.01, "{status}");
        assert_eq!(status["layout"]["replication"], 3);
        assert_eq!(status["layout"]["min_replication"], 2);
        assert_eq!(status["warnings"].as_array().map(Vec::len), Some(0), "{status}");
    }
}

#[test]
fn a_node_that_has_to_join_takes_no_uploads_until_it_has() {
    let founder = free_port();
    let mut node = Node::start_unready(member(1, free_port(), Some(founder)));
    assert!(unready(&node).contains("not joined"), "{}", unready(&node));
    let problem = node.ask(&put(&jpeg(60, 40, 1))).expect(503).json();
    assert_eq!(problem["type"], "not-joined", "{problem}");
    node.expect_nothing_stored();
    let _founder = Node::start(member(0, founder, None));
    node.wait_until_ready();
}

#[test]
fn a_cluster_remembers_its_members_over_a_restart_of_all() {
    let mut cluster = Cluster::start(3);
    cluster.nodes.iter_mut().for_each(Node::kill9);
    // Alone, and ready at once: nobody has to be asked.
    cluster.nodes[1].restart();
    assert_eq!(status(&cluster.nodes[1])["nodes"].as_array().map(Vec::len), Some(3));
    cluster.nodes[0].restart();
    cluster.nodes[2].restart();
    cluster.wait_until_whole();
}

#[test]
fn a_killed_node_is_seen_down_by_all_and_seen_again_when_it_is_back() {
    let mut cluster = Cluster::start(4);
    cluster.nodes[2].kill9();
    for number in [0, 1, 3] {
        wait_until("the node to be seen down", || alive(&status(&cluster.nodes[number])).len() == 3);
        let status = status(&cluster.nodes[number]);
        let dead: Vec<_> =
            status["nodes"].as_array().expect("nodes").iter().filter(|node| node["alive"] == false).collect();
        // A dead member stays what it is to the layout.
        assert_eq!((dead.len(), &dead[0]["name"], &dead[0]["state"]), (1, &"n2".into(), &"active".into()));
        assert_eq!(unready(&cluster.nodes[number]), "");
    }
    cluster.nodes[2].restart();
    cluster.wait_until_whole();
}

#[test]
fn a_node_that_is_stopped_says_farewell() {
    let mut cluster = Cluster::start(3);
    assert_eq!(cluster.nodes[1].terminate(), Some(0));
    for number in [0, 2] {
        wait_until("the farewell", || alive(&status(&cluster.nodes[number])) != ["n0", "n1", "n2"]);
        wait_until("the farewell", || alive(&status(&cluster.nodes[number])).len() == 2);
    }
    cluster.nodes[1].restart();
    cluster.wait_until_whole();
}

#[test]
fn a_node_that_was_frozen_comes_back() {
    let cluster = Cluster::start(3);
    cluster.nodes[0].signal(Signal::STOP);
    wait_until("the node to be seen down", || alive(&status(&cluster.nodes[1])).len() == 2);
    cluster.nodes[0].signal(Signal::CONT);
    cluster.wait_until_whole();
}

#[test]
fn a_node_with_another_secret_is_refused_and_told_and_nothing_of_it_is_merged() {
    let first = free_port();
    let founder = Node::start(member_with(0, first, None, "secret = \"the-right-secret-of-all\"\n"));
    let stranger = Node::start_unready(member_with(
        1,
        free_port(),
        Some(first),
        "secret = \"the-wrong-secret-of-all\"\n",
    ));
    wait_until("the reason to be known", || unready(&stranger).contains("secret"));
    // The healthy side says where it comes from.
    wait_until("the warning", || {
        let line = "rejected a node whose cluster.secrets do not include ours";
        founder.log().lines().any(|logged| logged.contains(line) && logged.contains("address=127.0.0.1"))
    });
    assert!(stranger.log().contains("do not include ours"), "{}", stranger.log());
    assert_eq!(status(&founder)["nodes"].as_array().map(Vec::len), Some(1));
    assert_eq!(unready(&founder), "");
    let rotating = Node::start(member_with(
        2,
        free_port(),
        Some(first),
        "secrets = [\"the-right-secret-of-all\", \"the-next-secret-of-all\"]\n",
    ));
    assert_eq!(unready(&rotating), "");
}

#[test]
fn a_member_that_is_started_with_another_secret_is_not_ready_and_both_sides_say_why() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[2].kill9();
    let wrong = ("RETICULUM_CLUSTER_SECRET", "0123456789abcdef wrong".to_owned());
    cluster.nodes[2].options_mut().variables.push(wrong);
    cluster.nodes[2].restart_unready();
    wait_until("the reason to be known", || {
        let node = &cluster.nodes[2];
        Connection::try_open(node.port()).is_ok() && unready(node).contains("another secret")
    });
    wait_until("the error", || cluster.nodes[2].log().contains("its cluster.secrets do not include ours"));
    let line = "rejected a node whose cluster.secrets do not include ours";
    for node in &cluster.nodes[..2] {
        wait_until("the warning", || {
            node.log().lines().any(|logged| logged.contains(line) && logged.contains("address=127.0.0.1"))
        });
        assert_eq!(unready(node), "");
    }
    cluster.nodes[2].kill9();
    cluster.nodes[2].options_mut().variables.pop();
    cluster.nodes[2].restart();
    cluster.wait_until_whole();
}

#[test]
fn a_node_that_has_peers_does_not_start_without_a_secret() {
    let mut cluster = Cluster::start(2);
    assert_eq!(cluster.nodes[0].terminate(), Some(0));
    let file = cluster.nodes[0].data().parent().expect("a directory").join("reticulum.toml");
    let config = fs::read_to_string(&file).expect("the config");
    let without: String =
        config.lines().filter(|line| !line.starts_with("secret")).map(|line| format!("{line}\n")).collect();
    fs::write(&file, &without).expect("written");
    cluster.nodes[0].restart_unready();
    assert_eq!(cluster.nodes[0].wait_for_exit().code(), Some(1));
    assert!(cluster.nodes[0].log().contains("has peers but no cluster.secret"), "{}", cluster.nodes[0].log());
    fs::write(&file, &config).expect("written");
    cluster.nodes[0].restart();
    // Nor does a running one forget its own.
    fs::write(&file, &without).expect("written");
    cluster.nodes[0].signal(Signal::HUP);
    wait_until("the log", || cluster.nodes[0].log().contains("keeps its old"));
    cluster.wait_until_whole();
}

#[test]
fn operator_keys_that_differ_are_told_and_equal_ones_are_not_while_secrets_are_rotated() {
    let first = free_port();
    let secrets = |first: &str, second: &str| {
        format!("secrets = [\"the-{first}-secret-of-all\", \"the-{second}-secret-of-all\"]\n")
    };
    let nodes = [
        member_with(0, first, None, &secrets("old", "new")),
        member_with(1, free_port(), Some(first), &secrets("new", "old")),
        member_with(
            2,
            free_port(),
            Some(first),
            &(secrets("old", "new") + "[access]\noperator_key = \"another-operator-key\"\n"),
        ),
    ];
    let cluster = Cluster::with(nodes);
    let warnings = |node: &Node| status(node)["warnings"].to_string();
    for number in [0, 1] {
        let node = &cluster.nodes[number];
        wait_until("the difference to be told", || warnings(node).contains("n2 has another operator key"));
        assert!(!warnings(node).contains(&format!("n{} has", 1 - number)), "{}", warnings(node));
        assert!(node.log().contains("another operator key than this node"), "{}", node.log());
        assert!(!node.log().contains("another-operator-key"), "a key is in the log");
    }
    wait_until("both to be told", || {
        ["n0 has", "n1 has"].iter().all(|name| warnings(&cluster.nodes[2]).contains(name))
    });
}

#[test]
fn a_node_of_another_cluster_is_refused_and_told_and_nothing_of_it_is_merged() {
    let first = free_port();
    let founder = Node::start(member(0, first, None));
    let stranger = Node::start_unready(member_with(1, free_port(), Some(first), "name = \"other\"\n"));
    wait_until("the reason to be known", || unready(&stranger).contains("another cluster"));
    assert!(stranger.log().contains("cluster.name"), "{}", stranger.log());
    assert_eq!(status(&founder)["nodes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_name_that_another_member_has_is_refused_and_told() {
    let first = free_port();
    let founder = Node::start(member(0, first, None));
    let namesake = Node::start_unready(member(0, free_port(), Some(first)));
    wait_until("the reason to be known", || unready(&namesake).contains("holds its name"));
    namesake.ask(&put(&jpeg(60, 40, 1))).expect(503);
    assert_eq!(status(&founder)["nodes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn fault_19_two_live_nodes_with_one_id_both_take_no_uploads() {
    let mut cluster = Cluster::start(3);
    assert_eq!(cluster.nodes[1].terminate(), Some(0));
    let copied = tempfile::tempdir().expect("a directory");
    copy_directory(&cluster.nodes[1].data(), copied.path());
    cluster.nodes[1].restart();
    let options = member(1, free_port(), None);
    let copy = Node::start_unready(Options { data: Some(copied.path().to_owned()), ..options });
    for node in [&cluster.nodes[1], &copy] {
        wait_until("the clash to be seen", || unready(node).contains("has this node's id"));
        let problem = node.ask(&put(&jpeg(60, 40, 1))).expect(503).json();
        assert_eq!(problem["type"], "not-a-member", "{problem}");
    }
    assert_eq!(unready(&cluster.nodes[0]), "");
}

#[test]
fn a_data_directory_of_another_cluster_is_refused() {
    let mut node = Node::with_config("[cluster]\nname = \"a\"\n");
    assert_eq!(node.terminate(), Some(0));
    let data = node.data();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().expect("UTF-8")];
    let finished = run(&arguments);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("cluster.name") && finished.stderr.contains("\"a\""),
        "{}",
        finished.stderr
    );
    node.restart();
}

#[test]
fn a_damaged_layout_is_taken_anew_from_the_cluster_and_founds_no_other() {
    let mut cluster = Cluster::start(3);
    for number in [0, 2] {
        assert_eq!(cluster.nodes[number].terminate(), Some(0));
        let layout = cluster.nodes[number].data().join("meta/layout");
        let mut bytes = fs::read(&layout).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&layout, bytes).expect("write");
    }
    // The founder was told to join nobody.
    cluster.nodes[0].restart_unready();
    assert_eq!(cluster.nodes[0].wait_for_exit().code(), Some(1));
    assert!(cluster.nodes[0].log().contains("--join"), "{}", cluster.nodes[0].log());
    let join = format!("http://127.0.0.1:{}", cluster.nodes[1].port());
    cluster.nodes[0].options_mut().variables.push(("RETICULUM_CLUSTER_JOIN", join));
    cluster.nodes[0].restart();
    // The other asks the founder, which is back.
    cluster.nodes[2].restart();
    assert!(cluster.nodes[2].log().contains("is damaged"), "{}", cluster.nodes[2].log());
    cluster.wait_until_whole();
}

#[test]
fn status_and_layout_are_shown_as_tables() {
    let mut cluster = Cluster::start(3);
    let url = format!("http://127.0.0.1:{}", cluster.nodes[0].port());
    let shown = |arguments: &[&str]| {
        let finished = run(&[arguments, &["--node", &url]].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        String::from_utf8(finished.stdout).expect("UTF-8")
    };
    let text = shown(&["status"]);
    assert!(text.starts_with("NAME  ZONE     STATE"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("default  active ")).count(), 3, "{text}");
    wait_until("the repair debt to be known", || shown(&["status"]).contains("repair debt: 0"));
    let text = shown(&["layout"]);
    assert!(text.contains("replication 3, before an answer 2, settled, hash "), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("33.3 %")).count(), 3, "{text}");
    let json: serde_json::Value = serde_json::from_str(&shown(&["status", "--json"])).expect("JSON");
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(3));
    cluster.nodes[2].kill9();
    wait_until("the node to be seen down", || shown(&["status"]).contains("active, away"));
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a directory");
    for entry in fs::read_dir(from).expect("list") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

#[test]
fn a_configuration_that_is_changed_after_the_first_start_is_told_to_count_for_nothing() {
    let mut node = Node::start(member(0, free_port(), None));
    assert_eq!(status(&node)["warnings"].as_array().map(Vec::len), Some(0));
    let file = node.data().parent().expect("a directory").join("reticulum.toml");
    let config = fs::read_to_string(&file).expect("the config");
    fs::write(&file, config.replace("[node]", "[node]\nweight = 200\nzone = \"default\"")).expect("written");
    node.kill9();
    node.restart();
    wait_until("the warning", || {
        let warnings = status(&node)["warnings"].as_array().cloned().unwrap_or_default();
        warnings.len() == 1
            && warnings[0].as_str().is_some_and(|it| it.starts_with("node.weight is 200 in this"))
    });
    assert!(node.log().contains("node.weight is 200 in this node's configuration, but 100 in the layout"));
    assert_eq!(status(&node)["nodes"][0]["weight"], 100);
}

#[test]
fn fault_37_a_crowd_of_clients_leaves_room_for_other_nodes() {
    let first = free_port();
    let crowded = |number, port, join| {
        let mut options = member(number, port, join);
        options.config += "[limits]\nconnections = 16\n";
        options
    };
    let cluster = Cluster::with([crowded(0, first, None), member(1, free_port(), Some(first))]);
    let node = &cluster.nodes[0];
    let ask = |connection: &mut Connection| connection.ask(&Request::get("/healthz")).expect(200);
    let mut seated: Vec<Connection> = (0..12).map(|_| node.connect()).collect();
    seated.iter_mut().for_each(|connection| drop(ask(connection)));
    // Fewer than are kept: they wait.
    let mut waiting = node.connect();
    waiting.send(&Request::get("/healthz").head());
    seated.iter_mut().for_each(|connection| drop(ask(connection)));
    assert!(!waiting.has_received(), "a thirteenth client was served");
    drop(seated.pop());
    waiting.answer().expect(200);
    // As many as there are places, and more: some are sent away, so that others are heard.
    let mut crowd: Vec<Connection> = (0..8).map(|_| node.connect()).collect();
    crowd.iter_mut().for_each(|client| client.send(&Request::get("/healthz").head()));
    // One may get the place of a connection that has just ended; another is sent away.
    let mut served = Vec::new();
    let answer = loop {
        wait_until("one to be answered", || crowd.iter().any(Connection::has_received));
        let at = crowd.iter().position(Connection::has_received).expect("one was");
        let answer = crowd[at].answer();
        if answer.status != 200 {
            break answer;
        }
        served.push(crowd.remove(at));
    };
    assert_eq!(answer.expect(503).json()["type"], "busy");
    // Images pass between the nodes all the while, over connections that are opened now.
    let id = cluster.nodes[1].upload(&jpeg(60, 40, 9));
    assert!(node.stored(&id, "jpg").exists(), "a copy reached the crowded node");
}

#[test]
fn a_member_that_makes_other_variants_is_named_where_operators_look_and_both_stay_ready() {
    let ports = [free_port(), free_port()];
    let mut other = member(1, ports[1], Some(ports[0]));
    other.config += "[images.quality]\njpeg = 50\n";
    let cluster = Cluster::with([member(0, ports[0], None), other]);
    for (node, name) in cluster.nodes.iter().zip(["n1", "n0"]) {
        let note = format!("note: {name} has another [images] section");
        wait_until("the note", || {
            let answer = node.get("/readyz").expect(200);
            String::from_utf8_lossy(&answer.body).contains(&note)
        });
        assert!(status(node)["warnings"].to_string().contains(&note["note: ".len()..]));
        assert!(node.log().contains("another [images] section"), "{}", node.log());
    }
}

#[test]
fn the_status_says_how_many_images_lack_a_copy_until_they_have_it() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[2].kill9();
    for number in 0..3 {
        cluster.nodes[0].ask(&put(&jpeg(60, 40, number))).expect(200);
    }
    wait_until("the debt", || status(&cluster.nodes[1])["repair_debt"] == 3);
    cluster.nodes[2].restart();
    cluster.wait_until_whole();
    wait_until("no debt", || cluster.nodes.iter().all(|node| status(node)["repair_debt"] == 0));
}

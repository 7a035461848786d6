//! Operators change the layout, by HTTP and by command: who may, each change, bad input, and two at once.

use serde_json::{Value, json};

use crate::api::access::{BOTH_KEYS, UPLOAD_KEY, kind};
use crate::support::client::{Answer, Connection, Request};
use crate::support::harness::{Finished, Node, at_once, free_port, run, wait_until};
use crate::support::nodes::{Cluster, alive, member, member_with, status, unready};
use crate::support::pictures::jpeg;

fn url(node: &Node) -> String {
    format!("http://127.0.0.1:{}", node.port())
}

/// Runs a command against a node.
#[track_caller]
fn command(node: &Node, arguments: &[&str]) -> Finished {
    run(&[arguments, &["--node", &url(node)]].concat())
}

/// Runs a command that must succeed; its output.
#[track_caller]
fn done(node: &Node, arguments: &[&str]) -> String {
    let finished = command(node, arguments);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(finished.stdout).expect("UTF-8")
}

/// Runs a command that must fail and say these words.
#[track_caller]
fn fails(node: &Node, arguments: &[&str], words: &[&str]) {
    let finished = command(node, arguments);
    assert_eq!(finished.code, Some(1), "{arguments:?}: {}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not in: {}", finished.stderr);
    }
}

fn post(node: &Node, path: &str, body: &Value) -> Answer {
    node.ask(&node.with_operator_key(Request::new("POST", path).body(body.to_string().as_bytes())))
}

#[track_caller]
fn layout(node: &Node) -> Value {
    node.operate("/layout").expect(200).json()
}

/// A member of a node's layout, by name.
fn of(layout: &Value, name: &str) -> Value {
    let members = layout["members"].as_array().cloned().unwrap_or_default();
    members.into_iter().find(|member| member["name"] == name).unwrap_or_default()
}

/// Waits until every node shows this of a member, and nothing has to be moved.
#[track_caller]
fn wait_for(cluster: &Cluster, name: &str, key: &str, value: &Value) {
    for node in &cluster.nodes {
        wait_until(&format!("{name} to have {key} {value}"), || {
            let layout = layout(node);
            of(&layout, name)[key] == *value && layout["settled"] == true
        });
    }
}

#[test]
fn only_the_operator_changes_the_layout_and_no_page_of_another_site() {
    let node = Node::with_config(&format!("{BOTH_KEYS}cors_origins = [\"*\"]\n"));
    let change = |path: &str| Request::new("POST", path).body(b"{\"writable\":false,\"replication\":2}");
    for path in ["/layout/cluster", "/layout/node/n0", "/scrub"] {
        node.ask(&change(path)).problem(401);
        node.ask(&change(path).header(UPLOAD_KEY.0, UPLOAD_KEY.1)).problem(401);
        // `anybody:op`
        let password = change(path).header("Authorization", "Basic YW55Ym9keTpvcA==");
        let foreign = node.ask(&password.header("Origin", "https://evil.example"));
        assert_eq!(kind(&foreign, 403), "foreign-page");
    }
    assert_eq!(status(&node)["layout"]["replication"], 3);
    let set = Request::new("POST", "/layout/cluster").body(b"{\"replication\":2}");
    node.ask(&set.header("Authorization", "Bearer op")).expect(200);
    wait_until("the change", || status(&node)["layout"]["replication"] == 2);
}

#[test]
fn a_drained_member_owns_nothing_until_it_is_activated_again() {
    let cluster = Cluster::start(4);
    let node = &cluster.nodes[0];
    assert!(done(node, &["drain", "n3"]).starts_with("n3: changed; "));
    wait_for(&cluster, "n3", "state", &"draining".into());
    assert_eq!(of(&layout(node), "n3")["share"], 0.0);
    assert_eq!(done(node, &["drain", "n3"]), "n3: nothing to change\n");
    // By the beginning of its id, through another node.
    let id = of(&layout(node), "n3")["id"].as_str().expect("an id").to_owned();
    done(&cluster.nodes[2], &["activate", &id[..8].to_uppercase()]);
    wait_for(&cluster, "n3", "state", &"active".into());
    cluster.wait_until_whole();
}

#[test]
fn fault_30_settings_of_a_member_are_changed_and_a_mass_move_needs_a_confirmation() {
    let first = free_port();
    let port = |number| if number == 0 { first } else { free_port() };
    let two = |number| member_with(number, port(number), (number > 0).then_some(first), "replication = 2\n");
    let cluster = Cluster::with((0..4).map(two));
    let node = &cluster.nodes[0];
    assert!(done(node, &["set", "n1", "weight=105"]).contains("of all copies move"));
    wait_for(&cluster, "n1", "weight", &105.into());
    let before = layout(node);
    // A thousand times the weight, and a zone that is written wrongly.
    for change in ["weight=105000", "zone=defualt"] {
        fails(node, &["set", "n1", change], &["nothing was changed", " % of all copies", "--yes"]);
    }
    assert_eq!(layout(node)["layout"], before["layout"]);
    done(node, &["set", "n1", "weight=105000", "zone=b", "writable=false", "--yes"]);
    wait_for(&cluster, "n1", "weight", &105_000.into());
    wait_for(&cluster, "n1", "zone", &"b".into());
    wait_for(&cluster, "n1", "writable", &false.into());
    assert_eq!(done(node, &["set", "n1", "writable=true"]), "n1: changed; no copy moves\n");
    wait_for(&cluster, "n1", "writable", &true.into());
}

#[test]
fn fault_30_the_numbers_of_copies_are_changed_and_copies_are_not_given_up_by_mistake() {
    let cluster = Cluster::start(3);
    let node = &cluster.nodes[1];
    fails(node, &["set", "cluster", "replication=1", "min_replication=1"], &["gives up 66.", "--yes"]);
    done(node, &["set", "cluster", "replication=2", "min_replication=1", "--yes"]);
    for node in &cluster.nodes {
        wait_until("two copies", || {
            let layout = layout(node);
            let copies = (&layout["replication"], &layout["min_replication"]);
            copies == (&2.into(), &1.into()) && layout["settled"] == true
        });
    }
    for wrong in [&["replication=0"][..], &["min_replication=3"], &["replication=17"], &["replication=300"]] {
        fails(node, &[&["set", "cluster"], wrong].concat(), &["(400)", "1 to 16 copies"]);
    }
    assert_eq!(layout(node)["replication"], 2);
}

#[test]
fn bad_input_gets_one_clear_sentence_and_changes_nothing() {
    let cluster = Cluster::start(2);
    let node = &cluster.nodes[0];
    let before = layout(node);
    for command in
        [&["drain", "n9"][..], &["remove", "n9"], &["set", "n9", "weight=5"], &["drain", "0000000"]]
    {
        fails(node, command, &["(404)", "No member has this name or id"]);
    }
    for weight in ["weight=0", "weight=1000000000"] {
        fails(node, &["set", "n1", weight], &["(400)", "from 1 to 1000000"]);
    }
    fails(node, &["set", "n1", "zone=a b"], &["(400)", "zone"]);
    fails(node, &["set", "n1", "replication=2"], &["replication is not a setting of that"]);
    fails(node, &["set", "cluster", "weight=2"], &["weight is not a setting of that"]);
    assert_eq!(command(node, &["set", "n1", "wieght=2"]).code, Some(2));
    for (body, word) in [
        ("", "JSON"),
        ("[]", "JSON"),
        ("{}", "Say what to change"),
        ("{\"weight\":-1}", "JSON"),
        ("{\"wieght\":1}", "wieght"),
        ("{\"role\":\"boss\"}", "active, draining or removed"),
        ("{\"role\":\"active\",\"weight\":1}", "two requests"),
        ("{\"weight\":1,\"if_layout\":\"x\"}", "if_layout"),
    ] {
        let request = Request::new("POST", "/layout/node/n1").body(body.as_bytes());
        let detail = node.ask(&node.with_operator_key(request)).problem(400);
        assert!(detail.contains(word), "{body}: {detail}");
    }
    let long = json!({ "zone": "x".repeat(5000) });
    post(node, "/layout/node/n1", &long).problem(413);
    post(node, "/layout/node/n%20/x", &json!({})).problem(404);
    node.operate("/layout/cluster").problem(405);
    assert_eq!(layout(node)["layout"], before["layout"]);
}

#[test]
fn a_removal_that_leaves_too_little_needs_force_and_is_forever() {
    let mut cluster = Cluster::start(2);
    let removed = status(&cluster.nodes[1])["node"].as_str().expect("an id").to_owned();
    let node = &cluster.nodes[0];
    fails(node, &["remove", "n1"], &["(409)", "leave 1 of 2 members", "force"]);
    assert_eq!(alive(&status(node)).len(), 2);
    done(node, &["remove", "n1", "--force"]);
    wait_until("n1 to be gone", || alive(&status(node)) == ["n0"]);
    wait_until("n1 to know it", || unready(&cluster.nodes[1]).contains("removed from its cluster"));
    for command in [["drain", &removed], ["activate", &removed], ["remove", &removed]] {
        fails(node, &command, &["(409)", "removed forever"]);
    }
    fails(&cluster.nodes[1], &["activate", "n0"], &["(503)", "removed from its cluster"]);
    // The last one cannot go, whatever is forced.
    fails(node, &["remove", "n0", "--force"], &["(409)", "No active member"]);
    fails(node, &["drain", "n0", "--force"], &["(409)", "No active member"]);
    cluster.nodes[1].kill9();
    cluster.nodes[1].restart_unready();
    wait_until("n1 to know it still", || {
        let node = &cluster.nodes[1];
        Connection::try_open(node.port()).is_ok() && unready(node).contains("removed from its cluster")
    });
    cluster.nodes[0].upload(&jpeg(60, 40, 1));
}

#[test]
fn a_node_may_remove_itself_and_says_so() {
    let cluster = Cluster::start(3);
    let told = done(&cluster.nodes[2], &["remove", "n2"]);
    assert!(told.contains("has removed itself"), "{told}");
    wait_until("the others to know it", || {
        cluster.nodes[..2].iter().all(|node| alive(&status(node)).len() == 2)
    });
    wait_until("the node to know it", || unready(&cluster.nodes[2]).contains("removed from its cluster"));
}

#[test]
fn the_name_of_a_dead_node_is_free_after_its_removal_and_the_refusal_says_so() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[2].kill9();
    let first = cluster.nodes[0].port();
    let heir = Node::start_unready(member(2, free_port(), Some(first)));
    wait_until("the reason", || unready(&heir).contains("holds its name"));
    assert!(unready(&heir).contains("reticulum remove"), "{}", unready(&heir));
    done(&cluster.nodes[0], &["remove", "n2"]);
    cluster.nodes[2] = heir;
    cluster.wait_until_whole();
    let mut names = alive(&status(&cluster.nodes[1]));
    names.sort();
    assert_eq!(names, ["n0", "n1", "n2"]);
}

#[test]
fn two_operators_at_once_on_two_nodes_both_succeed_and_all_nodes_agree() {
    let cluster = Cluster::start(3);
    let answers = at_once(3, |number| {
        let path = format!("/layout/node/n{number}");
        let body = json!({ "weight": 200 + number, "confirmed": true });
        post(&cluster.nodes[(number + 1) % 3], &path, &body).status
    });
    assert_eq!(answers, [200; 3]);
    for number in 0..3 {
        wait_for(&cluster, &format!("n{number}"), "weight", &(200 + number).into());
    }
    let hash = layout(&cluster.nodes[0])["layout"].clone();
    assert!(cluster.nodes.iter().all(|node| layout(node)["layout"] == hash));
}

#[test]
fn of_two_operators_who_saw_the_same_layout_the_second_is_told() {
    let cluster = Cluster::start(2);
    let node = &cluster.nodes[0];
    let seen = layout(node)["layout"].clone();
    let body = |weight: u32, seen: &Value| json!({ "weight": weight, "confirmed": true, "if_layout": seen });
    let first = post(node, "/layout/node/n0", &body(300, &seen)).expect(200).json();
    let second = post(node, "/layout/node/n1", &body(400, &seen));
    assert_eq!(kind(&second, 409), "layout-changed");
    assert_eq!(second.json()["layout"], first["layout"]);
    post(node, "/layout/node/n1", &body(400, &first["layout"])).expect(200);
    wait_for(&cluster, "n1", "weight", &400.into());
    wait_for(&cluster, "n0", "weight", &300.into());
}

#[test]
fn a_drain_and_a_removal_of_one_node_at_once_end_in_its_removal() {
    let cluster = Cluster::start(4);
    let roles = ["draining", "removed"];
    let answers = at_once(2, |number| {
        let answer = post(&cluster.nodes[number], "/layout/node/n3", &json!({ "role": roles[number] }));
        (answer.status, answer.json()["type"].as_str().unwrap_or_default().to_owned())
    });
    assert_eq!(answers[1].0, 200, "{answers:?}");
    // The drain came before the news of the removal, or after it.
    let is_told = [(409, "node-removed"), (404, "unknown-node")];
    let drained = (answers[0].0, answers[0].1.as_str());
    assert!(drained.0 == 200 || is_told.contains(&drained), "{answers:?}");
    wait_until("the others to know it", || {
        cluster.nodes[..3].iter().all(|node| of(&layout(node), "n3").is_null())
    });
}

#[test]
fn a_change_during_a_cut_waits_for_the_member_that_is_away_and_says_for_whom() {
    let (cluster, links) = Cluster::linked(3);
    links.part(&[2], &[0, 1]);
    let node = &cluster.nodes[0];
    done(node, &["set", "n0", "weight=101"]);
    wait_until("the layout to wait for n2", || layout(node)["waiting_for"]["sync"] == json!(["n2"]));
    let shown = layout(node);
    assert_eq!(shown["settled"], false);
    assert_ne!(shown["versions"]["current"][0], shown["versions"]["staged"]);
    assert!(done(node, &["layout"]).contains("waiting until n2 have"));
    // The other side knows nothing of it, and takes no part of it.
    assert_eq!(of(&layout(&cluster.nodes[2]), "n0")["weight"], 100);
    wait_until("the cut to be seen", || alive(&status(&cluster.nodes[2])).len() == 1);
    fails(&cluster.nodes[2], &["remove", "n0"], &["(409)", "Less than half", "force"]);
    done(&cluster.nodes[2], &["set", "n2", "weight=102"]);
    links.heal();
    wait_for(&cluster, "n0", "weight", &101.into());
    wait_for(&cluster, "n2", "weight", &102.into());
}

#[test]
fn what_was_acknowledged_before_and_while_the_layout_changes_stays_readable_everywhere() {
    let mut cluster = Cluster::start(4);
    let images: Vec<_> = (0..24).map(|seed| jpeg(32, 24, seed)).collect();
    let upload = |cluster: &Cluster, from: usize, to: usize| {
        for (at, bytes) in images[from..to].iter().enumerate() {
            cluster.nodes[at % 3].upload(bytes);
        }
    };
    upload(&cluster, 0, 6);
    done(&cluster.nodes[0], &["drain", "n3"]);
    upload(&cluster, 6, 12);
    done(&cluster.nodes[1], &["set", "n2", "weight=300", "zone=other", "--yes"]);
    upload(&cluster, 12, 18);
    cluster.expect_readable_everywhere(&images[..18]);
    // A machine is lost, and removed; every image that was answered has a second copy.
    cluster.nodes[3].kill9();
    done(&cluster.nodes[2], &["remove", "n3"]);
    cluster.nodes.pop();
    upload(&cluster, 18, 24);
    cluster.expect_readable_everywhere(&images);
}

#[test]
fn the_layout_is_shown_with_shares_room_and_versions() {
    let cluster = Cluster::start(3);
    let node = &cluster.nodes[0];
    wait_until("every member to say how much room it has", || layout(node)["capacity"].is_object());
    let shown = layout(node);
    assert_eq!(shown["versions"]["current"], json!([shown["layout"]]));
    assert_eq!(shown["versions"]["proposed"], json!([]));
    assert_eq!(shown["waiting_for"], json!({ "sync": [], "acknowledgement": [] }));
    for name in ["n0", "n1", "n2"] {
        let member = of(&shown, name);
        assert_eq!((&member["share"], &member["share_now"]), (&json!(0.3333), &json!(0.3333)));
        assert!(member["usable"].as_u64() <= member["capacity"].as_u64(), "{member}");
    }
    let printed: Value = serde_json::from_str(&done(node, &["layout", "--json"])).expect("JSON");
    assert_eq!(printed["layout"], shown["layout"]);
    let table = done(node, &["layout"]);
    assert!(table.contains("CAPACITY") && table.contains("room for "), "{table}");
}

#[test]
fn the_placement_of_an_image_names_owners_holders_and_those_who_do_not_answer() {
    let mut cluster = Cluster::start(3);
    let id = cluster.nodes[0].upload(&jpeg(60, 40, 1));
    let path = format!("/image/{id}/debug/x.json");
    cluster.nodes[0].get(&path).problem(401);
    let copies = |node: &Node| -> Vec<String> {
        let members = node.operate(&path).expect(200).json()["members"].as_array().cloned();
        let copy = |member: &Value| member["copy"].as_str().unwrap_or_default().to_owned();
        members.unwrap_or_default().iter().map(copy).collect()
    };
    wait_until("all three copies", || copies(&cluster.nodes[1]) == ["present"; 3]);
    let placement = cluster.nodes[1].operate(&path).expect(200).json();
    assert_eq!(placement["hash"], id.as_str());
    let versions = placement["versions"].as_array().expect("versions");
    assert_eq!(versions.len(), 1, "{placement}");
    assert_eq!((&versions[0]["current"], &versions[0]["staged"]), (&true.into(), &true.into()));
    assert_eq!(versions[0]["owners"].as_array().map(Vec::len), Some(3));
    assert!(placement["members"].as_array().expect("members").iter().all(|member| {
        member["owner"] == true && member["verified"].is_string() && member["id"].is_string()
    }));
    // A node remembers what it has verified since its start. A copy that was late leaves a record, and a node that starts
    // with one verifies its own copy.
    wait_until("no debt to be left", || cluster.sum("reticulum_repair_debt_images") == 0.0);
    cluster.nodes[0].kill9();
    cluster.nodes[0].restart();
    wait_until("all to answer", || copies(&cluster.nodes[1]) == ["present"; 3]);
    let placement = cluster.nodes[1].operate(&path).expect(200).json();
    let members = placement["members"].as_array().expect("members");
    let unknown = members.iter().filter(|member| member["verified"].is_null());
    let unknown: Vec<_> = unknown.map(|member| &member["name"]).collect();
    assert_eq!(unknown, ["n0"], "{placement}");
    cluster.nodes[2].kill9();
    let mut left = copies(&cluster.nodes[1]);
    left.sort();
    assert_eq!(left, ["present", "present", "unknown"]);
    let absent = format!("/image/{}/debug/x.json", "0".repeat(40));
    let absent = cluster.nodes[1].operate(&absent).expect(200).json();
    assert_eq!(
        absent["members"].as_array().expect("members").iter().filter(|it| it["copy"] == "absent").count(),
        2
    );
}

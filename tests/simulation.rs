//! Seeds of the simulator: worlds that must pass, worlds with one kind of fault for each promise that is proven
//! there, and bugs that must be found.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reticulum-simulate"));
    command.args(arguments).output().expect("the simulator runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Worlds in which only this goes wrong: nothing may be lost, and it must have gone wrong this often at least.
/// Gives back what was counted.
fn keeps_its_promise(kind: &str, seeds: u64, least: u64) -> String {
    let output = simulate(&["--only", kind, "--seed", "1", "--count", &seeds.to_string()]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(count(&text, kind) >= least, "{kind}: {text}");
    text
}

/// The number in front of a word in the list of what was counted.
fn count(text: &str, what: &str) -> u64 {
    let mut lines = text.lines().map(str::trim_start).filter_map(|line| line.split_once(' '));
    lines.find(|(_, name)| *name == what).map_or(0, |(number, _)| number.parse().expect("a number"))
}

#[test]
fn seeds_pass_and_replay_exactly() {
    let output = simulate(&["--seed", "1", "--count", "2", "--twice"]);
    assert!(output.status.success(), "{}", text(&output));
}

/// Worlds that once broke a promise.
#[test]
fn seeds_that_once_failed_pass() {
    for seed in ONCE_FAILED {
        let output = simulate(&["--seed", seed]);
        assert!(output.status.success(), "{}", text(&output));
    }
}

/// Seeds that failed once, and the bug:
/// * 47: a removed node was not counted among the unreachable ones.
/// * 436: a copy on a node that was about to join counted for readers that did not know the node yet.
/// * 503242, 503533: a single owner counted as all copies that an answer needs.
/// * 701082, 702868: the reply of an emptied store counted before an owner had the copies that the store had held for it.
/// * 815522: a node moved on to another staged version and forgot its acknowledgement, which others had made current.
/// * 910419: an "absent" reply counted that was older than the grace of a misplaced replica.
/// * 100072, 200298: correct runs were reported as failed.
///
/// A change of the simulator changes the worlds of these seeds; the tests of `cluster/protocol` keep the scenarios.
const ONCE_FAILED: [&str; 10] =
    ["47", "436", "100072", "200298", "503242", "503533", "701082", "702868", "815522", "910419"];

#[test]
fn every_injected_bug_is_found() {
    for (bug, only, first) in INJECTED_BUGS {
        let mut arguments = vec!["--injected-bug", bug, "--seed", first, "--count", "60"];
        arguments.extend(only.iter().flat_map(|kind| ["--only", kind]));
        let output = simulate(&arguments);
        assert!(!output.status.success(), "{bug}: {}", text(&output));
        assert!(text(&output).contains("FAILED"), "{bug}: {}", text(&output));
    }
}

/// Each bug, the only kind of fault if it needs one, and the first seed, which is near one that finds it: the rarest
/// needs sixty seeds.
const INJECTED_BUGS: [(&str, Option<&str>, &str); 29] = [
    ("no-directory-sync", None, "1"),
    ("answer-before-sync", None, "1"),
    ("ingress-counts", None, "45"),
    ("clamp-by-liveness", None, "23"),
    ("unsynced-no-counts", None, "80"),
    ("no-stray-record", None, "1"),
    ("silence-is-no", None, "1"),
    ("replay-accepted", None, "20"),
    ("no-verify", None, "1"),
    ("delete-by-rank", None, "3"),
    ("said-before-durable", None, "1"),
    ("synced-too-early", None, "4"),
    ("unknown-layout-counts", Some("out"), "15"),
    ("no-owner-needed", None, "5"),
    ("names-held-twice", Some("namesakes"), "1"),
    ("deadline-not-reported", None, "1"),
    ("record-lost", None, "2"),
    ("patience-ignored", None, "1"),
    ("verification-skipped", None, "1"),
    ("newest-wins", None, "1"),
    ("upload-overturns-ban", None, "2"),
    ("tombstone-forgotten", None, "1"),
    ("undelete-lost", None, "1"),
    ("move-counted-early", None, "140"),
    ("manifest-believed", None, "1"),
    ("repair-unverified", None, "1"),
    ("mark-out-unbraked", Some("away"), "1"),
    ("founded-without-all", Some("founding"), "1"),
    ("promise-forgotten", Some("founding"), "300"),
];

#[test]
fn unknown_names_are_refused_with_all_known_ones() {
    for (argument, known) in [("--injected-bug", "no-directory-sync"), ("--only", "power-cut-all")] {
        let output = simulate(&[argument, "nothing"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(known));
    }
}

#[test]
fn fault_2_a_kill_between_write_and_sync_loses_and_tears_nothing() {
    let text = keeps_its_promise("kill", 3, 30);
    assert!(count(&text, "crash after the write, before the sync") > 0, "{text}");
}

#[test]
fn fault_3_a_power_cut_before_the_directory_sync_loses_nothing_that_was_answered() {
    let text = keeps_its_promise("power-cut", 3, 30);
    assert!(count(&text, "crash after the rename, before the directory sync") > 0, "{text}");
}

#[test]
fn fault_4_an_orphan_of_a_killed_node_is_found_and_spread() {
    let text = keeps_its_promise("kill", 3, 30);
    assert!(count(&text, "crash with its own copy alone durable") > 0, "{text}");
    assert!(count(&text, "crash with enough copies, before the answer") > 0, "{text}");
}

#[test]
fn fault_6_what_was_answered_survives_a_power_cut_of_all_nodes_a_millisecond_later() {
    keeps_its_promise("power-cut-all", 2, 20);
}

#[test]
fn fault_7_a_sync_that_fails_is_answered_with_no_success() {
    keeps_its_promise("sync-error", 3, 20);
}

#[test]
fn fault_8_a_disk_without_room_or_inodes_takes_nothing_and_serves_on() {
    for kind in ["disk-full", "inodes-used"] {
        keeps_its_promise(kind, 2, 20);
    }
}

#[test]
fn fault_9_a_flipped_bit_is_never_served_and_is_repaired() {
    keeps_its_promise("bit-flip", 2, 20);
}

#[test]
fn fault_11_a_file_or_disk_that_cannot_be_read_is_served_by_another_node() {
    keeps_its_promise("read-error", 2, 20);
}

#[test]
fn fault_13_a_slow_disk_holds_up_no_answer_beyond_its_deadline() {
    keeps_its_promise("slow-disk", 2, 20);
}

#[test]
fn fault_14_both_sides_of_a_cut_serve_and_nothing_is_lost() {
    for kind in ["partition", "isolate", "one-way"] {
        keeps_its_promise(kind, 2, 20);
    }
}

#[test]
fn fault_15_a_bad_network_calls_hardly_anybody_down() {
    let text = keeps_its_promise("bad-network", 3, 30);
    // One in ten minutes of a node; three worlds are two hundred such minutes or more.
    let false_downs = count(&text, "seen down, though it runs");
    assert!(false_downs <= 20, "{text}");
}

#[test]
fn fault_17_changed_doubled_and_replayed_messages_do_no_harm() {
    let text = keeps_its_promise("corruption", 2, 20);
    for what in ["message corrupted", "core message twice", "replay"] {
        assert!(count(&text, what) > 0, "{what}: {text}");
    }
}

#[test]
fn fault_18_what_is_deleted_while_a_node_is_away_stays_deleted() {
    for kind in ["kill", "isolate", "partition"] {
        let text = keeps_its_promise(kind, 1, 10);
        for what in ["erasure: done", "read: 410"] {
            assert!(count(&text, what) > 0, "{what}: {text}");
        }
    }
}

#[test]
fn fault_19_of_two_nodes_with_one_name_one_is_a_member_and_nothing_is_lost() {
    let text = keeps_its_promise("namesakes", 3, 3);
    for what in ["seen to be refused", "namesake renamed"] {
        assert!(count(&text, what) > 0, "{what}: {text}");
    }
}

#[test]
fn fresh_nodes_that_name_each_other_are_never_two_clusters_whatever_ends_or_is_wiped() {
    let text = keeps_its_promise("founding", 40, 1_000);
    // Again and again in each world: those that founded it lose their disks.
    assert!(count(&text, "cluster founded by fresh nodes") >= 100, "{text}");
}

#[test]
fn fault_21_clocks_that_err_and_jump_do_no_harm() {
    keeps_its_promise("clock-jump", 2, 20);
}

#[test]
fn fault_22_a_stopped_node_deletes_nothing_stale_when_it_wakes() {
    keeps_its_promise("stop", 2, 20);
}

#[test]
fn fault_24_shards_go_on_while_the_control_core_hangs() {
    keeps_its_promise("block-core", 2, 20);
}

#[test]
fn fault_25_joins_and_changes_while_nodes_leave_lose_nothing() {
    for kind in ["reweigh", "drain", "out"] {
        keeps_its_promise(kind, 1, 10);
    }
}

/// A copy that moves twice, or to a node that has it or should not have it, would be one too many.
#[test]
fn fault_25_no_more_copies_are_made_than_changes_call_for() {
    for kind in ["reweigh", "join", "drain"] {
        let text = keeps_its_promise(kind, 2, 2);
        let (made, called_for) =
            (count(&text, "copies made by repairs"), count(&text, "copies called for by changes"));
        assert!(made > 0 && made * 100 <= called_for * 105, "{kind}: {text}");
    }
}

#[test]
fn fault_26_a_lost_machine_takes_no_image_with_it() {
    keeps_its_promise("remove", 3, 3);
}

#[test]
fn fault_27_reads_and_writes_go_on_without_a_zone() {
    let text = keeps_its_promise("zone-down", 3, 20);
    for what in ["read: 200 while a zone was down", "upload: 200 while a zone was down"] {
        assert!(count(&text, what) > 0, "{what}: {text}");
    }
}

#[test]
fn fault_28_a_restart_of_all_is_whole_in_ten_seconds_and_repairs_nothing() {
    let text = keeps_its_promise("restart-all", 2, 10);
    assert!(count(&text, "restart of all watched to its end") > 0, "{text}");
}

#[test]
fn a_node_away_for_half_an_hour_is_taken_out_and_comes_back() {
    let text = keeps_its_promise("away", 3, 3);
    assert!(count(&text, "taken out or in automatically") > 0, "{text}");
}

#[test]
fn a_dead_node_is_seen_down_by_all_within_ten_seconds() {
    let text = text(&simulate(&["--detection", "5", "--count", "3"]));
    for line in text.lines().filter(|line| line.contains("seen down by all")) {
        let words: Vec<_> = line.split(' ').collect();
        let most: u64 = words[words.iter().position(|word| *word == "ms").expect("a time") - 1]
            .parse()
            .expect("milliseconds");
        assert!(most <= 10_000, "{line}");
    }
    assert_eq!(text.matches("seen down by all").count(), 3, "{text}");
}

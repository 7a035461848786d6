//! Seeds of the simulator: some that must pass, and a bug that must be found.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reticulum-simulate"));
    command.args(arguments).output().expect("the simulator runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn seeds_pass_and_replay_exactly() {
    let output = simulate(&["--seed", "1", "--count", "2", "--twice"]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_bug_that_is_put_in_is_found() {
    let output = simulate(&["--plant", "silence-is-no", "--count", "4"]);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("says 404"), "{}", text(&output));
}

#[test]
fn an_unknown_bug_is_refused_with_the_names_of_all() {
    let output = simulate(&["--plant", "nothing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-directory-sync"));
}

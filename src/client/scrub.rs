//! `reticulum scrub`: every node reads all its copies back now.
//!
//! With `--wait` it looks again and again until every pass has ended and what was found is repaired. A node that stays
//! silent, and a number that does not move any more, end the wait: then not all is known to be right.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::ClientError;
use super::credentials;
use super::harmless::harmless;
use super::node::NodeClient;
use super::output::{CommandOutput, ProgressLines, is_watched};
use super::table::bytes;
use crate::cli::commands::ScrubFlags;

const PATH: &str = "/scrub";

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A node that was heard of and is silent for this long is given up: it may restart meanwhile.
const SILENT_MAX: Duration = Duration::from_mins(1);

/// Where no number of any node changes for this long, it will not: a repair is tried at least once a minute.
const STILL_MAX: Duration = Duration::from_mins(3);

/// Steps of the position after which a line is printed where no terminal shows it.
const STEPS: f64 = 10.0;

#[derive(Deserialize)]
struct BegunBody {
    begun: Vec<String>,
    unreachable: BTreeSet<String>,
}

#[derive(Deserialize)]
struct ProgressBody {
    members: Vec<MemberProgress>,
    unreachable: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
struct MemberProgress {
    name: String,
    running: bool,
    position: f64,
    #[serde(flatten)]
    pass: PassCounts,
    vanished: u64,
    unrepaired: u64,
    lost: u64,
    some_bad: Vec<String>,
    last: Option<LastPass>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
struct PassCounts {
    copies: u64,
    bytes: u64,
    corrupt: u64,
    unreadable: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct LastPass {
    #[serde(flatten)]
    pass: PassCounts,
}

/// The members that have begun, as last heard of.
struct Members {
    by_name: BTreeMap<String, MemberProgress>,
    /// Since when a member has been silent.
    silent: BTreeMap<String, Instant>,
    /// When a number of any of them has changed last.
    changed: Instant,
}

pub(super) fn run(flags: &ScrubFlags) -> Result<(), ClientError> {
    let node = credentials::operator(&flags.asked);
    let output = CommandOutput::plain();
    let begun: BegunBody = node.post(PATH)?;
    let mut faults: Vec<_> = begun.unreachable.iter().map(|name| silent(name)).collect();
    if flags.wait {
        let members = wait(&node, &output, Members::new(begun.begun, Instant::now()))?;
        for member in members.by_name.values().filter(|member| member.is_known()) {
            output.line(member.summary())?;
        }
        faults.extend(members.faults());
    } else {
        for name in &begun.begun {
            output.line(format!("{}: reads all its copies back", harmless(name)))?;
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(ClientError::Scrub(faults)) }
}

/// Looks until there is nothing to wait for.
fn wait(node: &NodeClient, output: &CommandOutput, mut members: Members) -> Result<Members, ClientError> {
    let mut lines = ProgressLines::default();
    let mut printed = BTreeMap::new();
    let mut answered = Instant::now();
    loop {
        match node.get_json::<ProgressBody>(PATH) {
            Ok(progress) => {
                answered = Instant::now();
                members.take(progress, answered);
            }
            Err(error) if answered.elapsed() >= SILENT_MAX => return Err(error),
            // It may restart meanwhile.
            Err(_) => {}
        }
        if is_watched() {
            lines.show(&members.known().map(MemberProgress::line).collect::<Vec<_>>());
        } else {
            print_steps(output, &members, &mut printed)?;
        }
        if members.are_over(Instant::now()) {
            lines.finish();
            return Ok(members);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Prints a line of each member whose state is another one than when it was printed last.
fn print_steps(
    output: &CommandOutput,
    members: &Members,
    printed: &mut BTreeMap<String, (u64, bool)>,
) -> Result<(), ClientError> {
    for member in members.known() {
        let step = if member.running { (member.position * STEPS) as u64 } else { STEPS as u64 + 1 };
        let state = (step, member.unrepaired > 0);
        if printed.insert(member.name.clone(), state) != Some(state) {
            output.line(member.line())?;
        }
    }
    Ok(())
}

fn silent(name: &str) -> String {
    format!("{name} did not answer")
}

impl Members {
    fn new(begun: Vec<String>, now: Instant) -> Self {
        let by_name = begun.into_iter().map(|name| (name, MemberProgress::default())).collect();
        Self { by_name, silent: BTreeMap::new(), changed: now }
    }

    /// Takes what the asked node says of all.
    fn take(&mut self, progress: ProgressBody, now: Instant) {
        for mut member in progress.members {
            if !member.running {
                // Of the next pass, which nobody waits for.
                (member.position, member.pass) = (0.0, PassCounts::default());
            }
            self.silent.remove(&member.name);
            // One that has joined since has not begun.
            let Some(known) = self.by_name.get_mut(&member.name) else { continue };
            if *known != member {
                *known = member;
                self.changed = now;
            }
        }
        for name in progress.unreachable.into_iter().filter(|name| self.by_name.contains_key(name)) {
            self.silent.entry(name).or_insert(now);
        }
    }

    /// Those that have said how far they have come.
    fn known(&self) -> impl Iterator<Item = &MemberProgress> {
        self.by_name.values().filter(|member| member.is_known())
    }

    /// Whether there is nothing to wait for any more.
    fn are_over(&self, now: Instant) -> bool {
        let has_passed = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let is_silent =
            |name: &String| self.silent.get(name).is_some_and(|since| has_passed(*since, SILENT_MAX));
        let is_over = |(name, member): (&String, &MemberProgress)| {
            is_silent(name) || member.is_done() && !self.silent.contains_key(name)
        };
        self.by_name.iter().all(is_over) || has_passed(self.changed, STILL_MAX)
    }

    /// A sentence for each member of which not all is known to be right.
    fn faults(&self) -> Vec<String> {
        let fault = |(name, member): (&String, &MemberProgress)| {
            let is_silent = self.silent.contains_key(name) || !member.is_known();
            if is_silent { Some(silent(name)) } else { member.fault() }
        };
        self.by_name.iter().filter_map(fault).collect()
    }
}

impl MemberProgress {
    /// Whether it has said how far it has come.
    fn is_known(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether its pass has ended and what can be repaired is.
    fn is_done(&self) -> bool {
        self.is_known() && !self.running && self.unrepaired == 0
    }

    /// The counts of the pass that was asked for.
    fn counts(&self) -> PassCounts {
        match &self.last {
            Some(last) if !self.running => last.pass,
            _ => self.pass,
        }
    }

    fn line(&self) -> String {
        let percent = if self.running { (self.position * 1000.0).floor() / 10.0 } else { 100.0 };
        let PassCounts { copies, bytes: read, .. } = self.counts();
        format!(
            "{}: {percent:5.1} %, {copies} copies, {}, {}, {} to repair",
            harmless(&self.name),
            bytes(Some(read)),
            self.found(),
            self.unrepaired
        )
    }

    fn found(&self) -> String {
        let PassCounts { corrupt, unreadable, .. } = self.counts();
        format!("{corrupt} corrupt, {unreadable} unreadable, {} vanished", self.vanished)
    }

    fn summary(&self) -> String {
        let PassCounts { copies, bytes: read, .. } = self.counts();
        let end = match (self.running, self.unrepaired + self.lost) {
            (true, _) => "not at the end".to_owned(),
            (false, 0) => "all right now".to_owned(),
            (false, bad) => format!("{bad} not repaired"),
        };
        let name = harmless(&self.name);
        format!("{name}: read {copies} copies, {}; {}; {end}", bytes(Some(read)), self.found())
    }

    /// A sentence where not all is right.
    fn fault(&self) -> Option<String> {
        let name = &self.name;
        let bad = match (self.unrepaired, self.lost) {
            (0, 0) if self.running => return Some(format!("{name} has not come to the end")),
            (0, 0) => return None,
            (0, _) => format!("{name} has lost copies of which no node has a good one"),
            _ => format!("{name} has copies that are not repaired yet"),
        };
        Some(format!("{bad}, {} in all: {}", self.unrepaired + self.lost, self.some_bad.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(running: bool, unrepaired: u64, lost: u64) -> MemberProgress {
        let last = LastPass { pass: PassCounts { copies: 7, bytes: 2048, corrupt: 1, unreadable: 0 } };
        MemberProgress {
            name: "n1".into(),
            running,
            position: 0.256,
            vanished: 2,
            unrepaired,
            lost,
            some_bad: vec!["ab".to_owned()],
            last: Some(last),
            ..MemberProgress::default()
        }
    }

    fn progress(members: &[MemberProgress], unreachable: &[&str]) -> ProgressBody {
        let unreachable = unreachable.iter().map(ToString::to_string).collect();
        ProgressBody { members: members.to_vec(), unreachable }
    }

    fn members() -> (Members, Instant) {
        let now = Instant::now();
        (Members::new(vec!["n1".to_owned()], now), now)
    }

    #[test]
    fn the_wait_ends_when_every_pass_has_ended_and_what_was_found_is_repaired() {
        let (mut members, now) = members();
        assert!(!members.are_over(now), "nothing was heard of it");
        let other = MemberProgress { name: "n2".to_owned(), ..member(true, 0, 0) };
        for (state, is_over) in
            [(member(true, 0, 0), false), (member(false, 1, 0), false), (member(false, 0, 0), true)]
        {
            members.take(progress(&[state, other.clone()], &[]), now);
            assert_eq!(members.are_over(now), is_over);
        }
        assert!(members.faults().is_empty());
        members.take(progress(&[member(false, 0, 1)], &[]), now);
        assert!(members.are_over(now), "waiting brings none back");
    }

    #[test]
    fn a_member_that_stays_silent_ends_the_wait_and_is_named() {
        let (mut members, now) = members();
        members.take(progress(&[member(false, 0, 0)], &[]), now);
        members.take(progress(&[], &["n1"]), now);
        assert!(!members.are_over(now));
        assert!(members.are_over(now + SILENT_MAX));
        assert_eq!(members.faults(), ["n1 did not answer"]);
        members.take(progress(&[member(false, 0, 0)], &[]), now);
        assert!(members.faults().is_empty());
    }

    #[test]
    fn numbers_that_stand_still_end_the_wait_and_what_is_bad_is_named() {
        let (mut members, now) = members();
        members.take(progress(&[member(false, 3, 0)], &[]), now);
        let later = now + STILL_MAX / 2;
        members.take(progress(&[member(false, 2, 1)], &[]), later);
        assert!(!members.are_over(now + STILL_MAX));
        // The next pass goes on at its own pace.
        let next = MemberProgress { position: 0.3, ..member(false, 2, 1) };
        members.take(progress(&[next], &[]), now + STILL_MAX);
        assert!(members.are_over(later + STILL_MAX));
        assert_eq!(members.faults(), ["n1 has copies that are not repaired yet, 3 in all: ab"]);
        let lost = "n1 has lost copies of which no node has a good one, 1 in all: ab";
        assert_eq!(member(false, 0, 1).fault().unwrap(), lost);
        assert_eq!(member(true, 0, 0).fault().unwrap(), "n1 has not come to the end");
    }

    #[test]
    fn a_pass_is_told_while_it_runs_and_at_its_end() {
        assert_eq!(
            member(true, 0, 0).line(),
            "n1:  25.6 %, 0 copies, 0 B, 0 corrupt, 0 unreadable, 2 vanished, 0 to repair"
        );
        assert_eq!(
            member(false, 3, 0).line(),
            "n1: 100.0 %, 7 copies, 2.0 KiB, 1 corrupt, 0 unreadable, 2 vanished, 3 to repair"
        );
        assert_eq!(
            member(false, 0, 0).summary(),
            "n1: read 7 copies, 2.0 KiB; 1 corrupt, 0 unreadable, 2 vanished; all right now"
        );
    }
}

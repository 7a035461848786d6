//! `reticulum layout`: who owns what, now and after the change that is under way, and whom that waits for.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ClientError;
use super::credentials;
use super::harmless::harmless;
use super::output::CommandOutput;
use super::table::{TextTable, bytes};
use crate::cli::commands::ReportFlags;

const PATH: &str = "/layout";

#[derive(Deserialize)]
struct LayoutBody {
    layout: Option<String>,
    settled: bool,
    replication: u64,
    min_replication: u64,
    copies_needed: u64,
    waiting_for: WaitingBody,
    progress: Option<ProgressBody>,
    capacity: Option<CapacityBody>,
    members: Vec<MemberBody>,
}

/// The rest that is still to be moved, about.
#[derive(Deserialize)]
pub(super) struct ProgressBody {
    slots_left: u64,
    images_left: u64,
    bytes_left: u64,
    bytes_per_second: u64,
    seconds_left: Option<u64>,
}

#[derive(Deserialize)]
struct WaitingBody {
    sync: Vec<String>,
    acknowledgement: Vec<String>,
}

#[derive(Deserialize)]
struct CapacityBody {
    images: u64,
}

#[derive(Deserialize)]
struct MemberBody {
    name: String,
    id: String,
    zone: String,
    weight: u32,
    state: String,
    alive: bool,
    writable: bool,
    share: f64,
    share_now: f64,
    capacity: Option<u64>,
    usable: Option<u64>,
}

pub(super) fn run(flags: &ReportFlags) -> Result<(), ClientError> {
    let node = credentials::operator(&flags.asked);
    let output = CommandOutput::plain();
    if flags.json {
        let layout: Box<RawValue> = node.get_json(PATH)?;
        return output.line(layout.get());
    }
    let layout: LayoutBody = node.get_json(PATH)?;
    output.line(headline(&layout))?;
    let mut table =
        TextTable::new(&["NAME", "ID", "ZONE", "STATE", "#WEIGHT", "#NOW", "#SHARE", "#CAPACITY", "#USABLE"]);
    for member in &layout.members {
        table.row(member.cells());
    }
    table.lines().try_for_each(|line| output.line(line))?;
    match &layout.capacity {
        Some(capacity) => output.line(format!("room for {} of images", bytes(Some(capacity.images))))?,
        None => output.line("room for images: unknown, a member has not said how much room it has")?,
    }
    if let Some(progress) = &layout.progress {
        output.line(left(progress))?;
    }
    let WaitingBody { sync, acknowledgement } = &layout.waiting_for;
    match (&sync[..], &acknowledgement[..]) {
        ([], []) => Ok(()),
        ([], waiting) => output.line(format!("waiting for the acknowledgement of {}", names(waiting))),
        (waiting, _) => output.line(format!("waiting until {} have what they should", names(waiting))),
    }
}

fn headline(layout: &LayoutBody) -> String {
    let LayoutBody { replication, min_replication, copies_needed, .. } = layout;
    let lowered = if copies_needed == min_replication {
        String::new()
    } else {
        format!(" ({copies_needed} with these members)")
    };
    format!(
        "replication {replication}, before an answer {min_replication}{lowered}, {}, hash {}",
        if layout.settled { "settled" } else { "moving to a newer layout" },
        harmless(layout.layout.as_deref().unwrap_or("-"))
    )
}

/// A sentence about what is still to be moved.
pub(super) fn left(progress: &ProgressBody) -> String {
    let ProgressBody { slots_left, images_left, bytes_left, bytes_per_second, seconds_left } = *progress;
    let end = match seconds_left {
        Some(seconds) => format!("about {seconds} s"),
        None => "unknown time".to_owned(),
    };
    format!(
        "to be moved: about {images_left} copies in {slots_left} slots, {}, at {} a second; {end} left",
        bytes(Some(bytes_left)),
        bytes(Some(bytes_per_second))
    )
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| harmless(name)).collect::<Vec<_>>().join(", ")
}

impl MemberBody {
    fn cells(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut state = harmless(&self.state);
        if !self.alive {
            state += ", away";
        } else if !self.writable {
            state += ", read-only";
        }
        vec![
            harmless(&self.name),
            harmless(&self.id),
            harmless(&self.zone),
            state,
            self.weight.to_string(),
            percent(self.share_now),
            percent(self.share),
            bytes(self.capacity),
            bytes(self.usable),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_with_its_time() {
        let progress = ProgressBody {
            slots_left: 90,
            images_left: 100,
            bytes_left: 4096,
            bytes_per_second: 1024,
            seconds_left: Some(4),
        };
        assert_eq!(
            left(&progress),
            "to be moved: about 100 copies in 90 slots, 4.0 KiB, at 1.0 KiB a second; about 4 s left"
        );
        let halted = ProgressBody { bytes_per_second: 0, seconds_left: None, ..progress };
        assert!(left(&halted).ends_with("at 0 B a second; unknown time left"));
    }

    #[test]
    fn the_headline_says_when_fewer_copies_are_needed_than_wished() {
        let json = |needed| {
            format!(
                r#"{{"layout":"ab","settled":true,"replication":3,"min_replication":2,"copies_needed":{needed},
                "waiting_for":{{"sync":[],"acknowledgement":[]}},"progress":null,"capacity":null,"members":[]}}"#
            )
        };
        let line = |needed| headline(&serde_json::from_str(&json(needed)).unwrap());
        assert_eq!(line(2), "replication 3, before an answer 2, settled, hash ab");
        assert_eq!(line(1), "replication 3, before an answer 2 (1 with these members), settled, hash ab");
    }
}

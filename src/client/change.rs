//! `reticulum drain`, `activate`, `remove` and `set`: changes of the layout.
//!
//! `remove` and `set` say which layout they are about, so that of two operators who look at the same layout only one
//! changes it unawares.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ClientError;
use super::credentials;
use super::harmless::harmless;
use super::node::NodeClient;
use super::output::CommandOutput;
use super::table::bytes;
use crate::cli::assignment::Assignment;
use crate::cli::commands::{RoleFlags, SetFlags};

/// The word by which the settings of the cluster are meant. A node of this name is reached by its id.
const CLUSTER: &str = "cluster";

/// The type of the refusal of a change that moves much.
const NEEDS_CONFIRMATION: &str = "needs-confirmation";

#[derive(Deserialize)]
struct StagedHash {
    layout: Option<String>,
}

#[derive(Deserialize)]
struct ChangeBody {
    changed: bool,
    moves: MovesBody,
    note: Option<String>,
}

#[derive(Deserialize)]
struct MovesBody {
    share: f64,
    dropped: f64,
    bytes: Option<u64>,
}

/// Gives a member another role.
pub(super) fn role(flags: &RoleFlags, role: &str) -> Result<(), ClientError> {
    let node = credentials::operator(&flags.asked);
    let mut body = json!({ "role": role, "force": flags.force });
    if role == "removed" {
        // It cannot be undone.
        body["if_layout"] = staged(&node)?;
    }
    let changed = node.post_json(&path_of(&flags.member), &body)?;
    report(&flags.member, &changed)
}

/// Changes settings of a member or of the cluster.
pub(super) fn set(flags: &SetFlags) -> Result<(), ClientError> {
    let is_cluster = flags.member == CLUSTER;
    if let Some(wrong) = flags.assignments.iter().find(|one| one.is_of_cluster() != is_cluster) {
        return Err(ClientError::Setting(wrong.key()));
    }
    let node = credentials::operator(&flags.asked);
    let mut body: Map<String, Value> = flags.assignments.iter().map(pair).collect();
    body.insert("if_layout".to_owned(), staged(&node)?);
    body.insert("confirmed".to_owned(), flags.yes.into());
    let path = if is_cluster { "/layout/cluster".to_owned() } else { path_of(&flags.member) };
    let changed = match node.post_json(&path, &body.clone().into()) {
        Err(ClientError::Refused { kind, detail, .. }) if kind == NEEDS_CONFIRMATION => {
            if !CommandOutput::plain().confirm(&format!("{detail} Do it?")) {
                return Err(ClientError::Unconfirmed(detail));
            }
            body.insert("confirmed".to_owned(), true.into());
            node.post_json(&path, &body.into())?
        }
        changed => changed?,
    };
    report(&flags.member, &changed)
}

/// The hash of the layout that the operator sees.
fn staged(node: &NodeClient) -> Result<Value, ClientError> {
    let StagedHash { layout } = node.get_json("/layout")?;
    Ok(layout.into())
}

fn path_of(member: &str) -> String {
    format!("/layout/node/{member}")
}

fn pair(assignment: &Assignment) -> (String, Value) {
    let value = match assignment {
        Assignment::Weight(number) | Assignment::Replication(number) | Assignment::MinReplication(number) => {
            (*number).into()
        }
        Assignment::Zone(zone) => zone.as_str().into(),
        Assignment::Writable(flag) => (*flag).into(),
    };
    (assignment.key().to_owned(), value)
}

fn report(member: &str, changed: &ChangeBody) -> Result<(), ClientError> {
    let output = CommandOutput::plain();
    output.line(sentence(member, changed))?;
    changed.note.iter().try_for_each(|note| output.line(harmless(note)))
}

fn sentence(member: &str, ChangeBody { changed, moves, .. }: &ChangeBody) -> String {
    if !changed {
        return format!("{member}: nothing to change");
    }
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let moved = match (moves.share > 0.0, moves.bytes) {
        (false, _) => "no copy moves".to_owned(),
        (true, Some(moved)) => {
            format!("{} of all copies move, about {}", percent(moves.share), bytes(Some(moved)))
        }
        (true, None) => format!("{} of all copies move", percent(moves.share)),
    };
    let is_fewer = moves.dropped > moves.share + 0.001;
    let fewer =
        if is_fewer { format!(", and {} are given up", percent(moves.dropped)) } else { String::new() };
    format!("{member}: changed; {moved}{fewer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_with_what_it_moves() {
        let told = |changed, share, dropped, bytes| {
            let moves = MovesBody { share, dropped, bytes };
            sentence("n1", &ChangeBody { changed, moves, note: None })
        };
        assert_eq!(told(false, 0.0, 0.0, Some(0)), "n1: nothing to change");
        assert_eq!(told(true, 0.0, 0.0, Some(0)), "n1: changed; no copy moves");
        assert_eq!(
            told(true, 0.25, 0.25, Some(2048)),
            "n1: changed; 25.0 % of all copies move, about 2.0 KiB"
        );
        assert_eq!(
            told(true, 0.1, 0.4, None),
            "n1: changed; 10.0 % of all copies move, and 40.0 % are given up"
        );
    }
}

//! Refusals of an operator's change of the layout: status, sentence, and what a program needs to know of it.

use http::StatusCode;
use serde::Serialize;

use crate::cluster::layout::Taken;
use crate::cluster::operator::LayoutRefusal;
use crate::cluster::operator::movement::{MILLION, Movement};

/// Why a change of the layout is not answered with 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum LayoutProblem {
    /// The body does not say a change; the sentence names the part.
    Bad(String),
    /// The cluster refuses it.
    Refused(LayoutRefusal),
    /// The layout was not durable in time.
    Late,
}

/// The members of the problem document.
#[derive(Default, Serialize)]
pub(super) struct LayoutDetails {
    /// The hash of the staged version, for `if_layout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<Candidate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moves: Option<Moves>,
}

#[derive(Serialize)]
struct Candidate {
    id: String,
    name: String,
}

/// The copies that a change moves, as JSON.
#[derive(Serialize)]
pub(in crate::http) struct Moves {
    /// Copies to be made, as a part of all copies, 0 to 1.
    share: f64,
    /// Copies to be given up, likewise.
    dropped: f64,
    /// Bytes of those that are made, about; null where a member has not said how much it stores.
    bytes: Option<u64>,
}

impl From<Movement> for Moves {
    fn from(movement: Movement) -> Self {
        let share = |part: u64| part as f64 / MILLION as f64;
        Self { share: share(movement.made), dropped: share(movement.dropped), bytes: movement.bytes }
    }
}

impl LayoutProblem {
    /// Status, type, title.
    pub(super) fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        use LayoutRefusal as Refusal;
        use StatusCode as S;
        let refusal = match self {
            Self::Bad(_) | Self::Refused(Refusal::Copies) => {
                return (S::BAD_REQUEST, "bad-change", "Bad change");
            }
            Self::Late => return (S::SERVICE_UNAVAILABLE, "layout-unsaved", "Layout not stored yet"),
            Self::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::UnknownNode => (S::NOT_FOUND, "unknown-node", "No such member"),
            Refusal::AmbiguousNode(_) => (S::CONFLICT, "ambiguous-node", "Several members are meant"),
            Refusal::Removed => (S::CONFLICT, "node-removed", "Removed member"),
            Refusal::Taken(_) => (S::CONFLICT, "name-taken", "Name or URL is another member's"),
            Refusal::LastActive => (S::CONFLICT, "last-active", "Last active member"),
            Refusal::TooFewNodes { .. } | Refusal::TooLittleWeight => {
                (S::CONFLICT, "needs-force", "Too little would be left")
            }
            Refusal::Changed(_) => (S::CONFLICT, "layout-changed", "Layout changed meanwhile"),
            Refusal::Unconfirmed(_) | Refusal::SteepWeight(..) => {
                (S::CONFLICT, "needs-confirmation", "Much would be moved")
            }
            Refusal::Copies | Refusal::Clock | Refusal::NotMember => {
                (S::CONFLICT, "layout-closed", "Layout cannot be changed here")
            }
        }
    }

    /// One sentence that tells the caller what to do.
    pub(super) fn detail(&self) -> String {
        let refusal = match self {
            Self::Bad(sentence) => return sentence.clone(),
            Self::Late => {
                return "This node could not store the change in time, and it may be made all the same; look at /layout before you send it again.".to_owned();
            }
            Self::Refused(refusal) => refusal,
        };
        let text = match refusal {
            LayoutRefusal::UnknownNode => {
                "No member has this name or id; look at /layout for the names, and write at least 8 digits of an id."
            }
            LayoutRefusal::AmbiguousNode(_) => {
                "Several members may be meant; name one by its whole id, as in candidates."
            }
            LayoutRefusal::Removed => {
                "This member was removed forever; start it on an empty data directory to have it join as a new one."
            }
            LayoutRefusal::Taken(Taken::Name(holder)) => {
                return format!(
                    "The member {holder} holds its name; give it another node.name, or remove that one first."
                );
            }
            LayoutRefusal::Taken(Taken::Url(holder)) => {
                return format!(
                    "The member {holder} holds its URL; give it another node.url, or remove that one first."
                );
            }
            LayoutRefusal::Copies => {
                "Set replication to 1 to 16 copies, and min_replication to 1 up to replication."
            }
            LayoutRefusal::LastActive => {
                "No active member would be left to take its images; activate or add another one first."
            }
            LayoutRefusal::TooFewNodes { left, needed } => {
                return format!(
                    "This would leave {left} of {needed} members that uploads need; add a member first, or send it again with force."
                );
            }
            LayoutRefusal::TooLittleWeight => {
                "Less than half of the cluster's weight answers this node, now or afterwards; bring members back first, or send it again with force."
            }
            LayoutRefusal::Changed(_) => {
                "The layout was changed since you looked at it; look at it again, and then send the change with its new hash."
            }
            LayoutRefusal::Unconfirmed(movement) => return confirmation(*movement),
            LayoutRefusal::SteepWeight(old, movement) => {
                let moved = confirmation(*movement);
                return format!("The weight is {old} now, and the new one is far from that. {moved}");
            }
            LayoutRefusal::Clock | LayoutRefusal::NotMember => {
                "The layout cannot be changed through this node; ask another one."
            }
        };
        text.to_owned()
    }

    /// The details for a program.
    pub(super) fn details(&self) -> Option<LayoutDetails> {
        let Self::Refused(refusal) = self else { return None };
        let candidate = |(node, name): &(_, _)| Candidate {
            id: ToString::to_string(node),
            name: ToString::to_string(name),
        };
        match refusal {
            LayoutRefusal::AmbiguousNode(nodes) => {
                let candidates = nodes.iter().map(candidate).collect();
                Some(LayoutDetails { candidates, ..LayoutDetails::default() })
            }
            LayoutRefusal::Changed(staged) => {
                Some(LayoutDetails { layout: Some(staged.to_string()), ..LayoutDetails::default() })
            }
            LayoutRefusal::Unconfirmed(movement) | LayoutRefusal::SteepWeight(_, movement) => {
                Some(LayoutDetails { moves: Some((*movement).into()), ..LayoutDetails::default() })
            }
            _ => None,
        }
    }
}

fn confirmation(movement: Movement) -> String {
    let percent = |part: u64| format!("{}.{} %", part / 10_000, part / 1_000 % 10);
    let bytes = movement
        .bytes
        .map_or_else(|| "an unknown number of bytes".to_owned(), |bytes| format!("about {bytes} bytes"));
    format!(
        "This makes {} of all copies on other nodes ({bytes}) and gives up {}; send it again with confirmed if that is meant.",
        percent(movement.made),
        percent(movement.dropped)
    )
}

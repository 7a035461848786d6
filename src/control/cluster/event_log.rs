//! The rate-limited log of cluster events. Some events come with every message, so each is logged at most once a
//! minute.

use std::collections::BTreeMap;

use super::PeerRejection;
use crate::cluster::core::{ClusterEvent, JoinRefusal};
use crate::cluster::layout::Taken;
use crate::cluster::node::{NodeId, NodeUrl};
use crate::cluster::time::Time;
use crate::cluster::view::View;

/// Between two lines of the same event.
const REPEAT_AFTER_MS: u64 = 60_000;

/// Remembered lines above which no further stranger is logged. All other events are bounded: at most three for each of
/// 1,024 members.
const REMEMBERED_MAX: usize = 128;

/// When each event was logged last.
#[derive(Default)]
pub(super) struct EventLog {
    events: BTreeMap<ClusterEvent, Time>,
    rejections: BTreeMap<PeerRejection, Time>,
}

impl EventLog {
    /// Logs the event, unless it was logged within the last minute.
    pub(super) fn log_event(&mut self, event: ClusterEvent, view: &View, now: Time) {
        let is_about_stranger = matches!(event, ClusterEvent::Refused(..) | ClusterEvent::Impostor(_));
        self.events.retain(|_, at| now.since(*at) < REPEAT_AFTER_MS);
        if is_about_stranger && self.events.len() >= REMEMBERED_MAX {
            return;
        }
        let is_news = matches!(
            event,
            ClusterEvent::Up(_) | ClusterEvent::Down(_) | ClusterEvent::MarkOut(_) | ClusterEvent::Promoted
        );
        if is_news || is_new(&mut self.events, event, now) {
            write_line(event, view);
        }
    }

    /// Logs why a peer rejected our gossip, under the same limit.
    pub(super) fn log_rejection(&mut self, rejection: PeerRejection, url: &NodeUrl, now: Time) {
        if is_new(&mut self.rejections, rejection, now) {
            match rejection {
                PeerRejection::ForeignCluster => log::error!(
                    "peer {url} rejected our gossip: it belongs to another cluster; correct cluster.name or cluster.join"
                ),
                PeerRejection::WrongSecret => log::error!(
                    "peer {url} rejected our gossip: its cluster.secrets do not include ours; set the same secret on both"
                ),
                PeerRejection::Unanswered => log::warn!(
                    "no node of cluster.join answers, so this node has no cluster yet and keeps asking: start one, or correct the URLs"
                ),
            }
        }
    }
}

fn is_new<T: Ord>(told: &mut BTreeMap<T, Time>, what: T, now: Time) -> bool {
    told.retain(|_, at| now.since(*at) < REPEAT_AFTER_MS);
    if told.contains_key(&what) {
        return false;
    }
    told.insert(what, now);
    true
}

fn write_line(event: ClusterEvent, view: &View) {
    let name =
        |node: NodeId| view.member(node).map_or_else(|| node.to_string(), |member| member.name.to_string());
    match event {
        ClusterEvent::Joined => log::info!("this node joined its cluster"),
        ClusterEvent::Founded => log::info!(
            "all nodes of cluster.join are new and name each other, so this node made the cluster's first layout with all of them"
        ),
        ClusterEvent::JoinRefused(refusal) => {
            log::error!("the cluster refuses this node, which keeps asking: {}", reason(refusal, name));
        }
        ClusterEvent::Refused(node, refusal) => {
            log::warn!(node = name(node); "this node refused the join of a node: {}", reason(refusal, name));
        }
        ClusterEvent::ClaimRefused(node, taken) => log::error!(
            node = name(node);
            "two members claim one name or URL, so this one owns nothing until that is corrected: {}", reason(JoinRefusal::Taken(taken), name)
        ),
        ClusterEvent::ClaimStands(node) => {
            log::info!(node = name(node); "no other member claims this member's name or URL any more, so it may own images")
        }
        ClusterEvent::Impostor(node) => {
            log::warn!(node = name(node); "a peer sent gossip in another node's name, and this node drops it: find out who has the cluster secret");
        }
        ClusterEvent::Up(node) => log::info!(node = name(node); "a member answers"),
        ClusterEvent::Down(node) => {
            log::warn!(node = name(node); "a member does not answer, so requests go to the other owners")
        }
        ClusterEvent::Promoted => {
            log::info!("every member acknowledged the proposed layout version, so it is current now")
        }
        ClusterEvent::ForeignCluster => {
            log::error!(
                "a node of another cluster sent gossip, and this node drops it: correct cluster.name on one side"
            );
        }
        ClusterEvent::Malformed => log::warn!(
            "a gossip message cannot be decoded, and this node drops it: compare the versions of the nodes"
        ),
        ClusterEvent::LayoutRefused => {
            log::error!(
                "a peer's layout cannot be merged with ours, so both stay: remove the nodes of clusters that were founded apart"
            )
        }
        ClusterEvent::DuplicateId => log::error!(
            "another live node has this node's id, so both refuse uploads: stop the one whose data directory is a copy"
        ),
        ClusterEvent::Removed => log::error!(
            "this node was removed from its cluster forever: stop it and run reticulum rejoin, or start it on an empty data directory, to join as a new node"
        ),
        ClusterEvent::MarkOut(node) => {
            log::warn!(node = name(node); "the cluster marked a member out after half an hour down, or took it back after a minute up")
        }
        ClusterEvent::NeedsOperator(node) => log::error!(
            node = name(node); "a member has been down for long and cannot be marked out automatically: bring it back, or remove it"
        ),
    }
}

/// The reason, and what to do.
fn reason(refusal: JoinRefusal, name: impl Fn(NodeId) -> String) -> String {
    match refusal {
        JoinRefusal::Taken(Taken::Name(holder)) => {
            format!("{} holds its name; give it another node.name, or remove that one first", name(holder))
        }
        JoinRefusal::Taken(Taken::Url(holder)) => {
            format!("{} holds its URL; give it another node.url, or remove that one first", name(holder))
        }
        JoinRefusal::Removed => {
            "its id was removed forever; run reticulum rejoin there, or start it on an empty data directory"
                .to_owned()
        }
        JoinRefusal::Full => {
            "the cluster has as many nodes as it can have; remove one that is not needed".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_said_once_a_minute() {
        let (mut told, at) = (BTreeMap::new(), Time::from_millis);
        let said: Vec<_> = [0, 2_000, 59_999, 60_000, 60_001]
            .into_iter()
            .filter(|millis| is_new(&mut told, PeerRejection::WrongSecret, at(*millis)))
            .collect();
        assert_eq!(said, [0, 60_000]);
        assert!(is_new(&mut told, PeerRejection::ForeignCluster, at(60_002)));
    }
}

//! Nodes whose join was refused, and why. Each is told in the response to its own gossip, for nothing is sent to the
//! URL that a stranger names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::cluster::core::JoinRefusal;
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;

/// Entries of about 60 bytes. More nodes at once are refused without a reason, the longest known first.
const COUNT_MAX: usize = 64;

/// A node that is refused asks again every two seconds, which makes its entry new.
const FRESH_MS: u64 = 10_000;

/// See the module's text. Written by control, read by the shards once for each message of another node's core.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<NodeId, (JoinRefusal, Time)>>);

impl Refusals {
    /// This node is refused.
    pub fn note(&self, node: NodeId, refusal: JoinRefusal, now: Time) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, (_, at)| now.since(*at) < FRESH_MS);
        while refused.len() >= COUNT_MAX && !refused.contains_key(&node) {
            let oldest = refused.iter().min_by_key(|(_, (_, at))| *at).map(|(node, _)| *node);
            refused.remove(&oldest.expect("invariant: refusals: a full map is not empty"));
        }
        refused.insert(node, (refusal, now));
    }

    /// Why this node is refused, if it is.
    pub fn of(&self, node: NodeId, now: Time) -> Option<JoinRefusal> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = refused.get(&node).filter(|(_, at)| now.since(*at) < FRESH_MS);
        found.map(|(refusal, _)| *refusal)
    }

    /// These are members now.
    pub fn forget(&self, is_member: impl Fn(NodeId) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|node, _| !is_member(*node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    #[test]
    fn a_refusal_is_told_until_it_is_old_or_the_node_is_a_member() {
        let (refusals, at) = (Refusals::default(), Time::from_millis);
        refusals.note(node(1), JoinRefusal::Full, at(0));
        refusals.note(node(2), JoinRefusal::Removed, at(5_000));
        assert_eq!(refusals.of(node(1), at(9_999)), Some(JoinRefusal::Full));
        assert_eq!(refusals.of(node(1), at(10_000)), None);
        refusals.forget(|member| member == node(2));
        assert_eq!(refusals.of(node(2), at(5_001)), None);
    }

    #[test]
    fn strangers_beyond_the_bound_displace_the_oldest() {
        let refusals = Refusals::default();
        (0..200).for_each(|number| {
            refusals.note(node(number), JoinRefusal::Full, Time::from_millis(number.into()))
        });
        let told =
            (0..200).filter(|number| refusals.of(node(*number), Time::from_millis(200)).is_some()).count();
        assert_eq!(told, COUNT_MAX);
        assert!(refusals.of(node(199), Time::from_millis(200)).is_some());
    }
}

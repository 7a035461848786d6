//! Whether this node is the one whose secret is wrong. A member that nobody believes is no member to anybody, although its
//! layout says so: it must not look ready.

use std::collections::BTreeMap;

use crate::cluster::node::NodeUrl;
use crate::cluster::time::Time;

/// For so long a rejection counts. Members that do not answer are asked every two seconds, three of them at a time.
const REJECTION_MS: u64 = 30_000;

/// Rejecting peers that are remembered: two are enough.
const REJECTING_MAX: usize = 8;

/// The evidence: who rejected this node's secret, and whether anybody has answered.
#[derive(Debug, Default)]
pub(super) struct Distrust {
    rejecting: BTreeMap<NodeUrl, Time>,
    was_answered: bool,
    is_answered: bool,
}

impl Distrust {
    /// A peer rejected this node's secret.
    pub(super) fn note_rejection(&mut self, url: &NodeUrl, now: Time) {
        self.rejecting.retain(|_, at| now.since(*at) < REJECTION_MS);
        if self.rejecting.len() < REJECTING_MAX || self.rejecting.contains_key(url) {
            self.rejecting.insert(url.clone(), now);
        }
    }

    /// Some other member answers, or none does.
    pub(super) fn set_answered(&mut self, is_answered: bool) {
        self.is_answered = is_answered;
        self.was_answered |= is_answered;
        if is_answered {
            self.rejecting.clear();
        }
    }

    /// Whether the secret of this node is the wrong one. Where two nodes reject each other, it is the one that nobody has
    /// answered since its start; where several reject one, it is that one.
    pub(super) fn is_wrong(&self) -> bool {
        let enough = if self.was_answered { 2 } else { 1 };
        !self.is_answered && self.rejecting.len() >= enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(number: u8) -> NodeUrl {
        NodeUrl::parse(&format!("http://n{number}:1")).unwrap()
    }

    #[test]
    fn the_node_that_nobody_has_answered_since_its_start_has_the_wrong_secret() {
        let (mut started, mut running) = (Distrust::default(), Distrust::default());
        running.set_answered(true);
        running.set_answered(false);
        for node in [&mut started, &mut running] {
            assert!(!node.is_wrong());
            node.note_rejection(&url(1), Time::from_millis(1));
        }
        assert!(started.is_wrong() && !running.is_wrong());
        started.set_answered(true);
        assert!(!started.is_wrong());
    }

    #[test]
    fn one_whose_secret_was_changed_while_it_ran_is_rejected_by_several_at_once() {
        let mut node = Distrust::default();
        node.set_answered(true);
        node.note_rejection(&url(1), Time::from_millis(1));
        node.note_rejection(&url(2), Time::from_millis(2));
        assert!(!node.is_wrong(), "a third answers still");
        node.set_answered(true);
        node.set_answered(false);
        assert!(!node.is_wrong(), "what was before an answer counts no more");
        node.note_rejection(&url(1), Time::from_millis(3));
        node.note_rejection(&url(2), Time::from_millis(3 + REJECTION_MS));
        assert!(!node.is_wrong(), "not at once");
        node.note_rejection(&url(1), Time::from_millis(4 + REJECTION_MS));
        assert!(node.is_wrong());
        (3..20).for_each(|number| node.note_rejection(&url(number), Time::from_millis(5 + REJECTION_MS)));
        assert_eq!(node.rejecting.len(), REJECTING_MAX);
    }
}

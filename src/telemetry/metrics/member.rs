//! Metrics of the cluster's members.

use super::counter::Counter;
use super::family::Sample;
use super::label::{Label, Member};

/// The number of members in each state, as this node sees them.
#[derive(Debug, Default)]
pub struct MemberMetrics([Counter; Member::ALL.len()]);

impl MemberMetrics {
    /// Sets how many there are in this state.
    pub fn set(&self, state: Member, count: u64) {
        self.0[state.index()].set(count);
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        let sample =
            |(state, text): &(Member, &'static str)| (vec![("state", *text)], self.0[state.index()].get());
        Member::ALL.iter().map(sample).collect()
    }
}

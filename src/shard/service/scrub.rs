//! A scrub that an operator asks for: every member reads all its copies back and walks through its store, at full pace.
//!
//! The asked node sends the request to every member. A member that does not answer is named. What is found is repaired
//! by each member as ever; the progress says how much of that is left.

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use super::super::Shard;
use super::super::errors::NotFound;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::view::View;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::store::scrub::{ScrubCounts, ScrubProgress};

/// The progress of one member, as other nodes and operators get it in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberScrub {
    /// Whether a pass that was asked for is under way: the scrub or the presence walk.
    pub running: bool,
    /// The part of all ids that the scrub's pass has behind it, from 0 to 1.
    pub position: f64,
    /// The copies that this pass has looked at so far.
    #[serde(flatten)]
    pub pass: PassCounts,
    /// Copies whose files had vanished, since a pass was asked for last.
    pub vanished: u64,
    /// Copies that are known to be missing, wrong or unreadable, and are still to be repaired.
    pub unrepaired: u64,
    /// Copies that could not be repaired, because no member has a good one.
    pub lost: u64,
    /// The ids of some of both.
    pub some_bad: Vec<String>,
    /// Images with a record that a copy is missing or misplaced: more than the copies to be repaired.
    pub repair_debt: u64,
    /// The last whole pass.
    pub last: Option<LastPass>,
}

/// The copies that a pass has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassCounts {
    /// Copies that were read to their end.
    pub copies: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Those whose bytes were wrong.
    pub corrupt: u64,
    /// Copies that the disk could not read.
    pub unreadable: u64,
}

/// The last whole pass of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPass {
    /// When it ended (RFC 3339), by that node's clock.
    pub ended: String,
    /// The copies that it looked at.
    #[serde(flatten)]
    pub pass: PassCounts,
}

/// The answers of all members.
#[derive(Clone, Debug)]
pub struct FromMembers<T> {
    /// By name, in order of names.
    pub answered: Vec<(String, T)>,
    /// The names of members that did not answer, in order.
    pub unreachable: Vec<String>,
}

impl Shard {
    /// Begins a pass at full pace on every member, in place of the one under way. Returns the members that have begun.
    ///
    /// # Errors
    /// [`NotFound::NotJoined`]
    pub async fn begin_scrub(self: &Rc<Self>) -> Result<FromMembers<()>, NotFound> {
        self.ask_members(async |view: &View, node: NodeId| {
            if node == view.this() {
                self.begin_scrub_here();
                return Some(());
            }
            self.ask_about_scrub(view, node, Call::BeginScrub).await.map(drop)
        })
        .await
    }

    /// The progress of every member, asked now.
    ///
    /// # Errors
    /// [`NotFound::NotJoined`]
    pub async fn scrub_progress(self: &Rc<Self>) -> Result<FromMembers<MemberScrub>, NotFound> {
        self.ask_members(async |view: &View, node: NodeId| {
            if node == view.this() {
                return Some(self.scrub_here());
            }
            let answer = self.ask_about_scrub(view, node, Call::Scrub).await?;
            serde_json::from_slice(&answer).ok()
        })
        .await
    }

    /// Begins a pass at full pace on this node, and tries again to repair what was lost.
    pub fn begin_scrub_here(self: &Rc<Self>) {
        self.node.scrub.start();
        self.node.manifests.walk();
        let lost = self.node.bad_copies.begin_pass();
        log::info!(lost = lost.len(); "an operator asked for a scrub, so the node reads all its copies back now");
        let shard = Rc::clone(self);
        self.spawn(async move {
            for id in lost {
                shard.enqueue_repair(id).await;
            }
        });
    }

    /// The progress of this node.
    pub fn scrub_here(&self) -> MemberScrub {
        // In this order: what a pass has found is among the bad copies before it ends.
        let is_walking = self.node.manifests.is_walking();
        let ScrubProgress { is_full_pace, position, counts, last } = self.node.scrub.progress();
        let bad = self.node.bad_copies.report();
        let stats = self.node.control.stats.newest();
        let debt = stats.by_node.get(&self.view().this()).and_then(|stats| stats.repair_debt);
        MemberScrub {
            running: is_full_pace || is_walking,
            // Four places, as shares have.
            position: (position * 1e4).round() / 1e4,
            pass: counts.into(),
            vanished: bad.vanished,
            unrepaired: bad.open,
            lost: bad.lost,
            some_bad: bad.some.iter().map(ToString::to_string).collect(),
            repair_debt: debt.unwrap_or_default().max(bad.open),
            last: last.map(|(ended, counts)| LastPass {
                ended: humantime::format_rfc3339_seconds(ended).to_string(),
                pass: counts.into(),
            }),
        }
    }

    async fn ask_about_scrub(&self, view: &View, node: NodeId, call: Call) -> Option<Vec<u8>> {
        let within = Duration::from_millis(ANSWER_MAX_MS);
        let answer = self.ask(view, node, call, Outgoing::empty(), within).await.ok()?;
        (answer.status == call::GIVEN).then(|| answer.bytes.to_vec())
    }

    /// Asks every member of this view at once; `None` of one that does not answer.
    async fn ask_members<T>(
        &self,
        ask: impl AsyncFn(&View, NodeId) -> Option<T>,
    ) -> Result<FromMembers<T>, NotFound> {
        self.need_cluster()?;
        let view = self.view();
        let (view, ask) = (&view, &ask);
        let mut asked: FuturesUnordered<_> = view
            .members()
            .map(|(node, member)| async move { (member.name.to_string(), ask(view, node).await) })
            .collect();
        let mut all = FromMembers { answered: Vec::new(), unreachable: Vec::new() };
        while let Some((name, answer)) = asked.next().await {
            match answer {
                Some(answer) => all.answered.push((name, answer)),
                None => all.unreachable.push(name),
            }
        }
        all.answered.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.unreachable.sort();
        Ok(all)
    }
}

impl From<ScrubCounts> for PassCounts {
    fn from(ScrubCounts { copies, bytes, corrupt, unreadable }: ScrubCounts) -> Self {
        Self { copies, bytes, corrupt, unreadable }
    }
}

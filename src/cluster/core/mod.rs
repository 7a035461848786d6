//! The cluster core of one node: membership, layout and what this node publishes of itself, driven by inputs.
//!
//! Its caller hands in messages, events and the time. After **every** call it drains [`Core::poll`] until that is
//! empty; at [`Core::next_deadline`] it hands in [`Input::Tick`].
//!
//! # Durable before published
//!
//! A node is bound by what it has published of itself: others may promote a version on it. So a layout is first handed
//! out to be persisted ([`Action::Persist`]), and only when that is confirmed do views and messages show it. A node
//! that forgot an acknowledgement could take a copy under a layout that the others have left.

mod durable;
mod founding;
mod gossip;
mod interface;
mod join;
mod mark_out;
mod message;
mod operate;
mod refusal;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::layout::{Edit, EditError, Layout, LayoutHash, Published, Role, StoreId, SyncHash, Taken};
use super::membership::{Membership, Peer};
use super::node::NodeId;
use super::protocol::deviation::Deviation;
use super::random::Random;
use super::time::Time;
use super::view::{LocalState, View, Writes};
use durable::{DurableLayout, remember};
pub use founding::Awaited;
use founding::Founding;
pub use interface::{Action, Boot, ClusterEvent, ClusterSettings, Input};
use message::Body;
pub use refusal::JoinRefusal;

/// A member's core. See the module's text for how to drive it.
pub struct Core {
    settings: ClusterSettings,
    /// While this node is fresh.
    founding: Option<Founding>,
    membership: Membership,
    random: Random,
    /// With everything that was merged and edited.
    working: Option<Layout>,
    /// The durable layout, which may be shown.
    durable: Option<DurableLayout>,
    is_changed: bool,
    holds_images: bool,
    /// Which of its stores this node has.
    store: StoreId,
    /// The snapshot that is being made durable.
    pending: Option<(u64, DurableLayout)>,
    sequence: u64,
    /// The last of these numbers that is durable, with everything that was changed before it was handed out.
    durable_sequence: u64,
    retry_at: Option<Time>,
    /// Layouts that `working` contains, each with the hash of its staged version, oldest first.
    known: VecDeque<(LayoutHash, SyncHash)>,
    alive: BTreeSet<NodeId>,
    /// Since when each other member answers, or does not.
    changed: BTreeMap<NodeId, Time>,
    needs_operator: BTreeSet<NodeId>,
    duplicate_until: Option<Time>,
    /// The latest instance that was heard of each other node.
    instances: BTreeMap<NodeId, Peer>,
    duplicate_told: BTreeMap<u64, Time>,
    /// The last refusal by a node that this one asked, while no member answers; or that this node was removed.
    join_refused: Option<JoinRefusal>,
    /// Another node holds the name or URL that this one's configuration gives it.
    claim_taken: Option<Taken>,
    /// Members whose claims to a name or URL do not stand, by `working`.
    refused_claims: BTreeMap<NodeId, Taken>,
    layout_sent: BTreeMap<NodeId, Time>,
    announce_at: Time,
    mark_out_at: Time,
    actions: VecDeque<Action>,
    view: Arc<View>,
    is_view_stale: bool,
}

/// Between rounds of announcements to members that do not answer: one that is back is seen within 5 s.
const ANNOUNCE_MS: u64 = 2_000;
/// Between decisions on members that are down for long.
const MARK_OUT_MS: u64 = 5_000;
/// For so long a duplicate node id is believed after the last message of it.
const DUPLICATE_MS: u64 = 60_000;
/// Between two messages of it to the same process.
const DUPLICATE_PAUSE_MS: u64 = 10_000;

impl Core {
    /// The core of a node that starts now.
    pub fn new(settings: ClusterSettings, boot: Boot, now: Time) -> Self {
        Self::deviating(settings, boot, None, now)
    }

    /// The same with a bug in it, for the simulator.
    pub fn deviating(settings: ClusterSettings, boot: Boot, deviation: Option<Deviation>, now: Time) -> Self {
        let Boot { this, generation, instance, seed, layout, was_member, holds_images } = boot;
        let peer = Peer { node: this, generation, incarnation: 0, instance, url: settings.about.url.clone() };
        let founds = layout.is_none() && settings.join.is_empty();
        let is_fresh = layout.is_none() && !was_member && !holds_images;
        let founding = if is_fresh { Founding::new(&settings, deviation) } else { None };
        let durable =
            layout.clone().map(|layout| DurableLayout::new(layout, this, VecDeque::new(), None, now));
        let mut random = Random::from_seed(seed);
        let membership = Membership::new(peer, Random::from_seed(random.next()));
        let mut core = Self {
            founding,
            membership,
            random,
            working: layout,
            durable,
            is_changed: false,
            holds_images,
            store: 0,
            pending: None,
            sequence: 0,
            durable_sequence: 0,
            retry_at: None,
            known: VecDeque::new(),
            alive: BTreeSet::new(),
            changed: BTreeMap::new(),
            needs_operator: BTreeSet::new(),
            duplicate_until: None,
            instances: BTreeMap::new(),
            duplicate_told: BTreeMap::new(),
            join_refused: None,
            claim_taken: None,
            refused_claims: BTreeMap::new(),
            layout_sent: BTreeMap::new(),
            announce_at: now,
            mark_out_at: now.after(MARK_OUT_MS),
            actions: VecDeque::new(),
            view: Arc::new(View::empty(this, now)),
            is_view_stale: true,
            settings,
        };
        if founds {
            core.working = Some(Layout::found(this, &core.settings.about, core.settings.copies));
            core.is_changed = true;
        }
        core.refresh_own_entry(false);
        core.check_claims();
        core.tick(now);
        core.run_effects(now);
        core
    }

    /// Takes an input. Drain [`Self::poll`] afterwards.
    pub fn handle(&mut self, input: Input<'_>, now: Time) {
        match input {
            Input::Tick => self.tick(now),
            Input::Message(from, bytes) => self.receive(from, bytes, now),
            Input::Refused(refusal) => self.handle_refusal(refusal),
            Input::Persisted(sequence) => self.persisted(sequence, now),
            Input::PersistFailed(sequence) => {
                if self.pending.take_if(|(pending, _)| *pending == sequence).is_some() {
                    (self.is_changed, self.retry_at) = (true, Some(now.after(1_000)));
                }
            }
            Input::Synced(hash) => {
                // The message was about another version than the durable one, and came too late.
                if self.durable.as_ref().is_some_and(|durable| durable.staged == hash) {
                    self.publish(|published| published.synced_to = Some(hash));
                }
            }
            Input::HoldsImages(holds) => {
                self.holds_images = holds;
                self.founding.take_if(|_| holds);
                self.publish(|published| published.holds_images = holds);
            }
            Input::Leave => self.membership.leave(now),
        }
        self.run_effects(now);
    }

    /// Changes the layout in the name of this node. Says whether anything changed. Drain [`Self::poll`]
    /// afterwards.
    ///
    /// # Errors
    /// [`EditError`]; then nothing was changed. `Unknown` also while this node belongs to no cluster.
    pub fn edit(&mut self, edit: &Edit, now: Time) -> Result<bool, EditError> {
        let this = self.this();
        let changed = self.working.as_mut().ok_or(EditError::Unknown)?.edit(this, edit)?;
        self.is_changed |= changed;
        self.run_effects(now);
        Ok(changed)
    }

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to hand in [`Input::Tick`] at the latest.
    pub fn next_deadline(&self) -> Time {
        let soon = [Some(self.announce_at), Some(self.mark_out_at), self.retry_at, self.duplicate_until];
        let own = soon.into_iter().flatten().min().expect("invariant: core: announcements never end");
        self.membership.next_deadline().map_or(own, |due| due.min(own))
    }

    /// The view that was last handed out.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The layout that is shown.
    pub fn layout(&self) -> Option<&Layout> {
        self.durable.as_ref().map(|durable| &durable.layout)
    }

    /// Members that are away for long and that an operator has to decide on.
    pub fn needs_operator(&self) -> impl Iterator<Item = NodeId> {
        self.needs_operator.iter().copied()
    }

    fn this(&self) -> NodeId {
        self.membership.this().node
    }

    fn tick(&mut self, now: Time) {
        self.membership.tick(now);
        if self.announce_at <= now {
            self.announce_at = now.after(ANNOUNCE_MS);
            if let Some(founding) = &mut self.founding {
                founding.age_promise();
            }
            self.membership.speak_up(now);
            self.announce();
        }
        if self.mark_out_at <= now {
            self.mark_out_at = now.after(MARK_OUT_MS);
            self.decide_mark_out(now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        if self.duplicate_until.is_some_and(|until| until <= now) {
            (self.duplicate_until, self.is_view_stale) = (None, true);
        }
    }

    fn persisted(&mut self, sequence: u64, now: Time) {
        let Some((_, mut durable)) = self.pending.take_if(|(pending, _)| *pending == sequence) else {
            return;
        };
        self.durable_sequence = sequence;
        let before = self.durable.as_ref();
        let is_first = before.is_none() && durable.layout.founder() == self.this();
        let promoted = before.is_some_and(|before| {
            before.layout.current != durable.layout.current && durable.layout.current.len() == 1
        });
        let same = before.filter(|before| before.layout.hash() == durable.layout.hash());
        durable.since = same.map_or(now, |before| before.since);
        remember(&mut self.known, (durable.layout.hash(), durable.staged));
        if !self.is_changed {
            durable.known.clone_from(&self.known);
        }
        (self.durable, self.is_view_stale) = (Some(durable), true);
        if promoted {
            self.event(ClusterEvent::Promoted);
        }
        if self.role(self.this()) == Some(Role::Removed) {
            self.event(ClusterEvent::Removed);
        }
        if is_first {
            self.send_first_layout(now);
        }
        self.gossip_layout(now);
    }

    /// Runs the effects of the input that was just handled.
    fn run_effects(&mut self, now: Time) {
        for (to, bytes) in self.membership.take_messages() {
            if self.is_member(to.node) {
                self.send(&to.url, Some(to.node), Body::Swim(bytes));
            }
        }
        self.watch_liveness(now);
        self.update_own_role();
        let this = self.this();
        if let Some(layout) = self.working.as_mut().filter(|_| self.is_changed) {
            layout.advance(this);
            if self.pending.is_none() && self.retry_at.is_none() {
                self.sequence += 1;
                let (known, before) = (self.known.clone(), self.durable.as_ref());
                let durable = DurableLayout::new(layout.clone(), this, known, before, now);
                let bytes = durable.layout.encode();
                self.actions.push_back(Action::Persist { sequence: self.sequence, bytes });
                (self.pending, self.is_changed) = (Some((self.sequence, durable)), false);
            }
        }
        assert!(
            !self.is_changed || self.working.is_none() || self.pending.is_some() || self.retry_at.is_some(),
            "invariant: core: a changed layout is on its way to the disk, or waits for it"
        );
        if std::mem::take(&mut self.is_view_stale) {
            self.show_view(now);
        }
        assert!(self.view.this() == this, "invariant: core: a node shows its own view");
    }

    fn watch_liveness(&mut self, now: Time) {
        let mut alive = self.membership.alive();
        alive.retain(|node| self.is_member(*node));
        if !alive.is_empty()
            && self.join_refused.take_if(|refusal| *refusal != JoinRefusal::Removed).is_some()
        {
            self.is_view_stale = true;
        }
        for node in alive.symmetric_difference(&self.alive).copied().collect::<Vec<_>>() {
            self.changed.insert(node, now);
            self.event(if alive.contains(&node) { ClusterEvent::Up(node) } else { ClusterEvent::Down(node) });
            self.is_view_stale = true;
        }
        self.alive = alive;
        assert!(!self.alive.contains(&self.this()), "invariant: core: a node does not watch itself");
    }

    /// A joining node becomes active by itself as soon as it has the layout and its claims stand; one whose claims do
    /// not goes back to joining. And no other store, name or URL than its own may be taken for its own.
    fn update_own_role(&mut self) {
        if self.is_changed {
            self.check_claims();
        }
        // Two processes with one id would write forever against each other.
        if self.duplicate_until.is_none() {
            self.reclaim();
        }
        let this = self.this();
        let Some(layout) = &mut self.working else { return };
        if layout.staged.role(this) == Some(Role::Joining) && !self.refused_claims.contains_key(&this) {
            self.is_changed |= layout.edit(this, &Edit::Role(this, Role::Active)).unwrap_or(false);
        }
        if self.duplicate_until.is_none() && layout.staged.store(this) != self.store {
            self.is_changed |= layout.edit(this, &Edit::Store(this, self.store)).unwrap_or(false);
        }
    }

    /// Checks which claims to a name or URL are refused. A member that owns images although its claim is refused is
    /// taken back to joining, by itself or by the first member that answers: it keeps what it has, and its copies
    /// count.
    fn check_claims(&mut self) {
        if self.claim_taken.is_some() {
            self.claim();
        }
        let this = self.this();
        let Some(layout) = &mut self.working else { return };
        let refused = layout.refused_claims();
        let is_first = |role: &dyn Fn(NodeId) -> Option<Role>| {
            !self.alive.iter().any(|node| *node < this && role(*node).is_some_and(Role::is_counted_on))
        };
        let decides_for_all = is_first(&|node| layout.staged.role(node));
        for node in refused.keys().copied().filter(|node| *node == this || decides_for_all) {
            if layout.staged.role(node) == Some(Role::Active) {
                self.is_changed |= layout.edit(this, &Edit::Role(node, Role::Joining)).unwrap_or(false);
            }
        }
        let before = std::mem::replace(&mut self.refused_claims, refused);
        let news = self.refused_claims.iter().filter(|(node, taken)| before.get(node) != Some(taken));
        let mut events: Vec<_> =
            news.map(|(node, taken)| ClusterEvent::ClaimRefused(*node, *taken)).collect();
        let settled = before.keys().filter(|node| !self.refused_claims.contains_key(node));
        events.extend(settled.map(|node| ClusterEvent::ClaimStands(*node)));
        events.into_iter().for_each(|event| self.event(event));
    }

    fn show_view(&mut self, now: Time) {
        let this = self.this();
        let view = match &self.durable {
            None => View::empty(this, now),
            Some(durable) => View::from_compiled(
                &durable.compiled,
                LocalState {
                    this,
                    since: durable.since,
                    alive: self.alive.clone(),
                    known: durable.known_by_its_versions(),
                    writes: self.writes(durable),
                    store: self.store,
                },
            ),
        };
        self.view = Arc::new(view);
        self.actions.push_back(Action::View(self.view.clone()));
    }

    /// Whether this node may take anything, and whether it belongs to a cluster at all.
    fn writes(&self, durable: &DurableLayout) -> Writes {
        let this = self.this();
        let is_lonely = self.is_lonely(&durable.layout);
        let taken = self.claim_taken.or_else(|| durable.compiled.refused_claims.get(&this).copied());
        match (durable.layout.staged.role(this), self.join_refused) {
            (None, _) => Writes::NotJoined,
            (Some(Role::Removed), _) | (_, Some(JoinRefusal::Removed)) => Writes::Removed,
            (_, Some(JoinRefusal::Taken(taken))) => Writes::Taken(taken),
            (_, Some(JoinRefusal::Full)) => Writes::NotJoined,
            (Some(_), None) if is_lonely => Writes::NotJoined,
            (Some(_), None) => match taken {
                Some(taken) => Writes::Taken(taken),
                None if self.duplicate_until.is_some() => Writes::DuplicateId,
                None => Writes::Allowed,
            },
        }
    }

    /// Whether this node is to join a cluster, but knows of no other: it has been a cluster of one, which it is to be no
    /// more.
    fn is_lonely(&self, layout: &Layout) -> bool {
        !self.settings.join.is_empty() && layout.nodes.len() == 1
    }

    fn publish(&mut self, change: impl FnOnce(&mut Published)) {
        let this = self.this();
        let Some(layout) = &mut self.working else { return };
        let Some(known) = layout.nodes.get(&this) else { return };
        let mut published = *known.published.value();
        change(&mut published);
        self.is_changed |= layout.publish(this, published).unwrap_or(false);
    }

    fn decide_mark_out(&mut self, now: Time) {
        let Some(durable) = &self.durable else { return };
        let this = self.this();
        for (node, _) in self.view.members().filter(|(node, _)| *node != this) {
            self.changed.entry(node).or_insert(now);
        }
        let decision = mark_out::decide(&durable.layout.staged, this, &self.alive, &self.changed, now);
        for edit in decision.edits {
            if let (Edit::Role(node, _), Some(layout)) = (&edit, &mut self.working)
                && layout.edit(this, &edit) == Ok(true)
            {
                self.is_changed = true;
                self.event(ClusterEvent::MarkOut(*node));
            }
        }
        for node in decision.needs_operator.difference(&self.needs_operator).copied().collect::<Vec<_>>() {
            self.event(ClusterEvent::NeedsOperator(node));
        }
        self.needs_operator = decision.needs_operator;
    }

    fn role(&self, node: NodeId) -> Option<Role> {
        self.working.as_ref()?.staged.role(node)
    }

    /// Whether this is a member that was not removed: only to those anything is sent that they have not asked for.
    fn is_member(&self, node: NodeId) -> bool {
        self.working.as_ref().is_some_and(|layout| layout.staged.is_member(node))
    }

    fn event(&mut self, event: ClusterEvent) {
        self.actions.push_back(Action::Event(event));
    }
}

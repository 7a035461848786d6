//! The event loop around the cluster core: it hands inputs to the core and runs the effects that the core asks for.
//!
//! It has no socket, file, clock or task of its own. All I/O is behind [`Effects`], so tests run several loops in memory.

use std::sync::Arc;

use crate::cluster::core::{Action, Awaited, Boot, ClusterEvent, ClusterSettings, Core, Input, JoinRefusal};
use crate::cluster::layout::Layout;
use crate::cluster::node::{NodeId, NodeUrl};
use crate::cluster::operator::{LayoutOutcome, LayoutRefusal, LayoutRequest};
use crate::cluster::time::Time;
use crate::cluster::view::View;

/// The I/O of the event loop, and the two facts that the loop must ask for.
pub(in crate::control) trait Effects {
    /// Sends these bytes to the node at this URL, which should be `node`. Does not wait; loss is fine.
    fn send(&mut self, url: &NodeUrl, node: Option<NodeId>, bytes: Vec<u8>);
    /// Makes this layout durable. Does not wait: the result comes back as [`Input::Persisted`] or
    /// [`Input::PersistFailed`].
    fn persist(&mut self, sequence: u64, bytes: Vec<u8>);
    /// Answers this node with a refusal when it sends something again.
    fn note_refusal(&mut self, node: NodeId, refusal: JoinRefusal, now: Time);
    /// Publishes this view to every shard.
    fn publish_view(&mut self, view: &Arc<View>);
    /// Writes this event to the log.
    fn log_event(&mut self, event: ClusterEvent, view: &View, now: Time);
    /// Whether the store holds any image, or is about to.
    fn holds_images(&self) -> bool;
    /// Whether every shard works by the view that was published last.
    fn is_view_published(&self) -> bool;
}

/// A core with its effects.
pub(in crate::control) struct EventLoop<E> {
    core: Core,
    effects: E,
}

impl<E: Effects> EventLoop<E> {
    /// A node that starts now.
    pub(in crate::control) fn new(settings: ClusterSettings, boot: Boot, effects: E, now: Time) -> Self {
        let mut event_loop = Self { core: Core::new(settings, boot, now), effects };
        event_loop.run_effects(now);
        event_loop
    }

    /// Hands an input to the core, and runs the effects that follow.
    pub(in crate::control) fn handle(&mut self, input: Input<'_>, now: Time) {
        self.core.handle(input, now);
        self.run_effects(now);
    }

    /// Changes the layout as an operator asks, and runs the effects that follow. The outcome may be told when
    /// [`Self::durable_sequence`] has reached what [`Self::changes_sequence`] is now.
    ///
    /// # Errors
    /// [`LayoutRefusal`]; then nothing was changed.
    pub(in crate::control) fn operate(
        &mut self,
        request: &LayoutRequest,
        bytes: Option<u64>,
        now: Time,
    ) -> Result<LayoutOutcome, LayoutRefusal> {
        let outcome = self.core.operate(request, bytes, now);
        self.run_effects(now);
        outcome
    }

    pub(in crate::control) fn changes_sequence(&self) -> u64 {
        self.core.changes_sequence()
    }

    pub(in crate::control) fn durable_sequence(&self) -> u64 {
        self.core.durable_sequence()
    }

    /// When to hand in [`Input::Tick`] at the latest.
    pub(in crate::control) fn next_deadline(&self) -> Time {
        self.core.next_deadline()
    }

    pub(in crate::control) fn view(&self) -> &Arc<View> {
        self.core.view()
    }

    pub(in crate::control) fn layout(&self) -> Option<&Layout> {
        self.core.layout()
    }

    pub(in crate::control) fn needs_operator(&self) -> impl Iterator<Item = NodeId> {
        self.core.needs_operator()
    }

    /// The known state of the nodes of the join list, while this node is fresh.
    pub(in crate::control) fn awaited(&self) -> impl Iterator<Item = (&NodeUrl, Awaited)> {
        self.core.awaited()
    }

    pub(in crate::control) fn effects(&mut self) -> &mut E {
        &mut self.effects
    }

    /// Runs all pending effects. Call it also when the shards or the store have changed by themselves.
    pub(in crate::control) fn run_effects(&mut self, now: Time) {
        self.run_actions(now);
        let view = self.core.view();
        // While no member holds an image there is nothing to move. A node reports its first image before it renames the
        // file, and all shards that could do so work by this version.
        let is_empty =
            view.holds_nothing() && !self.effects.holds_images() && self.effects.is_view_published();
        if let Some(version) =
            view.staged_version().filter(|version| is_empty && view.synced_to() != Some(*version))
        {
            self.core.handle(Input::Synced(version), now);
            self.run_actions(now);
        }
    }

    fn run_actions(&mut self, now: Time) {
        let mut events = Vec::new();
        while let Some(action) = self.core.poll() {
            match action {
                Action::Send { url, node, bytes } => self.effects.send(&url, node, bytes),
                Action::Persist { sequence, bytes } => self.effects.persist(sequence, bytes),
                Action::Refuse(node, refusal) => self.effects.note_refusal(node, refusal, now),
                Action::View(view) => self.effects.publish_view(&view),
                Action::Event(event) => events.push(event),
            }
        }
        // Logged after all actions: the newest view knows the names.
        for event in events {
            self.effects.log_event(event, self.core.view(), now);
        }
    }
}

//! Drives the core: hands it what happens, and does what it wants done. No socket, file, clock or task of its own:
//! all that is behind [`World`], so that tests drive several of these in memory.

use std::sync::Arc;

use crate::cluster::core::{Action, Boot, Core, Event, Input, Refusal, Settings};
use crate::cluster::layout::Layout;
use crate::cluster::node::{NodeId, NodeUrl};
use crate::cluster::time::Time;
use crate::cluster::view::View;

/// What a core wants done, and what must be known for it.
pub(in crate::control) trait World {
    /// Sends these bytes to the node at this URL, which should be `node`. Does not wait; loss is fine.
    fn send(&mut self, url: &NodeUrl, node: Option<NodeId>, bytes: Vec<u8>);
    /// Keeps this layout durably. Does not wait: the driver is told with [`Input::Persisted`] or
    /// [`Input::PersistFailed`].
    fn keep(&mut self, sequence: u64, bytes: Vec<u8>);
    /// Answers this node with a refusal when it sends something again.
    fn refuse(&mut self, node: NodeId, refusal: Refusal, now: Time);
    /// Gives every shard this view.
    fn show(&mut self, view: &Arc<View>);
    /// Tells whoever reads the log.
    fn tell(&mut self, event: Event, view: &View, now: Time);
    /// Whether the store holds any image, or is about to.
    fn holds_images(&self) -> bool;
    /// Whether every shard works by the view that was shown last.
    fn is_shown(&self) -> bool;
}

/// A core with its world.
pub(in crate::control) struct Driver<W> {
    core: Core,
    world: W,
}

impl<W: World> Driver<W> {
    /// A node that starts now.
    pub(in crate::control) fn new(settings: Settings, boot: Boot, world: W, now: Time) -> Self {
        let mut driver = Self { core: Core::new(settings, boot, now), world };
        driver.settle(now);
        driver
    }

    /// Hands in what happened, and does all that follows.
    pub(in crate::control) fn handle(&mut self, input: Input<'_>, now: Time) {
        self.core.handle(input, now);
        self.settle(now);
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

    pub(in crate::control) fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// What is done at the latest when all else is: to be called too when the world has changed by itself.
    pub(in crate::control) fn settle(&mut self, now: Time) {
        self.act(now);
        let view = self.core.view();
        // While nobody holds an image there is nothing to move. Whoever stores the first one says so before it
        // gets its name, and all shards that could do so work by this column.
        let is_empty = view.holds_nothing() && !self.world.holds_images() && self.world.is_shown();
        if let Some(column) =
            view.next_column().filter(|column| is_empty && view.synced_to() != Some(*column))
        {
            self.core.handle(Input::Synced(column), now);
            self.act(now);
        }
    }

    fn act(&mut self, now: Time) {
        let mut events = Vec::new();
        while let Some(action) = self.core.poll() {
            match action {
                Action::Send { url, node, bytes } => self.world.send(&url, node, bytes),
                Action::Persist { sequence, bytes } => self.world.keep(sequence, bytes),
                Action::Refuse(node, refusal) => self.world.refuse(node, refusal, now),
                Action::View(view) => self.world.show(&view),
                Action::Event(event) => events.push(event),
            }
        }
        // Told when all is done: the newest view knows the names.
        for event in events {
            self.world.tell(event, self.core.view(), now);
        }
    }
}

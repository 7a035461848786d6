//! The layout that is on the disk, with what is computed from it.

use std::collections::{BTreeSet, VecDeque};

use super::super::layout::{Layout, LayoutHash, StateHash, SyncHash};
use super::super::node::NodeId;
use super::super::time::Time;
use super::super::view::CompiledLayout;

/// A durable layout with what is needed of it often.
#[derive(Clone, Debug)]
pub(super) struct DurableLayout {
    pub(super) layout: Layout,
    pub(super) state: StateHash,
    pub(super) staged: SyncHash,
    pub(super) known: VecDeque<(LayoutHash, SyncHash)>,
    pub(super) since: Time,
    pub(super) compiled: CompiledLayout,
}

/// Layouts that are remembered to be contained in this one: changes come seconds apart, requests end within one.
const KNOWN_MAX: usize = 64;

impl DurableLayout {
    /// Of this layout, made durable at this time. `before` is the durable layout that it follows.
    pub(super) fn new(
        layout: Layout,
        this: NodeId,
        known: VecDeque<(LayoutHash, SyncHash)>,
        before: Option<&Self>,
        since: Time,
    ) -> Self {
        let (state, staged) = (layout.state_hash(), layout.staged.sync_hash());
        let compiled = CompiledLayout::new(&layout, this, before.map(|before| &before.compiled));
        Self { state, staged, known, since, compiled, layout }
    }

    /// The known layouts whose staged version is a version of this one. A staged version that was only passed through
    /// is not, and may yet be promoted by members that have not left it.
    pub(super) fn known_by_its_versions(&self) -> BTreeSet<LayoutHash> {
        let known = self.known.iter().filter(|(_, staged)| self.compiled.has_version(*staged));
        known.map(|(hash, _)| *hash).collect()
    }
}

/// Adds a layout that the own one contains, and forgets the oldest.
pub(super) fn remember(known: &mut VecDeque<(LayoutHash, SyncHash)>, layout: (LayoutHash, SyncHash)) {
    if !known.contains(&layout) {
        known.push_back(layout);
    }
    while known.len() > KNOWN_MAX {
        known.pop_front();
    }
    assert!(known.contains(&layout), "invariant: core: the layout that was made durable is remembered");
}

//! The parts of a shard that ask other nodes: what this node believes of the cluster, its connections to them, and the
//! questions under way. Whom to ask, and what for, is decided in [`super::service`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::cache::CacheKey;
use super::service::gate::Gate;
use super::service::variant::Asking;
use crate::cluster::node::NodeId;
use crate::cluster::view::View;
use crate::peer::auth::Identity;
use crate::peer::pool::Pool;

/// One shard's access to other nodes.
#[derive(Debug)]
pub(super) struct Peers {
    /// Replaced as a whole; a rule that is applied over an await takes the newest each time.
    view: RefCell<Arc<View>>,
    /// Control's number of that view; 0 of the one that the shard began with.
    number: Cell<u64>,
    /// Connections to other nodes.
    pub(super) pool: Pool,
    /// Requests for variants to other nodes.
    pub(super) asking: RefCell<HashMap<CacheKey, Rc<Asking>>>,
    /// The admission of those requests to each node.
    pub(super) gates: RefCell<HashMap<NodeId, Rc<Gate>>>,
}

impl Peers {
    /// No connections yet; `view` holds until [another](Self::set_view) comes.
    pub(super) fn new(identity: &Arc<Identity>, view: Arc<View>) -> Self {
        Self {
            view: RefCell::new(view),
            number: Cell::new(0),
            pool: Pool::new(Arc::clone(identity)),
            asking: RefCell::default(),
            gates: RefCell::default(),
        }
    }

    /// The current view of the cluster.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Control's number of the current view.
    pub(super) fn view_number(&self) -> u64 {
        self.number.get()
    }

    /// This view holds from now on.
    pub(super) fn set_view(&self, view: Arc<View>, number: u64) {
        drop(self.view.replace(view));
        self.number.set(number);
    }
}

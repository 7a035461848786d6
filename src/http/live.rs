//! Settings that may change while a node runs: keys, presets and access rules.
//!
//! One place for the node, which control replaces; each shard keeps its own copy and looks at a number
//! to see whether it is still the newest, so that a request takes no lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::HttpSettings;
use super::access::Access;
use super::access::unproven_forms::UnprovenForms;

/// The node's settings as of the last load.
#[derive(Debug)]
pub struct Live {
    version: AtomicU64,
    newest: Mutex<HttpSettings>,
}

/// A shard's copy.
pub(super) struct Rules {
    live: Arc<Live>,
    version: Cell<u64>,
    settings: RefCell<Rc<HttpSettings>>,
    access: RefCell<Rc<Access>>,
    unproven_forms: Rc<UnprovenForms>,
}

impl Live {
    /// These settings, until they are replaced.
    pub fn new(settings: HttpSettings) -> Self {
        Self { version: AtomicU64::new(0), newest: Mutex::new(settings) }
    }

    /// Takes keys, presets and the rules of access from `settings`; limits stay as they were at the start.
    pub fn reload(&self, settings: HttpSettings) {
        let HttpSettings { presets, only_presets, preset_overrides, access, .. } = settings;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = HttpSettings { presets, only_presets, preset_overrides, access, ..newest.clone() };
        // Released with the lock still held: a reader that sees the number finds the settings.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The operator key, as of the last load.
    pub fn operator_key(&self) -> String {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).access.operator_key.clone()
    }

    fn newest(&self) -> (u64, HttpSettings) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        (self.version.load(Ordering::Acquire), newest.clone())
    }
}

impl Rules {
    pub(super) fn new(live: Arc<Live>) -> Self {
        let (version, settings) = live.newest();
        let access = RefCell::new(Rc::new(Access::new(&settings.access)));
        let unproven_forms = Rc::default();
        Self {
            live,
            version: Cell::new(version),
            settings: RefCell::new(Rc::new(settings)),
            access,
            unproven_forms,
        }
    }

    /// Forms of this shard that have shown no key yet.
    pub(super) fn unproven_forms(&self) -> &Rc<UnprovenForms> {
        &self.unproven_forms
    }

    /// The number of the newest load. Another one means other answers.
    pub(super) fn version(&self) -> u64 {
        self.live.version.load(Ordering::Acquire)
    }

    /// The newest settings and rules of access, with the number of their load.
    pub(super) fn current(&self) -> (Rc<HttpSettings>, Rc<Access>, u64) {
        if self.version() != self.version.get() {
            let (version, settings) = self.live.newest();
            *self.access.borrow_mut() = Rc::new(Access::new(&settings.access));
            *self.settings.borrow_mut() = Rc::new(settings);
            self.version.set(version);
        }
        (Rc::clone(&self.settings.borrow()), Rc::clone(&self.access.borrow()), self.version.get())
    }
}

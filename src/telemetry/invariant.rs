//! Broken invariants end the process; every other panic is caught where it arises.
//!
//! A panic in a request is answered 500, and one in a background task ends that task: a picture that trips a decoder must
//! not cost the node. A broken invariant is another matter. The state that it was found in is wrong, and a node that goes
//! on may answer, delete or acknowledge by it. So the process ends at once, before anything is unwound through.
//!
//! Nothing but the message tells the two apart, so that modules without any log or process can state invariants too:
//! `assert!(owners <= replication, "invariant: placement: no more owners than replicas")`. Only a programmer's error breaks
//! one. Input of a client, a peer, a disk or an operator is checked and refused, never asserted.

use std::any::Any;
use std::panic;

/// The beginning of every such message.
pub const PREFIX: &str = "invariant: ";

/// From now on a broken invariant is logged and ends this process, whatever would have caught the panic.
pub fn end_process_when_broken() {
    let ordinary = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let Some(broken) = broken_invariant(panic.payload()) else { return ordinary(panic) };
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log::error!(broken, place; "an invariant is broken, so the process ends at once; restart the node and report this line");
        log::logger().flush();
        std::process::abort();
    }));
}

/// The name of the invariant that a panic reports as broken.
fn broken_invariant(payload: &dyn Any) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))?.strip_prefix(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_that_begins_so_reports_a_broken_invariant() {
        let (fixed, formatted) = ("invariant: mesh: room", format!("{PREFIX}{}", 7));
        assert_eq!(broken_invariant(&fixed), Some("mesh: room"));
        assert_eq!(broken_invariant(&formatted), Some("7"));
        assert_eq!(broken_invariant(&"no invariant: it is a sentence"), None);
        assert_eq!(broken_invariant(&7), None);
    }
}

//! What clients ask of a node, and what they get.
//!
//! * Answers: [`originals`], [`private_originals`], [`conditions`], [`variants`], [`options`], [`presets`], [`negotiation`], [`grammar`], [`routes`].
//! * Rights: [`access`], [`signed`], [`proxied`].
//! * Requests sent to hurt: [`wire`], [`desync`], [`strangers`], [`fairness`].

pub(crate) mod access;
mod conditions;
pub(crate) mod deletes;
mod desync;
mod fairness;
mod grammar;
mod negotiation;
mod options;
mod originals;
mod presets;
mod private_originals;
mod proxied;
mod routes;
pub(crate) mod signed;
mod strangers;
mod variants;
mod wire;

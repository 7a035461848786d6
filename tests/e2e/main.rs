//! End-to-end tests: the real binary, asked over real sockets, in a directory of its own.
//!
//! All of them are modules of one binary, which links once. Every test starts its own [`harness::Node`]
//! on its own port, so that they run side by side; none sleeps to wait for a state.
//!
//! * [`harness`]: a running node, its directory, its logs. [`client`]: exact bytes in, answer out.
//!   [`nodes`]: several nodes that are one cluster. [`nginx`]: a reverse proxy before a node.
//!   [`disks`]: disks that can be filled, frozen and taken away.
//!   [`pictures`] (and [`jpeg`]): images drawn and decoded by the tests themselves.
//! * What goes in: [`uploads`], [`refusals`], [`bodies`]. What comes out: [`originals`], [`conditions`], [`variants`],
//!   [`options`], [`glance`], [`presets`], [`negotiation`], [`grammar`], [`routes`]. What is sent to hurt: [`wire`],
//!   [`desync`], [`strangers`], [`descriptors`], [`overload`], [`fairness`], [`costly`], [`corpus`].
//! * What a node is told: [`configuration`], [`settings`], [`reload`]. Who may do what: [`access`], [`forms`], [`signed`], [`proxied`].
//! * How nodes become a cluster and stay one: [`cluster`], [`joining`]. Where images lie in it: [`copies`]. What lasts: [`cache`], [`crash`], [`disk`], [`health`], [`losses`], [`start`], [`lifecycle`]. What a user types: [`commands`], [`demo`].

mod client;
mod disks;
mod harness;
mod jpeg;
mod links;
mod nginx;
mod nodes;
mod pictures;

mod access;
mod bodies;
mod bounds;
mod cache;
mod cluster;
mod commands;
mod conditions;
mod configuration;
mod copies;
mod corpus;
mod costly;
mod crash;
mod crowd;
mod damage;
mod demo;
mod descriptors;
mod desync;
mod disk;
mod fairness;
mod forms;
mod glance;
mod grammar;
mod health;
mod joining;
mod lifecycle;
mod losses;
mod negotiation;
mod options;
mod originals;
mod overload;
mod partition;
mod presets;
mod proxied;
mod refusals;
mod reload;
mod routes;
mod settings;
mod signed;
mod start;
mod strangers;
mod uploads;
mod variants;
mod wire;

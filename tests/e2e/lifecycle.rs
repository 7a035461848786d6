//! One node from start to stop: what it is told, and what lasts when it dies.

mod configuration;
mod crash;
mod descriptors;
mod disk;
mod manifests;
mod reload;
mod settings;
mod start;
mod stop;

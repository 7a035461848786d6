//! Uploads: which the node takes, which it refuses, and what it keeps of them.

mod accepted;
mod bodies;
mod corpus;
mod form_keys;
mod refused;

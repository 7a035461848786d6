//! Rules that the compiler does not guard: which module may name which, how large a file or function may grow,
//! which names and words it uses, and text that must not stand in the source.
//!
//! Every test reads the source as text; every complaint says what to do.

mod cycles;
mod habits;
mod invariants;
mod layers;
mod limits;
mod promises;
mod source;
mod types;
mod words;

//! Several nodes: how they become a cluster, where images lie in it, and what it survives.

mod copies;
mod damage;
mod deletes;
mod five_nodes;
mod health;
mod joining;
mod losses;
mod membership;
mod moves;
mod operator;
mod partition;
mod scrub;

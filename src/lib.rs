//! Reticulum: a distributed image and thumbnail server.
//!
//! # Code map
//!
//! Data flows one way: socket → [`http`] → [`shard`] → ([`store`] | [`image`] | [`peer`]) → [`shard`] → [`http`] → socket.
//! [`control`] is never on that way. In reading order:
//!
//! * [`object`]: the nouns that all modules share (id, format, spec). Parse and print only.
//! * [`image`]: pure functions on bytes: inspect, size, decode, scale, encode. No I/O, no clock, no log.
//! * [`cluster`]: the cluster core, sans-IO: membership, layout, placement, view, and the rules for answers. No I/O, no clock.
//! * [`store`]: this node's disk: spool, originals, variants, records, quarantine.
//! * [`peer`]: requests to other nodes: connection pool, authentication, wire forms.
//! * [`shard`]: one core: mailbox, mesh, memory cache, jobs in flight, resize queue and worker.
//! * [`http`]: connections, admission, fast path, endpoints, replies; and what other nodes may ask.
//! * [`control`]: one per process: start, signals, stop, watchdog, and the event loop around the cluster core.
//! * [`config`] and [`cli`]: what was configured and typed, checked before anything starts.
//! * [`telemetry`]: log and metrics.
//! * [`executor`]: work that blocks, beside an executor.
//! * [`client`] and [`demo`]: commands that ask nodes from outside, an offline check, a cluster to try. No part of a node.
//!
//! # Glossary
//!
//! A term's other name, or its source in the literature, stands in brackets.
//!
//! ## Images
//!
//! * **image**, **original**: the immutable upload (an object in an object store).
//! * **id**: the lower-case hex SHA-1 of an image's bytes (content addressing, as in Git).
//! * **variant**: anything derived from an image (a *transformation* or *processed image* in imgproxy, Thumbor).
//! * **spec**: the transformation as a URL says it; **recipe**: a spec with every default filled in. The recipe alone
//!   decides the bytes, and its digest is the cache key.
//! * **preset**: a spec with a name (imgproxy).
//! * **shrink-on-load**: decoding at a fraction of the size (libjpeg's scaled decoding; libvips' word).
//! * **MCU**: the blocks of a JPEG that are coded together (ITU-T T.81). **Lane**: one element of a SIMD vector.
//!   **Grid**: an AVIF image made of tiles (HEIF, ISO/IEC 23008-12).
//! * **placeholder**: a tiny preview and the average color, known before the image (ThumbHash).
//! * **decoded planes**: what one decode leaves for the next one of the same image (a *mipmap* pyramid).
//!
//! ## One node
//!
//! * **node**: one running `reticulum serve`, with its data directory and its **node id** for life.
//! * **shard**: one core's executor with its slice of ids, its listener and its resize worker (thread per core, *shared
//!   nothing*: Seastar). A shard **holds** an id; an owner is a node.
//! * **mesh**: requests and replies between shards; a **mailbox** is a shard's bounded channel; its **pump** handles
//!   the messages (actor model).
//! * **memory cache**: whole responses, evicted by a scan-resistant rule (S3-FIFO, CLOCK-Pro).
//! * **fast path**: a cache hit that is answered before the HTTP library sees the request.
//! * **single-flight**: one job in flight for each variant, however many requests wait for it (Go's `singleflight`;
//!   *request coalescing* in caching proxies).
//! * **resize queue**: bounded, fair by client (fair queueing: Nagle, RFC 970; round robin). **Pre-generation**: jobs
//!   that run only while no request waits.
//! * **decode budget**: bytes of pixels that may be alive at once on the node (a counting semaphore).
//! * **rate limit**: cold variants and uploads for each client (token bucket as GCRA, ITU-T I.371).
//! * **admission**: who gets a connection slot when all are in use; the rest waits, or is turned away (load shedding).
//! * **helper process**: does what cannot be interrupted, and may be killed (privilege separation: OpenSSH).
//! * **control link**: the channels between shards and control. **Heartbeat**: control's sign of life, which the
//!   **watchdog** checks.
//! * **latch**: an event that happens once and that many tasks wait for.
//!
//! ## The disk
//!
//! * **spool**: an upload's temporary file, hashed while it is received. Durable means: synced, renamed, directory
//!   synced.
//! * **verification**: stored bytes are hashed against their id before they count (end-to-end argument: Saltzer et
//!   al.). **Scrub**: verifying everything in the background (ZFS).
//! * **quarantine**: where a copy goes that failed its hash. It is replaced from another node (read repair: Dynamo).
//! * **bad copy**: one that is missing, wrong or unreadable, until a good one is in its place; **lost** where no node has
//!   one.
//! * **manifest**: a file that remembers which images lie in an `<aa>` of the store; its **keeper** is a thread. The
//!   **presence walk** compares manifests with the directories.
//! * **digest**: the sum of the hashes of a slot's ids, in a tree (Merkle tree; Dynamo's anti-entropy).
//! * **reaper**: removes temporary files that nobody owns.
//! * **journal**: a durable, append-only record (write-ahead log). The log lines of a program are no journal.
//! * **reserve**: free space that a node does not fill; below it the node takes no uploads (*watermark*).
//!
//! ## The cluster
//!
//! * **membership**: who answers, by probes, suspicion and refutation; **incarnation**: the number by which a node
//!   refutes (SWIM: Das et al.; the crate foca).
//! * **gossip**: messages between cores, spread by random peers; **push-pull** compares whole states (epidemic
//!   algorithms: Demers et al.).
//! * **layout**: who is a member, with which role, weight and zone; a CRDT of last-writer-wins registers with lamport
//!   clocks (Garage's *cluster layout*; Shapiro et al.).
//! * **layout version**: **staged** by edits, **proposed** when all are in sync, **acknowledged** by each member, then
//!   **current** (two-phase commit; the configuration change of Raft).
//! * **join**, **announcement**, **duplicate node id**: how nodes meet. **Bootstrap settings** count until there is a
//!   layout; later differences are **configuration drift**.
//! * **founding**: how a cluster gets its first layout: by one node alone, or by **fresh** nodes that name each other, in
//!   **rounds** with **promises** (a double collect: Afek et al.'s snapshots; promises: Paxos).
//! * **automatic mark-out**: a member that is down for half an hour is taken out of the layout (Ceph's *out*).
//! * **slot**: one of 2^20 parts of all ids (Riak's *vnode* or partition; Garage's partition).
//! * **placement**: the owners of a slot, by weighted rendezvous hashing, zones spread first (highest random weight:
//!   Thaler and Ravishankar).
//! * **owner**: a node to which placement assigns an id. **Fallback**: the next node in placement order.
//! * **view**: one node's immutable picture of members, layout and placement.
//! * **replica**: one node's copy of an image. **Replication** copies are wanted; **min_replication** must be durable
//!   before an upload is acknowledged (N and W in Dynamo).
//! * **misplaced replica**: a copy on a node that is no owner, as after a layout change; a **hinted replica** is one
//!   that a fallback keeps for an owner that is down (hinted handoff and sloppy quorum: Dynamo).
//! * **absence proof**: why "no such image" may be answered 404: too few nodes are out of reach to hold every copy
//!   (quorum intersection: Gifford).
//! * **excess replica**: a copy too many; it is trimmed only with verified-copy **receipts** of all owners.
//! * **under-replicated**: an id with fewer copies than wanted; **repair** makes them again (anti-entropy: Dynamo).
//! * **tombstone**: the record of a delete that outlives the data (Bigtable, Cassandra).
//! * **draining**: a member that hands its share over before it leaves.
//! * **sans-IO**: logic that takes inputs and the time and returns effects, so that a seeded **simulator** can run it
//!   (FoundationDB; TigerBeetle's VOPR).

pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod control;
pub mod demo;
pub mod executor;
pub mod http;
pub mod image;
pub mod object;
pub mod peer;
pub mod shard;
pub mod store;
pub mod telemetry;

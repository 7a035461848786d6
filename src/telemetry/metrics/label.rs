//! The labels of metrics: closed sets, never an id, path or address.

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// All of them, with their texts.
    const ALL: &'static [(Self, &'static str)];
    /// Position in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $(#[doc = concat!("`", $text, "`")] $variant),* }
        impl Label for $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $text)),*];
            fn index(self) -> usize { self as usize }
        }
    };
}

label!(
    /// Which route a request took.
    Route { Upload = "upload", Image = "image", Info = "info", Health = "health", Metrics = "metrics", Peer = "peer", Other = "other" }
);
label!(
    /// The source of a response's bytes.
    Cache { None = "none", Memory = "memory", Disk = "disk", Peer = "peer", Miss = "miss", Coalesced = "coalesced" }
);
label!(
    /// The stages of making a variant.
    Stage { Queue = "queue", Read = "read", Decode = "decode", Resize = "resize", Encode = "encode", Store = "store", Peer = "peer" }
);
label!(
    /// The outcome of a resize.
    Resize { Ok = "ok", Refused = "refused", Deadline = "deadline", Failed = "failed", Cancelled = "cancelled" }
);
label!(
    /// Why a request of another node was rejected.
    Unproven { Unsigned = "unsigned", Version = "version", Cluster = "foreign", Proof = "proof", Replay = "replay" }
);
label!(
    /// The state of a cluster member, by the layout.
    Member { Joining = "joining", Active = "active", Draining = "draining", Out = "out" }
);
label!(
    /// Why a copy was made: `repair`: its node lacked it, or had a bad one. `scrub`: the same, found by the scrub or the
    /// presence walk. `move`: its node became an owner. `handover`: another node gave up its misplaced one.
    CopyCause { Repair = "repair", Move = "move", Handover = "handover", Scrub = "scrub" }
);
label!(
    /// A kind of message between threads: of a mailbox, of the control link, of control itself, jobs, and of the store.
    ChannelMessage {
        Request = "request", Withdrawal = "withdrawal", Reply = "reply", Made = "made", Kept = "kept", Listen = "listen",
        View = "view", Drain = "drain", Stop = "stop", End = "end", ViewTaken = "view_taken",
        HoldsImages = "holds_images", Synced = "synced", Gossip = "gossip", OwnGossip = "own_gossip", Job = "job",
        LayoutPersisted = "layout_persisted", PeerRejected = "peer_rejected", JoinRefused = "join_refused",
        NodeStats = "node_stats", Leave = "leave", Left = "left", Lifecycle = "lifecycle",
        OperatorCall = "operator_call", OperatorReply = "operator_reply",
        Manifest = "manifest", Finding = "finding",
    }
);
label!(
    /// Why a channel refused a message: it was full, or nobody receives any more.
    ChannelRefusal { Full = "full", Closed = "closed" }
);

//! The API for clients: one file per use case.
//!
//! * `dispatch`: which file answers which endpoint.
//! * `endpoint`: a request's line as a type (pure). `presets`: the meaning of a preset's name (pure).
//! * `upload` (`form`, `gate`), `image`: the two long answers. `info`: a short one. `listing`: the ids in order.
//!   `status`: the cluster. `layout`, `layout_change`: who owns what. `member`: what both say of a member. `placement`:
//!   the copies of one image. `scrub`: all copies are read back now.
//! * `download`: names of saved files (pure). `negotiate`: the format of an `auto` URL (pure).

mod dispatch;
mod download;
mod endpoint;
mod erasure;
mod image;
mod info;
mod layout;
mod layout_change;
mod listing;
mod member;
mod negotiate;
mod placement;
mod presets;
mod scrub;
mod status;
mod upload;

pub(super) use self::dispatch::answer;
pub(super) use self::endpoint::Endpoint;

//! The metadata of an image, and the nodes that hold it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use super::super::Shard;
use super::super::errors::{DescribeError, NotFound, ReadError};
use super::STARTED;
use super::driver::Work;
use super::read::FetchedFrom;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::ANSWER_MAX_MS;
use crate::cluster::protocol::locate::WantedImage;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::read::order::placement_order;
use crate::cluster::protocol::read::{FetchReply, Read, ReadPart};
use crate::cluster::view::View;
use crate::image::placeholder::Placeholder;
use crate::image::shape::Size;
use crate::object::ObjectId;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call};
use crate::peer::erasure::read_record;
use crate::store::StoreError;
use crate::store::originals::{Described, Found};

/// The time that this node's disk has before other nodes are asked: a long image is read whole the first time.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(2);

/// The metadata of an image, as clients and other nodes get it in JSON.
#[derive(Serialize, Deserialize)]
pub struct Description {
    /// Its id.
    pub hash: String,
    /// Bytes.
    pub length: u64,
    /// Of its format.
    pub extension: String,
    /// Pixels, as displayed.
    pub width: u32,
    /// Pixels, as displayed.
    pub height: u32,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// Frames of an animation, or 1.
    pub frames: u32,
    /// Whether any pixel may be transparent.
    pub has_alpha: bool,
    /// The colour model.
    pub color: String,
    /// The name of the colour space; this and the next three are unknown where a node of an older version said nothing.
    #[serde(default)]
    pub color_space: Option<String>,
    /// Whether it is for bright displays.
    #[serde(default)]
    pub hdr: Option<bool>,
    /// Whether it has content credentials.
    #[serde(default)]
    pub c2pa: Option<bool>,
    /// Whether it tells where it was taken.
    #[serde(default)]
    pub location: Option<bool>,
    /// The average colour, as `rrggbb` in hexadecimal; unknown until a variant was made.
    pub average: Option<String>,
    /// The ThumbHash in base64; unknown until a variant was made.
    pub thumbhash: Option<String>,
    /// Names of the nodes that have a copy.
    pub nodes: Vec<String>,
    /// Upload time (RFC 3339).
    pub uploaded: String,
}

impl Shard {
    /// Describes an image, wherever it is.
    ///
    /// # Errors
    /// [`DescribeError`]
    pub async fn describe_image(self: &Rc<Self>, id: ObjectId) -> Result<Description, DescribeError> {
        self.refuse_gone(&id)?;
        let described = match self.with_patience(DESCRIBED_WITHIN, self.describe(id)).await {
            Some(described) => described?,
            None => Err(StoreError::Late("describe an image")),
        };
        let is_here = matches!(described, Ok(Described::Here(..) | Described::Refused(_)));
        if is_here || self.is_whole_cluster() {
            return self.description(id, described?).await;
        }
        let said = match &described {
            Ok(Described::Absent) => self.said_here(&Ok(Found::Absent)),
            Ok(_) => self.said_here(&Ok(Found::Damaged)),
            Err(_) => LookupReply::Unknown,
        };
        self.need_cluster()?;
        let machine = Read::new(WantedImage { id, here: said, started: STARTED }, ReadPart::Description);
        let ask =
            |view, from, within| -> Work<'_, _> { Box::pin(self.description_from(view, from, id, within)) };
        let description = self.drive_read(id, machine, ask).await??;
        // A disk that takes its time is no lack.
        if !matches!(described, Err(StoreError::Late(_))) {
            self.note_lack(id);
        }
        Ok(description)
    }

    /// Describes an image that this node has.
    ///
    /// # Errors
    /// [`DescribeError`]; a [`NotFound::Absent`] says only that it is not here.
    pub async fn describe_own(self: &Rc<Self>, id: ObjectId) -> Result<Description, DescribeError> {
        self.refuse_gone(&id)?;
        let described = self.describe(id).await??;
        self.description(id, described).await
    }

    async fn description(
        self: &Rc<Self>,
        id: ObjectId,
        described: Described,
    ) -> Result<Description, DescribeError> {
        let (original, header, details) = match described {
            Described::Here(original, header, details) => (original, header, details),
            Described::Absent => return Err(NotFound::Absent.into()),
            Described::Damaged(_) => return Err(ReadError::Damaged.into()),
            Described::Refused(error) => return Err(DescribeError::Refused(error.to_string())),
        };
        let placeholder = self.facts(id).await?;
        let Size { width, height } = header.displayed();
        Ok(Description {
            hash: id.to_string(),
            length: original.length,
            extension: original.format.extension().to_owned(),
            width,
            height,
            orientation: header.orientation.value(),
            frames: header.frames,
            has_alpha: header.has_alpha,
            color: header.color.to_string(),
            color_space: Some(details.color_space.as_str().to_owned()),
            hdr: Some(details.is_hdr),
            c2pa: Some(details.has_c2pa),
            location: Some(details.has_location),
            average: placeholder
                .as_ref()
                .map(|Placeholder { average: [r, g, b], .. }| format!("{r:02x}{g:02x}{b:02x}")),
            thumbhash: placeholder.map(|placeholder| STANDARD.encode(placeholder.thumbhash)),
            nodes: vec![self.node.name.clone()],
            uploaded: humantime::format_rfc3339_seconds(original.modified).to_string(),
        })
    }

    /// Another node's description of an image, or why there is none anywhere.
    async fn description_from(
        self: &Rc<Self>,
        view: Arc<View>,
        node: NodeId,
        id: ObjectId,
        within: Duration,
    ) -> FetchedFrom<Result<Description, DescribeError>> {
        let asked = self.ask(&view, node, Call::Info(id), Outgoing::empty(), within).await;
        let answer = asked.map_err(|_| FetchReply::Refused(LookupReply::Unknown))?;
        let record = read_record(answer.metadata());
        if self.heard(id, record, LookupReply::Present).await == LookupReply::Gone {
            return Err(FetchReply::Refused(LookupReply::Gone));
        }
        match answer.status {
            // Proven to be a node's of this cluster; but perhaps of another version.
            call::GIVEN => Ok(serde_json::from_slice(&answer.bytes).map_err(|_| NotFound::Unproven.into())),
            call::IMPOSSIBLE => Ok(Err(DescribeError::Refused(call::read_problem(&answer.bytes).1))),
            call::LACKED => Err(FetchReply::Lacking),
            _ => Err(FetchReply::Refused(LookupReply::Unknown)),
        }
    }

    /// The names of the owners that have the image, and of this node if it has it.
    pub async fn holders(self: &Rc<Self>, id: ObjectId) -> Vec<String> {
        let view = self.view();
        let mut holders = Vec::new();
        if matches!(self.look(id).await, Ok(Ok(Found::Here(_)))) {
            holders.push(self.node.name.clone());
        }
        if self.need_cluster().is_err() {
            return holders;
        }
        let within = Duration::from_millis(ANSWER_MAX_MS);
        let mut asked: FuturesUnordered<_> = placement_order(&view, &id)
            .owners
            .into_iter()
            .map(|node| {
                let view = &view;
                async move { (node, self.look_up(view, node, id, within).await) }
            })
            .collect();
        while let Some((node, reply)) = asked.next().await {
            let member = view.member(node).filter(|_| reply == LookupReply::Present);
            holders.extend(member.map(|member| member.name.to_string()));
        }
        holders.sort();
        assert!(
            holders.len() <= view.members().count() + 1,
            "invariant: describe: each node holds one copy at most"
        );
        holders
    }
}

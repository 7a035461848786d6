//! Admission of uploads: keys, places and rates. A form is asked for its key before its image is stored.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::http::access::unproven_forms::FormSlot;
use crate::http::access::{AccessError, Grant};
use crate::http::exchange::Context;
use crate::http::reply::Problem;
use crate::peer::requester::ClientAddress;
use crate::shard::NodeContext;
use crate::shard::latch::Latch;

/// One of the uploads that the node takes at once.
pub(super) struct UploadPermit(Arc<NodeContext>);

/// Checks a form's key before its image is stored.
pub(super) struct UploadGate<'a> {
    context: &'a Context,
    undelete: bool,
    client: ClientAddress,
    pass: UploadPass,
}

enum UploadPass {
    /// The header's key is right; the field's is not checked.
    Header(UploadPermit),
    /// Everybody may; a key in the field must be right all the same.
    Open(UploadPermit),
    /// The field's key is right.
    Field(UploadPermit),
    /// No key was shown yet.
    Unproven(FormSlot),
}

impl<'a> UploadGate<'a> {
    pub(super) fn new(
        context: &'a Context,
        granted: Option<Grant>,
        undelete: bool,
        client: ClientAddress,
    ) -> Result<Self, Problem> {
        let pass = match granted {
            Some(Grant::Key) => UploadPass::Header(UploadPermit::take(context, client)?),
            Some(Grant::Open) => UploadPass::Open(UploadPermit::take(context, client)?),
            None => UploadPass::Unproven(context.unproven_forms.enter()),
        };
        Ok(Self { context, undelete, client, pass })
    }

    /// Judges the key in the form's field.
    ///
    /// # Errors
    /// The form is refused; nothing of it is stored.
    pub(super) fn show(&mut self, key: &str) -> Result<(), Problem> {
        if matches!(self.pass, UploadPass::Header(_)) {
            return Ok(());
        }
        self.context.access.upload_by_field(key, self.undelete).map_err(Problem::Upload)?;
        if matches!(self.pass, UploadPass::Unproven(_)) {
            self.pass = UploadPass::Field(UploadPermit::take(self.context, self.client)?);
        }
        Ok(())
    }

    /// Whether anything of the form may be stored by now.
    ///
    /// # Errors
    /// No key was shown.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let is_proven = !matches!(self.pass, UploadPass::Unproven(_));
        if is_proven { Ok(()) } else { Err(Problem::Upload(AccessError::LateKey)) }
    }

    pub(super) fn permit(self) -> Result<UploadPermit, Problem> {
        match self.pass {
            UploadPass::Header(permit) | UploadPass::Open(permit) | UploadPass::Field(permit) => Ok(permit),
            UploadPass::Unproven(_) => Err(Problem::Upload(AccessError::NoKey)),
        }
    }

    /// Is set when the form has shown no key and its place goes to another one.
    pub(super) fn on_lost(&self) -> Option<Rc<Latch>> {
        if let UploadPass::Unproven(place) = &self.pass { Some(place.on_lost()) } else { None }
    }
}

impl UploadPermit {
    /// Of an upload that may begin: one that is refused before costs its client nothing of its rate.
    pub(super) fn take(context: &Context, client: ClientAddress) -> Result<Self, Problem> {
        let node = &context.shard.node;
        let under_way = node.uploads.fetch_add(1, Relaxed);
        let permit = Self(Arc::clone(node));
        if under_way >= context.settings.uploads_max {
            return Err(Problem::Busy("uploads"));
        }
        node.upload_rate.take(client).map_err(Problem::TooFast)?;
        Ok(permit)
    }
}

impl Drop for UploadPermit {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Relaxed);
    }
}

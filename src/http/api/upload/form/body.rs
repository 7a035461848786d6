//! A form's body on its way to multer: bounded as a whole, before a key is proven, and where multer must keep it.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_lite::Stream;
use hyper::body::{Body as _, Incoming};

use crate::http::access::AccessError;
use crate::http::reply::Problem;

/// Bytes of a form before its key is shown: a few fields, and their heads.
const UNPROVEN_BYTES_MAX: u64 = 64 << 10;

/// Bytes in front of the first field, or of one field's head. multer keeps them in memory until they are whole: at most
/// so many, and one piece of the body more.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// The request's body as multer wants it.
pub(super) struct FormBody {
    body: Incoming,
    left: u64,
    taken: u64,
    /// multer takes what it can get into memory; a pause after each piece makes it use that first.
    pause: bool,
    signals: Signals,
}

/// The signals between a form and its body.
#[derive(Clone, Default)]
pub(super) struct Signals {
    /// The body has been read to its end.
    pub(super) ended: Flag,
    /// A key is proven, or none is needed.
    pub(super) proven: Flag,
    /// The bytes that multer may still take for the head of a field.
    pub(super) head: HeadAllowance,
}

/// A signal that is set once.
#[derive(Clone, Default)]
pub(in crate::http::api::upload) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(in crate::http::api::upload) fn get(&self) -> bool {
        self.0.load(Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

/// The bytes that multer may take until it has found the next field. Its data are not bounded by it, because multer
/// hands them on piece by piece.
#[derive(Clone, Default)]
pub(super) struct HeadAllowance(Arc<AtomicU64>);

impl HeadAllowance {
    /// multer begins to search for a field.
    pub(super) fn begin(&self) {
        self.0.store(HEAD_BYTES_MAX, Relaxed);
    }

    /// multer has found it.
    pub(super) fn end(&self) {
        self.0.store(u64::MAX, Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    fn spend(&self, bytes: u64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(bytes), Relaxed);
    }
}

/// The reason why a form is not read further.
#[derive(Debug)]
pub(super) enum FormBodyError {
    TooLong,
    LongHead,
    Unproven,
    Aborted,
}

impl FormBody {
    /// The body, of which at most `bytes_max` bytes are taken.
    pub(super) fn new(body: Incoming, bytes_max: u64, signals: Signals) -> Self {
        if body.is_end_stream() {
            signals.ended.set();
        }
        Self { body, left: bytes_max, taken: 0, pause: false, signals }
    }
}

impl Stream for FormBody {
    type Item = Result<Bytes, FormBodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.taken >= UNPROVEN_BYTES_MAX && !self.signals.proven.get() {
            return Poll::Ready(Some(Err(FormBodyError::Unproven)));
        }
        if self.signals.head.is_spent() {
            return Poll::Ready(Some(Err(FormBodyError::LongHead)));
        }
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            if frame.is_none() || self.body.is_end_stream() {
                self.signals.ended.set();
            }
            match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(FormBodyError::Aborted))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.pause = true;
                    let Some(left) = self.left.checked_sub(data.len() as u64) else {
                        return Poll::Ready(Some(Err(FormBodyError::TooLong)));
                    };
                    self.left = left;
                    self.taken += data.len() as u64;
                    self.signals.head.spend(data.len() as u64);
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}

/// The answer to a form that multer could not read. `bytes_max`: as for the body.
pub(super) fn problem(error: &multer::Error, bytes_max: u64) -> Problem {
    let of = |error: &FormBodyError| match error {
        FormBodyError::TooLong => Problem::TooLong(bytes_max),
        FormBodyError::LongHead => Problem::BadForm(format!(
            "A field's head, or the text before the first field, is over {HEAD_BYTES_MAX} bytes; shorten it."
        )),
        FormBodyError::Unproven => Problem::Upload(AccessError::LateKey),
        FormBodyError::Aborted => Problem::Aborted,
    };
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        match current.downcast_ref() {
            Some(error) => return of(error),
            None => cause = current.source(),
        }
    }
    if let multer::Error::StreamReadFailed(inner) = error
        && let Some(error) = inner.downcast_ref()
    {
        return of(error);
    }
    Problem::BadForm("The form is not well-formed multipart/form-data; encode it again.".to_owned())
}

impl fmt::Display for FormBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the form is too long",
            Self::LongHead => "a field's head is too long",
            Self::Unproven => "the form is long before its key",
            Self::Aborted => "the form did not arrive whole",
        })
    }
}

impl Error for FormBodyError {}

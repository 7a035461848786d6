//! The upload form: `multipart/form-data` with `image`, `key` and `size_hints`, in any order, but that nothing is
//! stored before a key is proven, where one is needed.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_lite::Stream;
use http::Request;
use http::header::CONTENT_TYPE;
use hyper::body::{Body as _, Incoming};
use multer::{Field, Multipart};

use super::gate::UploadGate;
use super::{append, begin};
use crate::http::access::AccessError;
use crate::http::api::presets::Presets;
use crate::http::exchange::Context;
use crate::http::receive;
use crate::http::reply::Problem;
use crate::object::Spec;
use crate::store::spool::Spool;

/// Bytes of a field that is no image.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Bytes of a form before its key is shown: a few fields, and their heads.
const UNPROVEN_BYTES_MAX: u64 = 64 << 10;

/// Specs in `size_hints`.
const HINTS_MAX: usize = 16;

/// A form that is being received.
pub(super) struct Form {
    multipart: Multipart<'static>,
    bytes_max: u64,
    proven: Flag,
}

/// A form's fields.
pub(super) struct Received {
    /// The image.
    pub(super) spool: Spool,
    /// Variants to generate ahead.
    pub(super) hints: Vec<Spec>,
}

/// A signal between a form and its bytes: that the body has been read to its end, or that a key
/// is proven.
#[derive(Clone, Debug, Default)]
pub(super) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(super) fn get(&self) -> bool {
        self.0.load(Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

impl Form {
    /// The form in `request`, of at most `bytes_max` bytes; and whether its body has been taken to its end. `is_proven`:
    /// nothing more has to be shown.
    pub(super) fn new(
        request: Request<Incoming>,
        bytes_max: u64,
        is_proven: bool,
    ) -> Result<(Self, Flag), Problem> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|_| {
            Problem::BadForm("Send Content-Type multipart/form-data with a boundary.".to_owned())
        })?;
        let (ended, proven) = (Flag::default(), Flag::default());
        if is_proven {
            proven.set();
        }
        let body = request.into_body();
        if body.is_end_stream() {
            ended.set();
        }
        let flags = (ended.clone(), proven.clone());
        let bytes =
            FormBytes { body, left: bytes_max, taken: 0, pause: false, ended: flags.0, proven: flags.1 };
        Ok((Self { multipart: Multipart::new(bytes, boundary), bytes_max, proven }, ended))
    }

    /// Takes all fields, the image to the disk. `gate` judges the field `key`, and lets the image in.
    ///
    /// A wrong key, or none before the image where one is needed, ends it at once. What is wrong with the form comes
    /// before what is wrong with the image, wherever the fields stand; so from then on a form is read to its end, and
    /// what cannot be used of it is thrown away.
    pub(super) async fn receive(
        mut self,
        context: &Context,
        gate: &mut UploadGate<'_>,
    ) -> Result<Received, Problem> {
        let mut image = None;
        let mut hints = Vec::new();
        let mut has_key = false;
        let bytes_max = self.bytes_max;
        let bad = |error| problem(&error, bytes_max);
        while let Some(field) =
            receive::unless_stalled(context, self.multipart.next_field()).await?.map_err(bad)?
        {
            match field.name() {
                Some("image") if image.is_some() => {
                    return Err(Problem::BadForm("Send one field \"image\", not several.".to_owned()));
                }
                Some("image") => {
                    gate.check()?;
                    let spool = begin(context).await;
                    image = Some(receive_image(context, field, spool, bytes_max).await?);
                }
                Some("key") if has_key => {
                    return Err(Problem::BadForm("Send one field \"key\", not several.".to_owned()));
                }
                Some("key") => {
                    gate.show(&text(context, field, bytes_max).await?)?;
                    has_key = true;
                    if gate.check().is_ok() {
                        self.proven.set();
                    }
                }
                Some("size_hints") => {
                    let text = text(context, field, bytes_max).await?;
                    hints = parse_hints(&text, Presets::of(&context.settings))?;
                }
                // Fields of other names are the caller's own.
                _ => {
                    text(context, field, bytes_max).await?;
                }
            }
        }
        let image =
            image.ok_or_else(|| Problem::BadForm("Send the image in the field \"image\".".to_owned()))?;
        Ok(Received { spool: image?, hints })
    }
}

/// Takes the field to its end. The inner result is the image's; the bytes behind its fault go nowhere.
async fn receive_image(
    context: &Context,
    mut field: Field<'_>,
    mut spool: Result<Spool, Problem>,
    bytes_max: u64,
) -> Result<Result<Spool, Problem>, Problem> {
    let bad = |error| problem(&error, bytes_max);
    while let Some(bytes) = receive::unless_stalled(context, field.chunk()).await?.map_err(bad)? {
        let appended = match &mut spool {
            Ok(spool) => append(context, spool, &bytes).await,
            Err(_) => Ok(()),
        };
        match appended {
            Ok(()) => {}
            Err(problem @ Problem::TooLong(_)) => return Err(problem),
            Err(problem) => spool = Err(problem),
        }
    }
    Ok(spool)
}

async fn text(context: &Context, mut field: Field<'_>, bytes_max: u64) -> Result<String, Problem> {
    let mut text = Vec::new();
    let bad = |error| problem(&error, bytes_max);
    while let Some(bytes) = receive::unless_stalled(context, field.chunk()).await?.map_err(bad)? {
        if text.len() + bytes.len() > TEXT_BYTES_MAX {
            return Err(Problem::BadForm(format!(
                "A field beside the image is over {TEXT_BYTES_MAX} bytes; shorten it."
            )));
        }
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text)
        .map_err(|_| Problem::BadForm("A field is not UTF-8 text; encode it so.".to_owned()))
}

/// Specs joined by commas: an item that is a size begins the next spec.
fn parse_hints(hints: &str, presets: Presets<'_>) -> Result<Vec<Spec>, Problem> {
    let mut specs: Vec<String> = Vec::new();
    for item in hints.split(',').map(str::trim).filter(|_| !hints.trim().is_empty()) {
        match specs.last_mut() {
            Some(last) if Spec::parse(item).is_err() => {
                last.push(',');
                last.push_str(item);
            }
            _ => specs.push(item.to_owned()),
        }
    }
    if specs.len() > HINTS_MAX {
        return Err(Problem::BadForm(format!("Send at most {HINTS_MAX} size_hints.")));
    }
    let mut meanings = Vec::with_capacity(specs.len());
    for text in &specs {
        let bad = |error| Problem::BadSpec(format!("The hint {text:?} is no spec. {error}"));
        let spec = Spec::parse(text).map_err(bad)?;
        let meaning = presets.meaning(&spec).map_err(bad)?;
        presets.admit(&spec)?;
        if !presets.is_stored_only(&spec) {
            meanings.push(meaning);
        }
    }
    Ok(meanings)
}

/// The request's body as multer wants it.
struct FormBytes {
    body: Incoming,
    left: u64,
    taken: u64,
    /// multer takes what it can get into memory; a pause after each piece makes it use that first.
    pause: bool,
    ended: Flag,
    proven: Flag,
}

#[derive(Debug)]
enum FormBytesError {
    TooLong,
    Unproven,
    Aborted,
}

impl Stream for FormBytes {
    type Item = Result<Bytes, FormBytesError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.taken >= UNPROVEN_BYTES_MAX && !self.proven.get() {
            return Poll::Ready(Some(Err(FormBytesError::Unproven)));
        }
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            if frame.is_none() || self.body.is_end_stream() {
                self.ended.set();
            }
            match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(FormBytesError::Aborted))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.pause = true;
                    let Some(left) = self.left.checked_sub(data.len() as u64) else {
                        return Poll::Ready(Some(Err(FormBytesError::TooLong)));
                    };
                    self.left = left;
                    self.taken += data.len() as u64;
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}

fn problem(error: &multer::Error, bytes_max: u64) -> Problem {
    let of = |error: &FormBytesError| match error {
        FormBytesError::TooLong => Problem::TooLong(bytes_max),
        FormBytesError::Unproven => Problem::Upload(AccessError::LateKey),
        FormBytesError::Aborted => Problem::Aborted,
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

impl fmt::Display for FormBytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the form is too long",
            Self::Unproven => "the form is long before its key",
            Self::Aborted => "the form did not arrive whole",
        })
    }
}

impl Error for FormBytesError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::object::spec::PresetName;

    #[test]
    fn a_size_begins_the_next_hint() {
        let check = |hints: &str| parse_hints(hints, Presets::new(&BTreeMap::new(), false, &[]));
        let texts =
            |hints: &str| check(hints).map(|specs| specs.iter().map(Spec::to_string).collect::<Vec<_>>());
        assert_eq!(texts("50s, 300w200h,fill,q70 ,full").unwrap(), ["50s", "300w200h,fill,q70", "full"]);
        assert_eq!(texts("").unwrap(), [""; 0]);
        assert!(matches!(check("fill,50s"), Err(Problem::BadSpec(_))));
        assert!(matches!(check("50s,wrong"), Err(Problem::BadSpec(_))));
        assert!(matches!(check(&["50s"; 17].join(",")), Err(Problem::BadForm(_))));
    }

    #[test]
    fn a_hint_may_name_a_preset_that_there_is() {
        let thumb = (PresetName::parse("thumb").unwrap(), Spec::parse("200s").unwrap());
        let named = BTreeMap::from([thumb]);
        let check = |hints: &str| parse_hints(hints, Presets::new(&named, false, &[]));
        let texts =
            |hints: &str| check(hints).map(|specs| specs.iter().map(Spec::to_string).collect::<Vec<_>>());
        assert_eq!(texts("p-thumb,q70,50s").unwrap(), ["200s,q70", "50s"]);
        assert!(matches!(check("50s,p-none"), Err(Problem::BadSpec(_))));
        assert!(matches!(check("p-thumb,fill"), Err(Problem::BadSpec(_))));
        let overrides = ["q70".to_owned()];
        let check = |hints: &str| parse_hints(hints, Presets::new(&named, true, &overrides));
        for hints in ["50s", "p-thumb,50s", "p-thumb,q71", "p-thumb,up", "full,q70"] {
            assert_eq!(check(hints), Err(Problem::OnlyPresets), "{hints}");
        }
        // What is stored is not made.
        let meant = ["200s", "200s,q70"].map(|text| Spec::parse(text).unwrap());
        assert_eq!(check("p-thumb,full,p-thumb,q70").unwrap(), meant);
    }
}

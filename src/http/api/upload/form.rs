//! The upload form: `multipart/form-data` with `image`, `key` and `size_hints`, in any order, but that nothing is
//! stored before a key is proven, where one is needed.
//!
//! multer cuts the body at its boundaries. Its reading of header fields is not used: it knows parameters in lower case
//! alone, finds them inside quoted values, and refuses boundaries that browsers' servers take. [`parameters`] reads
//! them.

mod body;
mod parameters;

use http::Request;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use hyper::body::Incoming;
use multer::{Field, Multipart};

use self::body::{Flag, FormBody, Signals, problem};
use super::gate::UploadGate;
use super::{append, begin};
use crate::http::api::presets::Presets;
use crate::http::exchange::Context;
use crate::http::receive;
use crate::http::reply::Problem;
use crate::object::Spec;
use crate::store::spool::Spool;

/// Bytes of the fields `key` and `size_hints`, each.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Specs in `size_hints`.
const HINTS_MAX: usize = 16;

/// A form that is being received.
pub(super) struct Form {
    multipart: Multipart<'static>,
    bytes_max: u64,
    signals: Signals,
}

/// A form's fields.
pub(super) struct Received {
    /// The image.
    pub(super) spool: Spool,
    /// Variants to generate ahead.
    pub(super) hints: Vec<Spec>,
}

impl Form {
    /// The form in `request`, of at most `bytes_max` bytes; and whether its body has been taken to its end. `is_proven`:
    /// nothing more has to be shown.
    pub(super) fn new(
        request: Request<Incoming>,
        bytes_max: u64,
        is_proven: bool,
    ) -> Result<(Self, Flag), Problem> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let boundary =
            content_type.and_then(|value| parameters::boundary(value.as_bytes())).ok_or_else(|| {
                Problem::BadForm("Send Content-Type multipart/form-data with a boundary.".to_owned())
            })?;
        let signals = Signals::default();
        if is_proven {
            signals.proven.set();
        }
        let body = FormBody::new(request.into_body(), bytes_max, signals.clone());
        let ended = signals.ended.clone();
        Ok((Self { multipart: Multipart::new(body, boundary), bytes_max, signals }, ended))
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
        while let Some(field) = self.next_field(context).await? {
            match name(&field).as_deref() {
                Some(b"image") if image.is_some() => {
                    return Err(Problem::BadForm("Send one field \"image\", not several.".to_owned()));
                }
                Some(b"image") => {
                    gate.check()?;
                    let spool = begin(context).await;
                    image = Some(receive_image(context, field, spool, bytes_max).await?);
                }
                Some(b"key") if has_key => {
                    return Err(Problem::BadForm("Send one field \"key\", not several.".to_owned()));
                }
                Some(b"key") => {
                    gate.show(&text(context, field, bytes_max).await?)?;
                    has_key = true;
                    if gate.check().is_ok() {
                        self.signals.proven.set();
                    }
                }
                Some(b"size_hints") => {
                    let text = text(context, field, bytes_max).await?;
                    hints = parse_hints(&text, Presets::of(&context.settings))?;
                }
                // Fields of other names are the caller's own, files too.
                _ => skip(context, field, bytes_max).await?,
            }
        }
        let image =
            image.ok_or_else(|| Problem::BadForm("Send the image in the field \"image\".".to_owned()))?;
        Ok(Received { spool: image?, hints })
    }

    /// The next field, once its head has been read; `None` behind the last.
    async fn next_field(&mut self, context: &Context) -> Result<Option<Field<'static>>, Problem> {
        self.signals.head.begin();
        let field = receive::unless_stalled(context, self.multipart.next_field()).await?;
        self.signals.head.end();
        field.map_err(|error| problem(&error, self.bytes_max))
    }
}

/// The field's name; `None` for a field without one, which is not ours.
fn name(field: &Field<'_>) -> Option<Vec<u8>> {
    parameters::parameter(field.headers().get(CONTENT_DISPOSITION)?.as_bytes(), "name")
}

/// Reads a field to its end, and forgets it. The bound on the whole form bounds it, too.
async fn skip(context: &Context, mut field: Field<'_>, bytes_max: u64) -> Result<(), Problem> {
    let bad = |error| problem(&error, bytes_max);
    while receive::unless_stalled(context, field.chunk()).await?.map_err(bad)?.is_some() {
        glommio::executor().yield_if_needed().await;
    }
    Ok(())
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
                "The field \"key\" or \"size_hints\" is over {TEXT_BYTES_MAX} bytes; shorten it."
            )));
        }
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).map_err(|_| {
        Problem::BadForm("The field \"key\" or \"size_hints\" is not UTF-8 text; encode it so.".to_owned())
    })
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

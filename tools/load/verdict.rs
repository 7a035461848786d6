//! Whether an answer is right.

use reticulum::image::inspect::inspect;
use reticulum::image::shape::Size;
use serde::Deserialize;
use sha1::{Digest, Sha1};

use crate::pictures::LIMITS;
use crate::tally::Failure;
use crate::work::{Expected, Job, TAIL_BYTES, Workload};

/// An answer, whole.
pub(crate) struct WholeAnswer<'a> {
    pub(crate) status: u16,
    pub(crate) media_type: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// The part of the answer to an upload that is checked.
#[derive(Deserialize)]
struct Uploaded {
    hash: String,
    length: u64,
    satisfied: bool,
}

/// Judges the answer to a request.
///
/// # Errors
/// The first thing about it that is wrong.
pub(crate) fn judge(work: &Workload, job: &Job, answer: &WholeAnswer<'_>) -> Result<(), Failure> {
    if answer.status != 200 {
        return Err(Failure::Status(answer.status));
    }
    match job {
        Job::Fetch(target) => judge_fetch(&work.targets[*target].expected, answer, work.verify),
        Job::Upload { image, tail } => {
            let bytes = &work.images[*image].bytes;
            let uploaded: Uploaded = serde_json::from_slice(answer.body).map_err(|_| Failure::Content)?;
            if !uploaded.satisfied || uploaded.length != (bytes.len() + TAIL_BYTES) as u64 {
                return Err(Failure::Content);
            }
            if work.verify && uploaded.hash != hex(&digest(&[bytes, tail])) {
                return Err(Failure::Hash);
            }
            Ok(())
        }
    }
}

fn judge_fetch(expected: &Expected, answer: &WholeAnswer<'_>, verify: bool) -> Result<(), Failure> {
    if expected.media_type.is_some_and(|media_type| media_type.as_bytes() != answer.media_type) {
        return Err(Failure::Type);
    }
    if !expected.is_plain {
        let header = inspect(answer.body, LIMITS).map_err(|_| Failure::Content)?;
        if header.format.media_type().as_bytes() != answer.media_type {
            return Err(Failure::Type);
        }
        let Size { width, height } = header.displayed();
        if expected.size.is_some_and(|size| size != (width, height)) {
            return Err(Failure::Content);
        }
    }
    if verify {
        let digest = digest(&[answer.body]);
        if *expected.digest.get_or_init(|| digest) != digest {
            return Err(Failure::Hash);
        }
    }
    Ok(())
}

pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 20] {
    let mut hasher = Sha1::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::made_up;

    fn answer<'a>(media_type: &'a str, body: &'a [u8]) -> WholeAnswer<'a> {
        WholeAnswer { status: 200, media_type: media_type.as_bytes(), body }
    }

    #[test]
    fn an_answer_is_judged_by_type_content_size_and_hash() {
        let images = made_up(32).unwrap();
        let (image, other) = (&images[0].bytes, &images[1].bytes);
        let expected =
            |size| Expected { media_type: Some("image/jpeg"), size: Some(size), ..Expected::default() };
        let right = expected((32, 24));
        assert_eq!(judge_fetch(&right, &answer("image/jpeg", image), true), Ok(()));
        assert_eq!(judge_fetch(&right, &answer("image/jpeg", other), false), Ok(()));
        assert_eq!(judge_fetch(&right, &answer("image/jpeg", other), true), Err(Failure::Hash));
        assert_eq!(judge_fetch(&right, &answer("image/png", image), false), Err(Failure::Type));
        let any = Expected::default();
        assert_eq!(judge_fetch(&any, &answer("image/png", image), false), Err(Failure::Type));
        assert_eq!(
            judge_fetch(&expected((32, 23)), &answer("image/jpeg", image), false),
            Err(Failure::Content)
        );
        let cut = &image[..image.len() / 2];
        assert_eq!(judge_fetch(&right, &answer("image/jpeg", cut), false), Err(Failure::Content));
        let plain = Expected { is_plain: true, ..Expected::default() };
        assert_eq!(judge_fetch(&plain, &answer("text/html", b"hello"), true), Ok(()));
    }

    #[test]
    fn a_digest_is_that_of_all_parts_together() {
        assert_eq!(hex(&digest(&[b"a", b"bc"])), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}

//! The stored images that one node names to another, as text and back. Pure.
//!
//! A line per image: id, extension, length in bytes, upload time in nanoseconds since 1970. The last line says whether
//! the node has more.

use std::fmt::Write;
use std::time::SystemTime;

use super::call::{StoredMetadata, nanoseconds, read_time};
use crate::object::{Format, ObjectId};

const MORE: &str = "more";
const END: &str = "end";

/// One node's images behind some id, in order of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredPage {
    /// Each id once.
    pub images: Vec<(ObjectId, StoredMetadata)>,
    /// Whether there are others behind the last one.
    pub has_more: bool,
}

impl StoredPage {
    /// The body of an answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        for (id, StoredMetadata { format, length, uploaded }) in &self.images {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{id} {} {length} {}", format.extension(), nanoseconds(*uploaded));
        }
        text.push_str(if self.has_more { MORE } else { END });
        text.into_bytes()
    }

    /// Reads [`Self::encode`]. `None`: it is no page of at most `limit` images behind `after`.
    pub fn parse(body: &[u8], after: Option<ObjectId>, limit: usize) -> Option<Self> {
        let mut lines = std::str::from_utf8(body).ok()?.split('\n');
        let has_more = match lines.next_back()? {
            MORE => true,
            END => false,
            _ => return None,
        };
        let images: Vec<_> = lines.map(parse_line).collect::<Option<_>>()?;
        let ids = after.into_iter().chain(images.iter().map(|(id, _)| *id));
        let is_page = ids.is_sorted_by(|before, id| before < id) && images.len() <= limit;
        // A page that ends nowhere could be asked for again without end.
        (is_page && !(has_more && images.is_empty())).then_some(Self { images, has_more })
    }
}

fn parse_line(line: &str) -> Option<(ObjectId, StoredMetadata)> {
    let mut words = line.split(' ');
    let [id, extension, length, uploaded] = [words.next()?, words.next()?, words.next()?, words.next()?];
    let format = Format::ALL.into_iter().find(|format| format.extension() == extension)?;
    let stored = StoredMetadata { format, length: length.parse().ok()?, uploaded: read_time(uploaded)? };
    words.next().is_none().then_some((ObjectId::parse(id).ok()?, stored))
}

/// When an image was uploaded, as far as this form can say it.
pub fn sayable(uploaded: SystemTime) -> SystemTime {
    read_time(&nanoseconds(uploaded).to_string()).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn image(first: u8) -> (ObjectId, StoredMetadata) {
        let uploaded = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        (ObjectId::from_digest([first; 20]), StoredMetadata { format: Format::Png, length: 7, uploaded })
    }

    fn id(first: u8) -> Option<ObjectId> {
        Some(image(first).0)
    }

    #[test]
    fn a_page_comes_across() {
        for (images, has_more) in
            [(vec![], false), (vec![image(1)], true), (vec![image(1), image(2), image(9)], false)]
        {
            let page = StoredPage { images, has_more };
            assert_eq!(StoredPage::parse(&page.encode(), None, 3), Some(page.clone()));
            assert_eq!(StoredPage::parse(&page.encode(), id(0), 3), Some(page));
        }
    }

    #[test]
    fn what_is_no_page_of_those_asked_for_is_refused() {
        let page = |images: &[u8], has_more| {
            let images = images.iter().map(|first| image(*first)).collect();
            StoredPage { images, has_more }.encode()
        };
        for (body, what) in [
            (page(&[1, 2, 3, 4], false), "more than were asked for"),
            (page(&[1, 1], false), "an id twice"),
            (page(&[2, 1], false), "out of order"),
            (page(&[0, 1], false), "not behind the last one"),
            (page(&[], true), "more, of nothing"),
            (b"".to_vec(), "nothing"),
            (b"end\n".to_vec(), "a line behind the end"),
            (b"x\nend".to_vec(), "no image"),
            (b"\xff\nend".to_vec(), "no text"),
        ] {
            assert_eq!(StoredPage::parse(&body, id(0), 3), None, "{what}");
        }
    }

    #[test]
    fn an_upload_time_that_no_text_holds_is_said_as_1970() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(sayable(far), SystemTime::UNIX_EPOCH);
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(sayable(early), SystemTime::UNIX_EPOCH);
        let (_, stored) = image(1);
        assert_eq!(sayable(stored.uploaded), stored.uploaded);
    }
}

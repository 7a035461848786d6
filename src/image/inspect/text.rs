//! Searches the text of a file for a few words while it arrives, in pieces of any size.

use memchr::memmem;

/// The longest word, less one: a word may begin this many bytes before a piece.
const CARRY_MAX: usize = 19;

/// A word whose place in a text says something about the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Location,
    GainMap,
    C2pa,
}

/// XMP's property of a latitude; the namespaces of gain maps, of Adobe and of Apple; GIF's block of content credentials.
const WORDS: [(&[u8], Finding); 4] = [
    (b"exif:GPSLatitude", Finding::Location),
    (b"/hdr-gain-map/", Finding::GainMap),
    (b"/HDRGainMap/", Finding::GainMap),
    (b"C2PA_GIF", Finding::C2pa),
];

/// The search, and all that it has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextSearch {
    /// The last bytes of the pieces so far.
    carry: Vec<u8>,
    found: u8,
}

impl TextSearch {
    pub(super) fn push(&mut self, piece: &[u8]) {
        let seam = [&self.carry[..], &piece[..piece.len().min(CARRY_MAX)]].concat();
        for text in [&seam[..], piece] {
            for (word, finding) in WORDS {
                if memmem::find(text, word).is_some() {
                    self.found |= 1 << finding as u8;
                }
            }
        }
        // A piece that is shorter than the carry only adds to it.
        let last = if piece.len() >= CARRY_MAX { piece } else { &seam };
        self.carry = last[last.len().saturating_sub(CARRY_MAX)..].to_vec();
    }

    /// Ends the text: what comes next does not continue it.
    pub(super) fn end(&mut self) {
        self.carry.clear();
    }

    pub(super) const fn has(&self, finding: Finding) -> bool {
        self.found & 1 << finding as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pieces: &[&[u8]]) -> TextSearch {
        let mut search = TextSearch::default();
        pieces.iter().for_each(|piece| search.push(piece));
        search
    }

    #[test]
    fn a_word_is_found_however_the_text_is_cut() {
        for (word, finding) in WORDS {
            let text = [&[b'.'; 40][..], word, &[b'.'; 40]].concat();
            for size in 1..=text.len() {
                let pieces: Vec<&[u8]> = text.chunks(size).collect();
                assert!(search(&pieces).has(finding), "{finding:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn the_halves_of_a_word_in_two_texts_are_no_word() {
        let mut two = search(&[b"exif:GPS"]);
        two.end();
        two.push(b"Latitude");
        assert!(!two.has(Finding::Location));
        assert!(search(&[b"exif:GPS", b"", b"Latitude"]).has(Finding::Location));
        assert!(WORDS.iter().all(|(word, _)| word.len() <= CARRY_MAX + 1));
    }
}

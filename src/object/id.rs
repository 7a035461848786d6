//! Object ids: the SHA-1 of an image's bytes.

use std::fmt;

/// The SHA-1 of an image's bytes; printed as 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId([u8; 20]);

/// The reason why a string is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseIdError {
    /// Not 40 characters.
    Length,
    /// A character that is no hex digit.
    Digit,
}

impl ObjectId {
    /// The id with these 20 digest bytes.
    pub const fn from_digest(digest: [u8; 20]) -> Self {
        Self(digest)
    }

    /// Reads 40 hex digits of either case. Printing the result gives the canonical lower case, so
    /// a caller sees whether the text was canonical by comparing.
    ///
    /// # Errors
    /// [`ParseIdError`] when the text has another length or another character.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let text = text.as_bytes();
        if text.len() != 40 {
            return Err(ParseIdError::Length);
        }
        let mut digest = [0; 20];
        for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(digest))
    }

    /// The 20 digest bytes.
    pub const fn digest(&self) -> &[u8; 20] {
        &self.0
    }

    /// The shard of `shards` shards that holds this id: its first 16 bits modulo the number of shards, so that one
    /// directory `<aa>/<bb>` of the store belongs to exactly one shard.
    pub fn shard(&self, shards: usize) -> usize {
        usize::from(u16::from_be_bytes([self.0[0], self.0[1]])) % shards
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 40];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex_digit(digit: u8) -> Result<u8, ParseIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(ParseIdError::Digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    #[test]
    fn prints_what_it_parsed() {
        assert_eq!(ObjectId::parse(TEXT).unwrap().to_string(), TEXT);
    }

    #[test]
    fn upper_case_parses_and_prints_lower() {
        assert_eq!(ObjectId::parse(&TEXT.to_uppercase()).unwrap().to_string(), TEXT);
    }

    #[test]
    fn refuses_other_lengths_and_characters() {
        assert_eq!(ObjectId::parse(&TEXT[..39]), Err(ParseIdError::Length));
        assert_eq!(ObjectId::parse(&TEXT.replace('d', "g")), Err(ParseIdError::Digit));
        assert_eq!(ObjectId::parse(&"é".repeat(20)), Err(ParseIdError::Digit));
    }

    #[test]
    fn a_directory_belongs_to_one_shard() {
        let a = ObjectId::from_digest([7; 20]);
        let mut b = [7; 20];
        b[2] = 200;
        for shards in 1..70 {
            assert_eq!(a.shard(shards), ObjectId::from_digest(b).shard(shards));
        }
    }
}

//! `?download` and `?download=NAME`: the browser saves the image under a name. Pure.
//!
//! The name always ends in the extension of what is sent: stored bytes may have anything behind the
//! image's end, and a link could call them a program otherwise.

use std::fmt::Write;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Characters of a name; file systems take 255 bytes.
const NAME_CHARACTERS_MAX: usize = 60;

/// RFC 8187 `attr-char`: what stands for itself in `filename*`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The `Content-Disposition` of an answer to `path` with `query`, whose body is a file with this
/// `extension`; `None` where no download is asked for.
pub(super) fn disposition(path: &str, query: &str, extension: &str) -> Option<HeaderValue> {
    let asked = query.split('&').find_map(|pair| match pair.split_once('=') {
        Some(("download", name)) => Some(name),
        None if pair == "download" => Some(""),
        _ => None,
    })?;
    let file = path.rsplit('/').next().unwrap_or_default();
    let own = clean(&percent_decode_str(file).decode_utf8_lossy(), &[extension, "auto"]);
    let asked = clean(&percent_decode_str(&asked.replace('+', " ")).decode_utf8_lossy(), &[extension]);
    let stem = [asked, own].into_iter().find(|stem| !stem.is_empty()).unwrap_or_else(|| "image".to_owned());
    let name = format!("{stem}.{extension}");
    let mut value = format!("attachment; filename=\"{}\"", name.replace(|letter| !is_plain(letter), "_"));
    if !name.chars().all(is_plain) {
        // Writing into a String does not fail.
        let _ = write!(value, "; filename*=UTF-8''{}", utf8_percent_encode(&name, ENCODED));
    }
    HeaderValue::try_from(value).ok()
}

/// A file's name without folders, control characters and one of these extensions, perhaps cut.
fn clean(name: &str, extensions: &[&str]) -> String {
    let name: String = name.chars().filter(|&letter| !is_invisible(letter)).collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let known = |extension: &str| {
        extensions.iter().any(|known| extension.eq_ignore_ascii_case(known))
            || (extensions.contains(&"jpg") && extension.eq_ignore_ascii_case("jpeg"))
    };
    let stem = name.rsplit_once('.').filter(|(_, extension)| known(extension)).map_or(name, |(stem, _)| stem);
    let stem: String = stem.trim_start_matches(['.', ' ']).chars().take(NAME_CHARACTERS_MAX).collect();
    stem.trim_end_matches(['.', ' ']).to_owned()
}

/// Control characters, and those that turn the direction of writing, by which `gpj.exe` looks like
/// `exe.jpg`.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The characters that every browser reads alike between quotes (RFC 6266, appendix D).
fn is_plain(letter: char) -> bool {
    matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str, query: &str) -> String {
        let value = disposition(path, query, "jpg").expect("a download");
        value.to_str().unwrap().strip_prefix("attachment; filename=").unwrap().to_owned()
    }

    #[test]
    fn the_name_is_the_urls_or_the_one_asked_for() {
        for (path, query, expected) in [
            ("/image/x/full/cat.jpg", "download", "\"cat.jpg\""),
            ("/image/x/full/cat.jpg", "a=b&download=", "\"cat.jpg\""),
            ("/image/x/full/my%20cat.auto", "download", "\"my cat.jpg\""),
            ("/image/x/full/.jpg", "download", "\"image.jpg\""),
            ("/image/x/full/cat.jpg", "download=dog.jpg&sig=x", "\"dog.jpg\""),
            ("/image/x/full/cat.jpg", "download=Dog.JPEG", "\"Dog.jpg\""),
            ("/image/x/full/cat.jpg", "download=a+b%20c", "\"a b c.jpg\""),
        ] {
            assert_eq!(named(path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn a_name_keeps_its_letters_beside_a_plain_one() {
        let expected = "\"na_ve 100_.jpg\"; filename*=UTF-8''na%C3%AFve%20100%25.jpg";
        assert_eq!(named("/image/x/full/cat.jpg", "download=na%C3%AFve%20100%25"), expected);
    }

    #[test]
    fn no_name_leads_elsewhere_or_lies_about_what_it_is() {
        for (asked, expected) in [
            ("../../etc/passwd", "\"passwd.jpg\""),
            ("..%5c..%5cboot.ini", "\"boot.ini.jpg\""),
            ("setup.exe", "\"setup.exe.jpg\""),
            (".htaccess", "\"htaccess.jpg\""),
            ("..", "\"cat.jpg\""),
            ("%00%0d%0aSet-Cookie:%20a=b", "\"Set-Cookie: a=b.jpg\""),
            ("a%E2%80%AEgpj.exe", "\"agpj.exe.jpg\""),
        ] {
            assert_eq!(named("/image/x/full/cat.jpg", &format!("download={asked}")), expected, "{asked}");
        }
        let quoted = named("/image/x/full/cat.jpg", "download=a%22;b=%22c");
        assert_eq!(quoted, "\"a_;b=_c.jpg\"; filename*=UTF-8''a%22%3Bb%3D%22c.jpg");
        assert!(
            named("/image/x/full/cat.jpg", &format!("download={}", "%F0%9F%90%88".repeat(5000))).len() < 900
        );
        assert!(named("/image/x/full/cat.jpg", "download=%FF%FE").ends_with(".jpg"));
    }

    #[test]
    fn without_the_parameter_there_is_none() {
        for query in ["", "Download", "downloads=1", "a=download", "sig=x"] {
            assert_eq!(disposition("/image/x/full/cat.jpg", query, "jpg"), None, "{query}");
        }
    }
}

//! Parameters of a header field as MIME writes them: `form-data; name="image"; filename="a;b.jpg"`.
//!
//! Accepts more than the grammar allows, as the servers of browsers do: blanks around `=`, and unquoted values with any
//! byte but `;`. Names of parameters count in any case and any order. A parameter named `filename*` is another one than
//! `filename`.

/// Bytes of a boundary. RFC 2046 allows 70; some senders use more, and each piece of a body is searched for it.
const BOUNDARY_BYTES_MAX: usize = 256;

/// The boundary that the content type of a `multipart/form-data` body names; `None` if it is of another type, or names
/// none that can stand in a line: 1 to 256 bytes of printable ASCII.
pub(super) fn boundary(content_type: &[u8]) -> Option<String> {
    let media_type = content_type.split(|byte| *byte == b';').next()?;
    if !media_type.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    let boundary = parameter(content_type, "boundary")?;
    let is_printable = boundary.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let fits = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len());
    String::from_utf8(boundary).ok().filter(|_| fits && is_printable)
}

/// The value of the first parameter with this name, without its quotes and escapes.
pub(super) fn parameter(field: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut rest = after(field, b';')?;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(rest.len());
        let found = rest[..end].trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        if rest.get(end) != Some(&b'=') {
            // A word without a value.
            rest = after(rest, b';')?;
            continue;
        }
        let (value, behind) = value(rest[end + 1..].trim_ascii_start());
        if found {
            return Some(value);
        }
        rest = after(behind, b';')?;
    }
}

/// A value at the start of `text`, and the bytes behind it.
fn value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return unquote(quoted);
    }
    let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
    (text[..end].trim_ascii_end().to_vec(), &text[end..])
}

/// A value whose opening quote has been read, up to the closing one, or to the end where that is missing.
///
/// A backslash escapes a quote and a backslash alone. Before other bytes it is part of the value, because some browsers
/// send whole paths.
fn unquote(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return (value, rest),
            [b'"', behind @ ..] => return (value, behind),
            [b'\\', escaped @ (b'"' | b'\\'), behind @ ..] | [escaped, behind @ ..] => {
                value.push(*escaped);
                behind
            }
        };
    }
}

/// The bytes behind the first `mark`.
fn after(text: &[u8], mark: u8) -> Option<&[u8]> {
    let at = text.iter().position(|byte| *byte == mark)?;
    text.get(at + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(disposition: &str) -> Option<String> {
        parameter(disposition.as_bytes(), "name").map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn a_name_is_found_in_any_order_any_case_and_any_company() {
        for disposition in [
            r#"form-data; name="image""#,
            r#"form-data; NAME="image"; FILENAME="a.jpg""#,
            r#"form-data;filename="a.jpg";name="image""#,
            r"form-data; filename=a=b.jpg; Name = image ",
            r#"form-data; filename="a; name=wrong; b"; name="image""#,
            r#"form-data; filename="a\"; name=\"wrong.jpg"; name="image""#,
            r#"form-data; filename="a\\"; name="image""#,
            r#"form-data; filename="C:\photos\a.jpg"; name="image""#,
            r#"form-data; filename*=UTF-8''name%3D.jpg; name=image"#,
            r#"form-data; filename="a"b.jpg"; name="image""#,
            r#"form-data; name*=utf-8''wrong; name="image""#,
            r#"form-data; filename="name=wrong"; x; ;name=image; name=wrong"#,
            "form-data; filename=\"name=\u{439}.jpg\"; name=\t\"image\"",
            r#"ATTACHMENT; modification-date="Mon, 25 Apr 2016 10:40:18 GMT"; size=46; name="image"#,
        ] {
            assert_eq!(name(disposition).as_deref(), Some("image"), "{disposition}");
        }
    }

    #[test]
    fn a_value_loses_its_quotes_and_escapes_and_nothing_else() {
        assert_eq!(name(r#"form-data; name="a\"b\\c\d; =  ""#).as_deref(), Some(r#"a"b\c\d; =  "#));
        assert_eq!(name("form-data; name=a b=c?/:, d ; x").as_deref(), Some("a b=c?/:, d"));
        assert_eq!(name(r#"form-data; name="""#).as_deref(), Some(""));
        assert_eq!(name("form-data; name=").as_deref(), Some(""));
        assert_eq!(parameter(b"form-data; name=\"\xe9\"", "name"), Some(b"\xe9".to_vec()));
    }

    #[test]
    fn a_missing_name_is_none() {
        for disposition in
            ["", "name=image", "form-data", "form-data;", "form-data; name", "form-data; filename=name"]
        {
            assert_eq!(name(disposition), None, "{disposition}");
        }
        assert_eq!(name(r#"form-data; xname=a; filename="; name=image""#), None);
    }

    #[test]
    fn a_boundary_is_taken_quoted_or_not() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data ; charset=utf-8; BOUNDARY=----=_Part:1/2?3", Some("----=_Part:1/2?3")),
            (r#"multipart/form-data; boundary="a b;c=\"d"; x=y"#, Some(r#"a b;c="d"#)),
            ("multipart/form-data;boundary=a,b", Some("a,b")),
            ("multipart/form-data; boundary=", None),
            (r#"multipart/form-data; boundary="""#, None),
            ("multipart/form-data", None),
            ("multipart/mixed; boundary=abc", None),
            ("text/plain; boundary=abc", None),
            ("boundary=abc", None),
            ("multipart/form-data; boundary=\u{e9}", None),
            ("multipart/form-data; boundary=\"a\tb\"", None),
            ("", None),
        ] {
            assert_eq!(boundary(content_type.as_bytes()).as_deref(), expected, "{content_type}");
        }
        let long =
            |length| boundary(format!("multipart/form-data; boundary={}", "x".repeat(length)).as_bytes());
        assert_eq!(long(256), Some("x".repeat(256)));
        assert_eq!(long(257), None);
    }
}

//! The answer on a connection, as far as it has come.

/// Header lines that an answer may have.
const HEADERS_MAX: usize = 64;

/// The longest head that is read, in bytes.
const HEAD_MAX: usize = 64 << 10;

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// Bytes of the head.
    pub(crate) length: usize,
    /// Bytes of the body behind it.
    pub(crate) body: usize,
    /// Where the media type stands in the head.
    pub(crate) media_type: Option<std::ops::Range<usize>>,
    /// Whether the server ends the connection.
    pub(crate) closes: bool,
}

/// The bytes are no answer that this tool reads: broken, too long, or without the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadResponse;

/// Parses the head of an answer, once it is complete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<ResponseHead>, BadResponse> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        _ => return Err(BadResponse),
    };
    let status = response.code.ok_or(BadResponse)?;
    let mut head =
        ResponseHead { status, length, body: 0, media_type: None, closes: response.version == Some(0) };
    let mut has_length = matches!(status, 204 | 304);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).map_err(|_| BadResponse)?;
            head.body = text.trim().parse().map_err(|_| BadResponse)?;
            has_length = true;
        } else if header.name.eq_ignore_ascii_case("content-type") {
            let start = header.value.as_ptr() as usize - bytes.as_ptr() as usize;
            head.media_type = Some(start..start + header.value.len());
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.closes |= header.value.eq_ignore_ascii_case(b"close");
        }
    }
    if has_length { Ok(Some(head)) } else { Err(BadResponse) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\ncontent-length: 5\r\n\r\nhello";
        for end in 0..text.len() - 5 {
            assert_eq!(parse(&text[..end]), Ok(None));
        }
        let head = parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.closes), (200, 5, false));
        assert_eq!(&text[head.length..], b"hello");
        assert_eq!(&text[head.media_type.unwrap()], b"image/png");
    }

    #[test]
    fn an_end_of_the_connection_is_seen() {
        let closes = |text: &[u8]| parse(text).unwrap().unwrap().closes;
        assert!(closes(b"HTTP/1.1 503 Busy\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"));
        assert!(closes(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!closes(b"HTTP/1.1 304 Not Modified\r\n\r\n"));
    }

    #[test]
    fn what_is_no_answer_or_has_no_length_is_refused() {
        for text in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"\x16\x03\x01",
        ] {
            assert_eq!(parse(text), Err(BadResponse));
        }
        let endless = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'a'; HEAD_MAX]].concat();
        assert_eq!(parse(&endless), Err(BadResponse));
    }
}

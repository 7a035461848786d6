use super::*;
use Refusal::{ForeignPage, NoKey, NotFree, WrongKey};
use http::{HeaderName, HeaderValue};

const BASIC_OPERATOR: &str = "Basic eDpv";

fn access(upload: &[&str], operator: &str, open_uploads: bool) -> Access {
    Access::new(&Settings {
        upload_keys: upload.iter().map(|&key| key.to_owned()).collect(),
        operator_key: operator.to_owned(),
        open_uploads,
        cors_origins: vec!["*".to_owned(), "https://admin.example".to_owned()],
        ..Settings::default()
    })
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    [("host", "localhost:8080")].iter().chain(pairs).map(header).collect()
}

fn far(headers: &HeaderMap) -> Caller<'_> {
    Caller { near: false, authority: None, headers }
}

fn near(headers: &HeaderMap) -> Caller<'_> {
    Caller { near: true, authority: None, headers }
}

/// What `upload`, `undelete`, `Erase` and `Operate` say.
fn all(access: &Access, caller: &Caller<'_>) -> [Result<(), Refusal>; 4] {
    [
        access.upload(caller, false),
        access.upload(caller, true),
        access.check(Right::Erase, caller),
        access.check(Right::Operate, caller),
    ]
}

#[test]
fn without_keys_everything_is_for_free_loopback() {
    let access = access(&[], "", false);
    let none = headers(&[]);
    assert_eq!(all(&access, &near(&none)), [Ok(()); 4]);
    assert_eq!(all(&access, &far(&none)), [Err(NotFree); 4]);
    assert_eq!(all(&access, &near(&headers(&[("via", "1.1 proxy")]))), [Err(NotFree); 4]);
    assert_eq!(all(&access, &far(&headers(&[("authorization", "Bearer k")]))), [Err(NotFree); 4]);
}

#[test]
fn open_uploads_open_uploads_alone() {
    let access = access(&[], "", true);
    assert_eq!(all(&access, &far(&headers(&[]))), [Ok(()), Err(NotFree), Err(NotFree), Err(NotFree)]);
}

#[test]
fn each_key_gives_its_rights_and_loopback_none() {
    let access = access(&["u", "v"], "o", true);
    for (value, expected) in [
        ("Bearer u", [Ok(()), Err(WrongKey), Ok(()), Err(WrongKey)]),
        ("Bearer v", [Ok(()), Err(WrongKey), Ok(()), Err(WrongKey)]),
        ("Bearer o", [Ok(()); 4]),
        (BASIC_OPERATOR, [Ok(()); 4]),
        ("Bearer x", [Err(WrongKey); 4]),
        ("Negotiate o", [Err(NoKey); 4]),
    ] {
        let headers = headers(&[("authorization", value)]);
        assert_eq!(all(&access, &far(&headers)), expected, "{value}");
        assert_eq!(all(&access, &near(&headers)), expected, "{value}");
    }
    assert_eq!(all(&access, &near(&headers(&[]))), [Err(NoKey); 4]);
}

#[test]
fn with_upload_keys_alone_the_operators_part_is_for_free_loopback() {
    let access = access(&["u"], "", false);
    let (none, key) = (headers(&[]), headers(&[("authorization", "Bearer u")]));
    assert_eq!(all(&access, &near(&none)), [Err(NoKey), Err(NoKey), Err(NoKey), Ok(())]);
    assert_eq!(all(&access, &near(&key)), [Ok(()); 4]);
    assert_eq!(all(&access, &far(&key)), [Ok(()), Err(NotFree), Ok(()), Err(NotFree)]);
}

#[test]
fn with_an_operator_key_alone_uploads_stay_free_on_loopback() {
    let access = access(&[], "o", false);
    let (none, key) = (headers(&[]), headers(&[("authorization", "Bearer o")]));
    assert_eq!(all(&access, &near(&none)), [Ok(()), Err(NoKey), Err(NoKey), Err(NoKey)]);
    assert_eq!(all(&access, &far(&none)), [Err(NoKey); 4]);
    assert_eq!(all(&access, &far(&key)), [Ok(()); 4]);
}

#[test]
fn a_field_shows_a_key_like_a_header() {
    let access = access(&["u"], "o", false);
    assert_eq!(access.upload_by_field(Some("u"), false), Ok(()));
    assert_eq!(access.upload_by_field(Some("u"), true), Err(WrongKey));
    assert_eq!(access.upload_by_field(Some("o"), true), Ok(()));
    assert_eq!(access.upload_by_field(Some("x"), false), Err(WrongKey));
    assert_eq!(access.upload_by_field(Some(""), false), Err(NoKey));
    assert_eq!(access.upload_by_field(None, false), Err(NoKey));
}

#[test]
fn another_sites_page_cannot_use_what_the_browser_adds() {
    let (free, keyed) = (access(&[], "", false), access(&[], "o", false));
    for (origin, expected) in [
        ("http://localhost:8080", Ok(())),
        ("http://localhost:9090", Err(ForeignPage)),
        ("https://evil.example", Err(ForeignPage)),
        ("null", Err(ForeignPage)),
        ("https://admin.example", Ok(())),
    ] {
        let origin = ("origin", origin);
        assert_eq!(free.check(Right::Operate, &near(&headers(&[origin]))), expected, "{origin:?}");
        assert_eq!(free.check(Right::Erase, &near(&headers(&[origin]))), expected, "{origin:?}");
        assert_eq!(free.upload(&near(&headers(&[origin])), false), Ok(()), "{origin:?}");
        let basic = headers(&[origin, ("authorization", BASIC_OPERATOR)]);
        assert_eq!(keyed.check(Right::Operate, &far(&basic)), expected, "{origin:?}");
        let bearer = headers(&[origin, ("authorization", "Bearer o")]);
        assert_eq!(keyed.check(Right::Operate, &far(&bearer)), Ok(()), "{origin:?}");
    }
}

#[test]
fn an_empty_upload_key_opens_nothing() {
    let access = access(&[""], "", false);
    let none = headers(&[]);
    assert_eq!(access.upload(&near(&none), false), Err(NoKey));
    assert_eq!(access.upload_by_field(Some(""), false), Err(NoKey));
}

use super::*;
use AccessError::{ForeignPage, NoKey, WrongKey};
use http::{HeaderName, HeaderValue};

const BASIC_OPERATOR: &str = "Basic eDpv";

const FOREIGN: &[(&str, &str)] = &[("origin", "https://evil.example")];

type Pairs<'a> = &'a [(&'static str, &'static str)];

fn access(upload: &[&str], operator: &str, open_uploads: bool) -> Access {
    Access::new(&AccessSettings {
        upload_keys: upload.iter().map(|&key| key.to_owned()).collect(),
        operator_key: operator.to_owned(),
        open_uploads,
        cors_origins: vec!["*".to_owned(), "https://admin.example".to_owned()],
        ..AccessSettings::default()
    })
}

fn request(method: Method, pairs: Pairs<'_>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    let header = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    *request.headers_mut() = [("host", "localhost:8080")].iter().chain(pairs).map(header).collect();
    request
}

/// The results of `upload`, `undelete`, `Erase` and `Operate` for a request that would change something.
fn all(access: &Access, pairs: Pairs<'_>) -> [Result<(), AccessError>; 4] {
    let request = request(Method::POST, pairs);
    let caller = Caller::new(&request);
    [
        access.upload(&caller, false).map(drop),
        access.upload(&caller, true).map(drop),
        access.check(Right::Erase, &caller),
        access.check(Right::Operate, &caller),
    ]
}

#[test]
fn without_any_key_nobody_may_do_anything() {
    let access = access(&[], "", false);
    assert_eq!(all(&access, &[]), [Err(NoKey); 4]);
    assert_eq!(all(&access, &[("authorization", "Bearer k")]), [Err(WrongKey); 4]);
}

#[test]
fn open_uploads_open_uploads_alone_and_a_key_must_be_right_all_the_same() {
    for access in [access(&[], "o", true), access(&["u"], "o", true)] {
        assert_eq!(all(&access, &[]), [Ok(()), Err(NoKey), Err(NoKey), Err(NoKey)]);
        assert_eq!(all(&access, &[("authorization", "Bearer k")]), [Err(WrongKey); 4]);
        assert_eq!(access.upload_by_field("", false), Ok(()));
        assert_eq!(access.upload_by_field("", true), Err(NoKey));
        assert_eq!(access.upload_by_field("k", false), Err(WrongKey));
    }
}

#[test]
fn each_key_gives_its_rights() {
    let access = access(&["u", "v"], "o", false);
    for (value, expected) in [
        ("Bearer u", [Ok(()), Err(WrongKey), Ok(()), Err(WrongKey)]),
        ("Bearer v", [Ok(()), Err(WrongKey), Ok(()), Err(WrongKey)]),
        ("Bearer o", [Ok(()); 4]),
        (BASIC_OPERATOR, [Ok(()); 4]),
        ("Bearer x", [Err(WrongKey); 4]),
        ("Negotiate o", [Err(NoKey); 4]),
    ] {
        assert_eq!(all(&access, &[("authorization", value)]), expected, "{value}");
    }
    assert_eq!(all(&access, &[]), [Err(NoKey); 4]);
}

#[test]
fn with_an_operator_key_alone_it_uploads_and_nobody_else_does() {
    let access = access(&[], "o", false);
    assert_eq!(all(&access, &[]), [Err(NoKey); 4]);
    assert_eq!(all(&access, &[("authorization", "Bearer o")]), [Ok(()); 4]);
}

#[test]
fn a_field_shows_a_key_like_a_header() {
    let access = access(&["u"], "o", false);
    assert_eq!(access.upload_by_field("u", false), Ok(()));
    assert_eq!(access.upload_by_field("u", true), Err(WrongKey));
    assert_eq!(access.upload_by_field("o", true), Ok(()));
    assert_eq!(access.upload_by_field("x", false), Err(WrongKey));
    assert_eq!(access.upload_by_field("", false), Err(NoKey));
}

#[test]
fn another_sites_page_changes_nothing_by_what_the_browser_adds() {
    let (open, keyed) = (access(&[], "o", true), access(&["u"], "o", false));
    for (pairs, is_own) in [
        (&[("origin", "http://localhost:8080")][..], true),
        (&[("origin", "http://localhost:9090")], false),
        (&[("origin", "null")], false),
        (FOREIGN, false),
        (&[("origin", "https://admin.example")], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "")], false),
        (&[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], false),
        // Behind a proxy that names itself as the host.
        (&[("sec-fetch-site", "same-origin"), ("origin", "https://img.example")], true),
        (&[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:8080")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://admin.example")], true),
    ] {
        let expected = if is_own { Ok(()) } else { Err(ForeignPage) };
        assert_eq!(all(&open, pairs)[0], expected, "{pairs:?}");
        let with = |value| [pairs, &[("authorization", value)]].concat();
        assert_eq!(all(&keyed, &with(BASIC_OPERATOR)), [expected; 4], "{pairs:?}");
        assert_eq!(all(&keyed, &with("Bearer o")), [Ok(()); 4], "{pairs:?}");
    }
}

#[test]
fn a_link_on_another_sites_page_may_be_followed() {
    let access = access(&[], "o", false);
    let operate = |pairs: Pairs<'_>| {
        let with = [pairs, &[("authorization", BASIC_OPERATOR)]].concat();
        access.check(Right::Operate, &Caller::new(&request(Method::GET, &with)))
    };
    assert_eq!(operate(&[("sec-fetch-site", "cross-site")]), Ok(()));
    assert_eq!(operate(FOREIGN), Err(ForeignPage));
    assert_eq!(operate(&[("sec-fetch-site", "cross-site"), FOREIGN[0]]), Err(ForeignPage));
}

#[test]
fn an_empty_key_opens_nothing() {
    let access = access(&[""], "", false);
    assert_eq!(all(&access, &[("authorization", "Basic Og==")]), [Err(NoKey); 4]);
    assert_eq!(access.upload_by_field("", false), Err(NoKey));
}

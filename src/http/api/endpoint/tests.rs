use super::*;
use crate::object::spec::PresetName;

const ID: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

fn ask(method: &Method, path: &str, query: Option<&str>, only_presets: bool) -> Result<Endpoint, Problem> {
    let named = [("thumb", "200s"), ("plain", "full,q50"), ("box", "9w8h,fill,g-n,dpr2")];
    let preset = |(name, spec)| (PresetName::parse(name).unwrap(), Spec::parse(spec).unwrap());
    let named = named.into_iter().map(preset).collect();
    Endpoint::parse(
        method,
        &path.replace("ID", ID),
        query,
        Signing::default(),
        Presets::new(&named, only_presets, &["q5".to_owned()]),
    )
}

fn get(path: &str) -> Result<Endpoint, Problem> {
    ask(&Method::GET, path, None, false)
}

/// The recipe that a URL asks for.
fn made(path: &str) -> (String, bool) {
    match get(path) {
        Ok(Endpoint::Image(wanted)) => (wanted.spec.to_string(), wanted.by_preset),
        other => panic!("{path}: {other:?}"),
    }
}

fn moved(path: &str) -> String {
    match get(path) {
        Ok(Endpoint::Moved(location)) => location.replace(ID, "ID"),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn one_redirect_mends_everything() {
    for (path, location) in [
        ("/image/ID/100h0200w/a.jpg", "/image/ID/200w100h/a.jpg"),
        ("/image/ID/200W/a.JPEG", "/image/ID/200w/a.jpg"),
        ("/image/ID/200w,q80/a.png", "/image/ID/200w/a.png"),
        ("/image/ID/200w%2Cq80/a.jpg", "/image/ID/200w,q80/a.jpg"),
        ("/image/ID/200w/a%20b.j%70g", "/image/ID/200w/a%20b.jpg"),
        ("/image/ID/200w/a%2ejpg", "/image/ID/200w/a.jpg"),
    ] {
        assert_eq!(moved(path), location);
    }
    let upper = format!("/image/{}/full/a.jpg", ID.to_uppercase());
    let query = ask(&Method::GET, &upper, Some("a=b&c"), false);
    assert_eq!(query, Ok(Endpoint::Moved(format!("/image/{ID}/full/a.jpg?a=b&c"))));
}

#[test]
fn a_redirect_leads_to_a_url_that_is_not_redirected() {
    for path in ["/image/ID/200w/a%2e%2ejpg", "/image/ID/0200w/.jpg", "/image/ID/200w/%2ejpeg"] {
        let location = moved(path);
        assert!(matches!(get(&location), Ok(Endpoint::Image(_))), "{path} -> {location}");
    }
}

#[test]
fn routes_come_before_methods_before_ids_before_specs() {
    let delete = |path: &str| ask(&Method::DELETE, path, None, false);
    assert_eq!(delete("/cluster/v1/x"), Err(Problem::Unsigned));
    assert_eq!(delete("/image/x/y/z.bmp"), Err(Problem::UnknownRoute));
    assert_eq!(delete("/image/x/y/z"), Err(Problem::UnknownRoute));
    assert_eq!(delete("/image/x/y/z.jpg"), Err(Problem::Method("GET, HEAD")));
    assert_eq!(get("/image/x/y/z.jpg"), Err(Problem::BadId));
    assert!(matches!(get("/image/ID/y/z.jpg"), Err(Problem::BadSpec(_))));
    assert_eq!(get("/nothing"), Err(Problem::UnknownRoute));
    assert_eq!(get("/image/ID/full/a/b.jpg"), Err(Problem::UnknownRoute));
    assert_eq!(delete("/"), Err(Problem::Method("POST")));
}

#[test]
fn a_listing_begins_where_and_ends_when_it_is_told() {
    let list = |query| ask(&Method::GET, "/images", query, false);
    let after = ObjectId::parse(ID).ok();
    assert_eq!(list(None), Ok(Endpoint::List(ListRequest { after: None, limit: 100 })));
    let query = format!("limit=7&x=y&after={ID}");
    assert_eq!(list(Some(&query)), Ok(Endpoint::List(ListRequest { after, limit: 7 })));
    for query in ["limit=0", "limit=1001", "limit=+5", "limit=", "limit", "limit=99999999999999999999"] {
        assert!(matches!(list(Some(query)), Err(Problem::BadUrl(_))), "{query}");
    }
    for query in ["after=", "after=abc", "after=%2f"] {
        assert!(matches!(list(Some(query)), Err(Problem::BadId | Problem::BadUrl(_))), "{query}");
    }
}

#[test]
fn a_member_is_named_in_the_url_and_only_by_a_name_that_can_be_one() {
    let change = |path: &str| ask(&Method::POST, path, None, false);
    assert_eq!(change("/layout/node/n%31"), Ok(Endpoint::ChangeNode("n1".to_owned())));
    assert_eq!(change("/layout/cluster"), Ok(Endpoint::ChangeCluster));
    for path in ["/layout/node/a%2fb", "/layout/node/%00", &format!("/layout/node/{}", "a".repeat(65))] {
        assert!(matches!(change(path), Err(Problem::BadUrl(_))), "{path}");
    }
    for path in ["/layout/node", "/layout/node/", "/layout/node/a/b", "/layout/nodes/a", "/layout/"] {
        assert_eq!(change(path), Err(Problem::UnknownRoute), "{path}");
    }
    assert_eq!(change("/layout"), Err(Problem::Method("GET, HEAD")));
    assert_eq!((change("/scrub"), get("/scrub")), (Ok(Endpoint::BeginScrub), Ok(Endpoint::Scrub)));
    assert_eq!(change("/scrub/"), Err(Problem::UnknownRoute));
    assert_eq!(get("/layout/node/a"), Err(Problem::Method("POST")));
}

#[test]
fn placement_is_told_as_json_and_other_names_of_it_are_images_as_before() {
    assert!(matches!(get("/image/ID/debug/x.json"), Ok(Endpoint::Placement(_))));
    assert_eq!(get("/image/x/debug/x.json"), Err(Problem::BadId));
    assert!(matches!(get("/image/ID/debug/x.jpg"), Err(Problem::BadSpec(_))));
    assert_eq!(get("/image/ID/full/x.json"), Err(Problem::UnknownRoute));
}

#[test]
fn hidden_slashes_and_nuls_are_refused() {
    for path in [
        "/image/ID/..%2f..%2fetc/a.jpg",
        "/image/ID/200w%00/a.jpg",
        "/image/ID%2f/200w/a.jpg",
        "/image/ID/200w/a.jp%00g",
        "/image/ID/200w/a.jpg%00.png",
        "/image/ID/200w/..%2fa.jpg",
        "/image/ID/20%C3%A9w/a.jpg",
        "/image/ID/20%FFw/a.jpg",
    ] {
        assert!(matches!(get(path), Err(Problem::BadUrl(_))), "{path}: {:?}", get(path));
    }
}

#[test]
fn a_preset_is_made_as_it_is_written_out_and_keeps_its_url() {
    for (path, spec) in [
        ("/image/ID/p-thumb/a.jpg", "200s"),
        ("/image/ID/p-thumb,g-n,q7/a.jpg", "200s,g-n,q7"),
        ("/image/ID/p-box/a.png", "9w8h,fill,g-n,dpr2"),
        ("/image/ID/p-box,g-c,dpr1/a.png", "9w8h,fill"),
        ("/image/ID/p-plain/a.jpg", "full,q50"),
        // A quality says nothing here, so that these are the stored bytes.
        ("/image/ID/p-plain/a.png", "full"),
    ] {
        assert_eq!(made(path), (spec.to_owned(), true));
    }
    assert_eq!(made("/image/ID/200s/a.jpg"), ("200s".to_owned(), false));
}

#[test]
fn a_preset_in_another_form_is_redirected_to_its_own_url() {
    assert_eq!(moved("/image/ID/P-Thumb/a.jpg"), "/image/ID/p-thumb/a.jpg");
    assert_eq!(moved("/image/ID/p-thumb,q070,dpr1.0/a.jpg"), "/image/ID/p-thumb,dpr1,q70/a.jpg");
    assert_eq!(moved("/image/ID/p-thumb,q70/a.png"), "/image/ID/p-thumb/a.png");
}

#[test]
fn a_preset_that_is_unknown_or_cannot_take_an_option_is_a_bad_spec() {
    for (path, part) in [
        ("/image/ID/p-none/a.jpg", "p-none"),
        ("/image/ID/P-NONE/a.jpg", "p-none"),
        ("/image/ID/p-thumb,fill/a.jpg", "fill"),
        ("/image/ID/p-plain,up/a.jpg", "up"),
    ] {
        let problem = get(path).unwrap_err();
        assert!(matches!(&problem, Problem::BadSpec(detail) if detail.contains(part)), "{path}: {problem:?}");
    }
}

#[test]
fn where_only_presets_are_made_others_are_refused_before_a_redirect_and_after_a_bad_spec() {
    let get = |path: &str| ask(&Method::GET, path, None, true);
    for path in [
        "/image/ID/200s/a.jpg",
        "/image/ID/0200S/a.jpeg",
        "/image/ID/full,q5/a.jpg",
        "/image/ID/full,q5/a.png",
        "/image/ID/p-thumb,q6/a.jpg",
        "/image/ID/p-thumb,q6/a.png",
        "/image/ID/P-thumb,q06/a.jpeg",
        "/image/ID/p-thumb,q5,flip/a.jpg",
        "/image/ID/p-thumb,dpr1/a.auto",
    ] {
        assert_eq!(get(path), Err(Problem::OnlyPresets), "{path}");
    }
    assert!(matches!(get("/image/ID/nonsense/a.jpg"), Err(Problem::BadSpec(_))));
    assert!(matches!(get("/image/ID/p-thumb,fill/a.jpg"), Err(Problem::BadSpec(_))));
    assert!(matches!(get("/image/ID/P-thumb/a.jpg"), Ok(Endpoint::Moved(_))));
    assert!(matches!(get("/image/ID/p-thumb,q5/a.png"), Ok(Endpoint::Moved(_))));
    for path in [
        "/image/ID/p-thumb/a.auto",
        "/image/ID/p-thumb,q5/a.jpg",
        "/image/ID/full/a.jpg",
        "/image/ID/full/a.png",
    ] {
        assert!(matches!(get(path), Ok(Endpoint::Image(_))), "{path}");
    }
}

/// The routes of `docs/ACCESS.md`: path and methods of each row of its table except the one of `/cluster/`.
fn documented() -> Vec<(String, String)> {
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ACCESS.md"));
    let (_, section) = document.split_once("\n## Routes\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|')).filter(|line| !line.contains("/cluster/"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let path = cells[2].trim_matches('`').split('?').next().unwrap().to_owned();
        let names =
            [("{id}", ID), ("{spec}", "300w"), ("{name}.{ext}", "x.jpg"), ("{name}", "x"), ("{node}", "n1")];
        (names.iter().fold(path, |path, (name, value)| path.replace(name, value)), cells[1].to_owned())
    };
    rows.map(row).collect()
}

#[test]
fn the_table_of_who_may_do_what_has_every_route_with_its_methods() {
    let mut seen = [false; 17];
    for (path, methods) in documented() {
        let shape = Shape::of(&path).unwrap_or_else(|| panic!("{path} is no route"));
        let taken: Vec<_> = shape.methods().split(", ").collect();
        assert!(methods.split(", ").all(|method| taken.contains(&method)), "{path} {methods}");
        let documented: Vec<_> = documented().into_iter().filter(|(other, _)| *other == path).collect();
        let has =
            |method: &&str| documented.iter().any(|(_, methods)| methods.split(", ").any(|it| it == *method));
        assert!(taken.iter().all(has), "{path} lacks one of {taken:?}");
        let number = match shape {
            Shape::Root => 0,
            Shape::Images => 1,
            Shape::ImageId(_) => 2,
            Shape::Image { .. } => 3,
            Shape::Info(_) => 4,
            Shape::List => 5,
            Shape::Erasure(_) => 6,
            Shape::Purge(_) => 7,
            Shape::Health => 8,
            Shape::Ready => 9,
            Shape::Metrics => 10,
            Shape::Status => 11,
            Shape::Layout => 12,
            Shape::LayoutNode(_) => 13,
            Shape::LayoutCluster => 14,
            Shape::Placement(_) => 15,
            Shape::Scrub => 16,
        };
        seen[number] = true;
    }
    assert_eq!(seen, [true; 17], "a route is not in the table");
}

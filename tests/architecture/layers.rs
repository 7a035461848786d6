//! Which module may name which other module, crate and effect.
//!
//! Checked on what ships: unit tests (modules under `#[cfg(test)]`) may name any module, to set a scene.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::source::{is_word, shipped};

/// Every module of `src/`, and the modules it may name as `crate::…`.
const MODULES: &[(&str, &[&str])] = &[
    ("object", &[]),
    ("telemetry", &["object"]),
    ("executor", &[]),
    ("image", &["object"]),
    ("cluster", &["object"]),
    // Of the cluster only its slots and their digests (`digest`, `placement::Slot`), which the manifests keep.
    ("store", &["object", "image", "cluster", "executor", "telemetry"]),
    ("peer", &["object", "cluster", "executor", "telemetry"]),
    ("shard", &["object", "image", "store", "cluster", "peer", "executor", "telemetry"]),
    ("http", &["object", "image", "store", "cluster", "peer", "shard", "executor", "telemetry"]),
    ("cli", &["object"]),
    // Of the store only its offline check, which no node runs.
    ("client", &["object", "store", "cli"]),
    ("config", &["object", "image", "store", "cluster", "peer", "shard", "http", "telemetry", "cli"]),
    (
        "control",
        &["object", "image", "store", "cluster", "peer", "shard", "http", "executor", "telemetry", "config"],
    ),
    ("demo", &["object", "image", "telemetry", "cli", "client", "config", "control"]),
    ("main", &["telemetry", "cli", "client", "config", "control", "demo"]),
];

/// Crates and other paths that only these modules or files of `src/` may name.
const OUTSIDERS: &[(&str, &[&str])] = &[
    ("glommio", &["control", "shard", "http", "store", "peer", "executor"]),
    ("hyper", &["http", "peer"]),
    ("http_body_util", &["http", "peer"]),
    ("multer", &["http"]),
    ("hmac", &["object/sign.rs", "peer"]),
    ("sha1", &["object/hash.rs", "store/collision/mod.rs", "image"]),
    ("subtle", &["http/access/key.rs"]),
    ("foca", &["cluster"]),
    ("StatusCode", &["http/reply.rs", "http/reply/details.rs", "http/reply/kind.rs", "http/reply/layout.rs"]),
    ("fast_image_resize", &["image/resize.rs", "image/resize/sample.rs"]),
    ("zune_jpeg", &["image"]),
    ("libwebp_sys", &["image/decode/webp/libwebp.rs", "image/encode/webp.rs"]),
    ("moxcms", &["image"]),
    ("re_rav1d", &["image"]),
    ("heifer_hevc_dec", &["image"]),
    ("jxl", &["image"]),
    ("rav1e", &["image/encode/avif.rs"]),
    ("prometheus", &["telemetry"]),
    ("env_logger", &["telemetry"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("ureq", &["client"]),
    ("indicatif", &["client"]),
    ("toml", &["config"]),
    ("signal_hook", &["control", "demo", "shard/resize/helper/child.rs"]),
    ("rustix", &["config", "control", "shard", "http", "store", "peer"]),
];

/// Rooms that take everything as arguments, and what would break that.
const PURE: (&[&str], &[&str]) = (
    &["object", "image", "cluster"],
    &[
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "Instant::now",
        "SystemTime::now",
        "log::",
    ],
);

/// Files of `src/` that may allow unsafe code, each with its SAFETY arguments.
const UNSAFE: &[&str] = &[
    "src/control/system.rs",
    "src/http/server/poller.rs",
    "src/image/decode/webp/libwebp.rs",
    "src/image/encode/webp.rs",
    "src/image/jpeg/lanes/sse2.rs",
    "src/store/collision/avx2.rs",
    "src/store/descriptor.rs",
];

#[test]
fn every_module_names_only_the_modules_below_it() {
    let mut complaints = String::new();
    for file in shipped() {
        let Some((_, allowed)) = MODULES.iter().find(|(module, _)| *module == file.module) else {
            writeln!(complaints, "{}: no such module; give it a row in MODULES here", file.name).unwrap();
            continue;
        };
        for other in modules_named(&file.code) {
            if other != file.module && !allowed.contains(&other.as_str()) && is_module(&other) {
                let (name, module) = (&file.name, &file.module);
                let advice = "pass it as an argument, or move what both need to a module below";
                writeln!(complaints, "{name}: {module} must not name crate::{other}; {advice}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn no_path_climbs_to_the_crate_with_super() {
    let mut complaints = String::new();
    for file in shipped() {
        let climb = "super::".repeat(file.depth);
        if let Some(line) = file.code.lines().find(|line| line.contains(&climb)) {
            let (name, line) = (&file.name, line.trim());
            writeln!(complaints, "{name}: name the module with crate::, not with super:: in `{line}`")
                .unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn outside_crates_are_named_only_where_they_belong() {
    let mut complaints = String::new();
    for file in shipped() {
        for (outsider, places) in OUTSIDERS {
            let is_allowed =
                places.iter().any(|place| file.module == *place || file.name == format!("src/{place}"));
            if !is_allowed && names(&file.code, outsider) {
                let name = &file.name;
                writeln!(complaints, "{name}: {outsider} belongs in {places:?}; call a function there")
                    .unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn blocking_work_runs_through_the_one_function_that_survives_a_panic() {
    let mut complaints = String::new();
    for file in shipped().iter().filter(|file| file.module != "executor") {
        if file.code.contains("spawn_blocking") {
            writeln!(complaints, "{}: call executor::run_blocking", file.name).unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Where a channel is sent to without waiting, or a method of that name is called.
const TRY_SENDS: &[&str] = &["src/telemetry/metrics/channel.rs", "src/http/peer_api/receive.rs"];

#[test]
fn every_send_that_may_be_refused_goes_through_the_function_that_counts() {
    let mut complaints = String::new();
    for file in shipped().iter().filter(|file| !TRY_SENDS.contains(&file.name.as_str())) {
        if file.code.contains(".try_send(") {
            writeln!(complaints, "{}: call telemetry::metrics::channel::try_send", file.name).unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn pure_modules_touch_neither_file_nor_socket_nor_clock() {
    let (modules, effects) = PURE;
    let mut complaints = String::new();
    for file in shipped().iter().filter(|file| modules.contains(&file.module.as_str())) {
        for effect in effects {
            if file.code.split_inclusive(effect).any(|part| ends_as_a_path(part, effect)) {
                let (name, module) = (&file.name, &file.module);
                writeln!(complaints, "{name}: {module} is pure; take the result of {effect} as an argument")
                    .unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn unsafe_code_stands_only_in_the_listed_files() {
    let allow = concat!("allow(", "unsafe_code)");
    let mut complaints = String::new();
    for file in shipped().iter().filter(|file| file.code.contains(allow)) {
        if !UNSAFE.contains(&file.name.as_str()) {
            let name = &file.name;
            writeln!(complaints, "{name}: find a safe way, or argue for it and list the file in UNSAFE")
                .unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

fn is_module(name: &str) -> bool {
    MODULES.iter().any(|(module, _)| *module == name)
}

/// Whatever stands first after `crate::`, in braces too.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(first_word(rest)),
        }
    }
    found
}

/// The first words of the members of a `{…}` that has just been opened.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut heads = vec![0];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.into_iter().filter_map(|at| first_word(group[at..].trim_start())).collect()
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|&character| is_word(character)).collect();
    (!word.is_empty()).then_some(word)
}

/// Whether the code names this crate or type: at the head of a path, or in a `use`.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        let head = !before.ends_with("::") && after.starts_with("::");
        // A type is also reached through its crate's path.
        let reached = word.starts_with(char::is_uppercase) && after.starts_with("::");
        whole && (head || reached || before.ends_with("use ") || before.ends_with("extern crate "))
    })
}

/// Whether `part`, cut after `path`, ends in that path and not in a longer word.
fn ends_as_a_path(part: &str, path: &str) -> bool {
    part.strip_suffix(path).is_some_and(|before| !before.ends_with(is_word) && !before.ends_with("::"))
}

#[test]
fn the_check_sees_modules_and_crates() {
    let code = "use crate::{store::File, shard};\nfn f() { crate::image::decode(); mycrate::nothing(); }\n";
    assert_eq!(modules_named(code), ["image", "shard", "store"].map(String::from).into());
    assert!(names("use hyper as h;", "hyper") && names("let x = hyper::Body;", "hyper"));
    assert!(!names("use crate::hyper_like;", "hyper") && !names("// a hyper thing", "hyper"));
    assert!(!names("let x = crate::toml::read;", "toml") && !names("x.toml", "toml"));
}

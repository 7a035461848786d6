use proptest::prelude::*;

use super::super::key::ConfigKey;
use super::super::setting::Setting;
use super::{Draft, Environment, KEYS, OsString, TestConfig, Values, describe, effective, fs};

/// Texts that a key takes.
fn texts(path: &str) -> BoxedStrategy<String> {
    let number = |max: u64| (1..=max).prop_map(|number| number.to_string()).boxed();
    match path {
        "node.name" | "node.zone" | "cluster.name" => "[a-zA-Z0-9._-]{1,64}".boxed(),
        "node.listen" => {
            (1..255u8, any::<u16>()).prop_map(|(last, port)| format!("127.0.0.{last}:{port}")).boxed()
        }
        "node.url" => "http://([a-z]{1,9}|10\\.1\\.2\\.3|\\[::1\\])(:[1-9][0-9]{0,3})?/?".boxed(),
        "node.data" => "[ -~ä\t]{1,20}".boxed(),
        "node.shards" => number(256),
        "cluster.join" => proptest::collection::vec("http://127\\.0\\.0\\.[1-9]:[1-9][0-9]{0,3}", 0..3)
            .prop_map(|urls| urls.join(","))
            .boxed(),
        "cluster.replication" => number(16),
        "node.data_mode" => "0?7[0-7][0-7]".boxed(),
        "cluster.min_replication" => Just("1".to_owned()).boxed(),
        "images.quality.jpeg" | "images.quality.webp" | "images.quality.avif" => number(100),
        "images.presets" => {
            proptest::collection::btree_map("[a-z0-9_-]{1,32}", "[1-9][0-9]{0,2}(w|h|s)(,q[1-9])?", 0..4)
                .prop_map(|presets| {
                    presets.iter().map(|(name, spec)| format!("{name}={spec}")).collect::<Vec<_>>().join(";")
                })
                .boxed()
        }
        "images.max_dimension" => (1_000..=65_535u32).prop_map(|side| side.to_string()).boxed(),
        // Small enough for every decode_memory below.
        "images.max_pixels" => number(1_000_000),
        "limits.decode_memory" => (8_000_000..1u64 << 44).prop_map(|bytes| bytes.to_string()).boxed(),
        "access.require_signature" => Just("off".to_owned()).boxed(),
        "access.cors_origins" => {
            proptest::collection::vec("\\*|https?://[a-z]{1,9}(:[1-9][0-9]{0,3})?", 0..3)
                .prop_map(|origins| origins.join(","))
                .boxed()
        }
        "limits.trusted_proxies" => {
            proptest::collection::vec("loopback|10\\.[0-9]\\.[0-9]\\.0(/24)?|fd0[0-9]::(/16)?", 0..3)
                .prop_map(|proxies| proxies.join(","))
                .boxed()
        }
        "access.preset_overrides" => {
            proptest::collection::vec("q[1-9]|dpr(1|2|1\\.5)|fill|g-[nsc]|bg-00ff00", 0..3)
                .prop_map(|options| options.join(","))
                .boxed()
        }
        "log.level" => "off|error|warn|info|debug|trace".boxed(),
        "log.format" => "text|json".boxed(),
        path if path.ends_with("_timeout")
            || path.ends_with("_deadline")
            || path == "limits.body_progress" =>
        {
            "[1-9][0-9]{0,2}s|[1-9]m|[1-9][0-9]{2,5}ms".boxed()
        }
        "limits.drain_delay" => "[0-9]{1,3}s".boxed(),
        "limits.scrub_every" => "0s|[1-9][0-9]?(s|m|h|d)".boxed(),
        "limits.byte_rate_min" => "[0-9]{1,8}|[1-9]{1,3} ?(B|kB|KiB|MB)".boxed(),
        "cache.memory" | "cache.disk" => "[0-9]{1,12}|[1-9]{1,3} ?(B|kB|MB|GB|KiB|MiB|GiB)".boxed(),
        "images.max_bytes" => "[1-9][0-9]{0,7}|[1-9]{1,3} ?(B|kB|MB|KiB|MiB)".boxed(),
        path if ["node.writable", "images.upscale", "images.only_presets", "access.open_uploads"]
            .contains(&path) =>
        {
            "true|false".boxed()
        }
        "images.originals" => "as_is|stripped|off".boxed(),
        "images.light" => "auto|linear|encoded".boxed(),
        _ => number(1_000),
    }
}

/// Any configuration without secrets, as variables: every key is set or omitted.
fn configurations() -> impl Strategy<Value = Vec<(OsString, OsString)>> {
    let is_secret = |key: &&ConfigKey| {
        key.path.contains("secret") || key.path.ends_with("_key") || key.path.ends_with("_keys")
    };
    let keys = KEYS.iter().filter(move |key| !is_secret(key));
    let said = keys.map(|key| {
        proptest::option::of(texts(key.path).prop_map(|text| (key.variable().into(), text.into())))
    });
    said.collect::<Vec<_>>().prop_map(|said| said.into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_loads_to_the_same(variables in configurations()) {
        // To join a node needs a secret, and of secrets only the file's name is printed as it is.
        let secret_file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&secret_file, "0123456789abcdef").unwrap();
        let variables = variables.into_iter().chain([("RETICULUM_CLUSTER_SECRET_FILE".into(), secret_file.path().into())]);
        let variables: Vec<_> = variables.collect();
        let first = effective(&TestConfig::new("").flags, &Environment::new(variables.clone()));
        let first = match first {
            Ok((values, _)) => values,
            // Port 0 of node.listen is the only fault that the texts above leave.
            Err(error) => { prop_assert!(error.to_string().contains("node.url"), "{error}"); return Ok(()) }
        };
        let text = super::super::print::print(first.clone());
        let second = TestConfig::new(&text).values().map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(first, second);
    }

    #[test]
    fn no_file_makes_loading_panic(text in "(\\[[a-z]{0,8}\\]\n|[a-z_.]{0,12} ?= ?[-0-9a-z\"'\\[\\]{},.=]{0,12}\n|\\PC{0,12}\n){0,9}") {
        let _ = TestConfig::new(&text).values();
    }

    #[test]
    fn no_value_makes_a_key_panic(index in 0..KEYS.len(), text in "\\PC{0,40}|[0-9]{1,30}[a-zA-Z]{0,3}|[a-z0-9=;,:/\\[\\]#?@.*]{0,40}") {
        let mut draft = Draft::default();
        let key = &KEYS[index];
        let mut file = Draft::default();
        Environment::new([(key.variable().into(), OsString::from(&text))]).apply(&mut draft);
        let said = TestConfig::new(&format!("{} = {}", key.path, toml::Value::from(text)));
        super::super::file::read(said.flags.config.as_ref().unwrap(), &mut file);
    }
}

#[test]
fn every_default_is_a_value_that_its_key_takes() {
    let printed = describe(&TestConfig::new("").flags, &Environment::default()).unwrap();
    let mut values = TestConfig::new(&printed).values().unwrap();
    let expected = TestConfig::new("").values().unwrap();
    assert_eq!(values, expected);
    for key in KEYS {
        let place: &mut dyn Setting = (key.place)(&mut values);
        assert!(!place.takes().is_empty() && !key.meaning.is_empty(), "{}", key.path);
    }
}

#[test]
fn secrets_are_masked() {
    let said = TestConfig::new("[access]\nupload_keys = [\"s3cret1\", \"s3cret2\"]\noperator_key = \"s3cret3\"\n[cluster]\nsecret = \"s3cret4-of-16-bytes\"")
        .variable("RETICULUM_ACCESS_SIGN_KEYS", "s3cret5-of-16-bytes");
    let text = describe(&said.flags, &said.environment()).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    for line in
        ["upload_keys = [\"…\", \"…\"]", "operator_key = \"…\"", "secret = \"…\"", "sign_keys = [\"…\"]"]
    {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in:\n{text}");
    }
    assert!(!format!("{:?}", said.values().unwrap()).contains("s3cret"));
}

#[test]
fn what_depends_on_other_keys_is_printed_as_it_is_taken() {
    let said = TestConfig::new("[cluster]\nreplication = 1\n[node]\nlisten = \"127.0.0.9:99\"");
    let text = describe(&said.flags, &said.environment()).unwrap();
    for line in ["min_replication = 1", "url = \"http://127.0.0.9:99\"", "# secret is not set"] {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn loading_again_gives_the_same_and_sees_changes() {
    let said = TestConfig::new("[log]\nlevel = \"warn\"");
    assert_eq!(said.values().unwrap(), said.values().unwrap());
    fs::write(said.flags.config.as_ref().unwrap(), "[log]\nlevel = \"debug\"").unwrap();
    assert_eq!(said.load().log_level, log::LevelFilter::Debug);
    assert_ne!(said.values().unwrap(), Values::default());
}

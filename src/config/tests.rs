//! Loading as a whole: sources and their order, faults, printing, and the documentation.

mod documentation;
mod faults;
mod printing;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::key::KEYS;
use super::values::Values;
use super::*;
use crate::http::access::RequireSignature;

/// A configuration file with this text, and other sources.
struct TestConfig {
    directory: tempfile::TempDir,
    flags: Serve,
    variables: Vec<(OsString, OsString)>,
}

impl TestConfig {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.toml");
        fs::write(&path, text).unwrap();
        // A file that all users can read would cause a warning.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Self { directory, flags: Serve { config: Some(path), ..Serve::default() }, variables: Vec::new() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn flags(mut self, set: impl FnOnce(&mut Serve)) -> Self {
        set(&mut self.flags);
        self
    }

    fn environment(&self) -> Environment {
        Environment::new(self.variables.clone())
    }

    #[track_caller]
    fn load(&self) -> Config {
        load(&self.flags, &self.environment()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn values(&self) -> Result<Values, ConfigError> {
        effective(&self.flags, &self.environment()).map(|(values, _)| values)
    }

    /// Its faults, a line each, without the directory.
    #[track_caller]
    fn faults(&self) -> Vec<String> {
        let error = load(&self.flags, &self.environment()).expect_err("faults").to_string();
        let directory = format!("{}/", self.directory.path().display());
        error.lines().map(|line| line.replace(&directory, "")).collect()
    }
}

/// Loading the text must give exactly these faults, each with all of its words.
#[track_caller]
fn expect_faults(said: &TestConfig, expected: &[&[&str]]) {
    let faults = said.faults();
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, words) in faults.iter().zip(expected) {
        for word in *words {
            assert!(fault.contains(word), "{word:?} is not in: {fault}");
        }
    }
}

#[test]
fn what_the_layout_rules_is_a_first_word_only_where_it_is_said() {
    let silent = TestConfig::new("").load();
    assert_eq!(silent.bootstrap, BootstrapSettings::default());
    let said = TestConfig::new("[node]\nweight = 100\nwritable = false\n[cluster]\nreplication = 5\n").load();
    let weight = Some(Weight::new(100).unwrap());
    let expected = BootstrapSettings {
        weight,
        writable: Some(false),
        replication: Some(5),
        ..BootstrapSettings::default()
    };
    assert_eq!(said.bootstrap, expected);
}

#[test]
fn nothing_said_means_the_defaults() {
    let config = load(&Serve::default(), &Environment::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.shard.cache_memory_bytes, config.shard.cache_disk_bytes), (256 << 20, 10 << 30));
    assert_eq!(config.http.upload_bytes_max, 32 << 20);
    assert_eq!(config.http.idle_timeout, Duration::from_secs(75));
    assert_eq!(config.http.access.cors_origins, ["*"]);
    assert!(!config.name.is_empty() && config.cluster.join.is_empty());
}

const EVERY_KEY_IN_USE: &str = r#"
[node]
name = "img1"
listen = "127.0.0.1:9"
data = "d"
shards = 3
[images]
max_bytes = 1_000
max_pixels = 2_000
max_frames = 3
max_dimension = 4_000
max_output_pixels = { default = 900, avif = 800 }
upscale = true
quality = { jpeg = 5, webp = 6, avif = 7 }
presets = { thumb = "200s", Wide = "q70,0800w" }
only_presets = true
[cache]
memory = "1KiB"
disk = "2 kB"
[access]
upload_keys = ["up", "load"]
open_uploads = true
operator_key = "op"
preset_overrides = ["Q050", "dpr2"]
sign_keys = ["sign-with-16-bytes"]
require_signature = "all"
cors_origins = ["https://example.org"]
[limits]
connections = 8
uploads = 9
background_copies = "3kB"
header_timeout = "110ms"
idle_timeout = "1d"
body_progress = "12s"
byte_rate_min = "2kB"
resize_queue = 13
resize_deadline = "14m"
decode_memory = 0x10000
cold_rate = 15
upload_rate = 16
trusted_proxies = ["10.0.0.0/8", "loopback"]
scrub_every = "9d"
drain_delay = "0s"
[log]
level = "debug"
format = "json"
"#;

#[test]
fn every_key_in_use_reaches_its_room() {
    let config = TestConfig::new(EVERY_KEY_IN_USE).load();
    assert_eq!((config.name.as_str(), config.listen.port(), config.shards), ("img1", 9, 3));
    assert_eq!((config.data.to_str(), config.decode_memory_bytes), (Some("d"), 0x1_0000));
    let shard = &config.shard;
    assert_eq!((shard.limits.pixels_max, shard.limits.frames_max), (2_000, 3));
    assert_eq!((shard.cache_memory_bytes, shard.cache_disk_bytes), (1_024, 2_000));
    assert_eq!((shard.resize_queue, shard.resize_deadline), (13, Duration::from_secs(14 * 60)));
    assert_eq!((shard.cold_rate, shard.upload_rate), (15, 16));
    assert_eq!(shard.background_copies_bytes, 3_000);
    let recipe = &config.http.recipe;
    assert_eq!((recipe.quality.jpeg, recipe.quality.webp, recipe.quality.avif), (5, 6, 7));
    assert_eq!((recipe.upscale, recipe.dimension_max), (true, 4_000));
    let presets = config.http.presets.iter().map(|(name, spec)| format!("{}={spec}", name.as_str()));
    assert_eq!(presets.collect::<Vec<_>>(), ["thumb=200s", "wide=800w,q70"]);
    let access = &config.http.access;
    assert_eq!(
        (&access.upload_keys[..], &access.sign_keys[..]),
        (&["up".into(), "load".into()][..], &["sign-with-16-bytes".into()][..])
    );
    assert_eq!((access.open_uploads, access.operator_key.as_str()), (true, "op"));
    assert_eq!(access.require_signature, RequireSignature::All);
    assert_eq!(access.cors_origins, ["https://example.org"]);
    let http = &config.http;
    assert_eq!((http.only_presets, http.upload_bytes_max), (true, 1_000));
    let proxies = http.trusted_proxies.iter().map(ToString::to_string);
    assert_eq!(proxies.collect::<Vec<_>>(), ["10.0.0.0/8", "loopback"]);
    assert_eq!(http.preset_overrides, ["q50", "dpr2"]);
    assert_eq!((http.connections_max, http.uploads_max), (8, 9));
    assert_eq!(
        (http.header_timeout, http.idle_timeout),
        (Duration::from_millis(110), Duration::from_secs(86_400))
    );
    assert_eq!((http.body_progress, config.drain_delay), (Duration::from_secs(12), Duration::ZERO));
    assert_eq!(config.scrub_every, Duration::from_hours(9 * 24));
    assert_eq!(http.byte_rate_min, 2_000);
    assert_eq!((config.log_level, config.log_form), (LevelFilter::Debug, Form::Json));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let said = TestConfig::new("[node]\nname = \"file\"\n[images]\nmax_bytes = 1\n[limits]\nuploads = 1")
        .variable("RETICULUM_NODE_NAME", "variable")
        .variable("RETICULUM_IMAGES_MAX_BYTES", "2kB")
        .flags(|flags| flags.name = Some("flag".into()));
    let config = said.load();
    assert_eq!(
        (config.name.as_str(), config.http.upload_bytes_max, config.http.uploads_max),
        ("flag", 2000, 1)
    );
}

#[test]
fn every_flag_is_heard() {
    let said = TestConfig::new("[cluster]\nsecret = \"0123456789abcdef\"\njoin = [\"http://127.0.0.1:1\"]")
        .flags(|flags| {
            flags.data = Some("there".into());
            flags.listen = Some("127.0.0.2:7".parse().unwrap());
            flags.url = Some("http://localhost:7".into());
            flags.name = Some("img7".into());
            flags.shards = Some(7);
            flags.join = vec!["http://127.0.0.1:2".into(), "http://localhost:3/".into()];
            flags.replication = Some(5);
        });
    let config = said.load();
    let join: Vec<_> = config.cluster.join.iter().map(ToString::to_string).collect();
    assert_eq!(join, ["http://127.0.0.1:2", "http://localhost:3"]);
    assert_eq!((config.name.as_str(), config.shards, config.data.to_str()), ("img7", 7, Some("there")));
    let text = describe(&said.flags, &said.environment()).unwrap();
    for line in
        ["url = \"http://localhost:7\"", "listen = \"127.0.0.2:7\"", "replication = 5", "min_replication = 2"]
    {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn every_key_has_a_variable() {
    let values = r"name=img1 listen=127.0.0.1:5 url=http://localhost:5 zone=z weight=2 writable=false data=d data_mode=0750 reserve=5 shards=2
        name=c secrets=0123456789abcdef,0123456789abcdeg secret=0123456789abcdef secret_file=f join=http://localhost:6,http://localhost:7 replication=4 min_replication=1
        max_bytes=5 max_pixels=6 max_frames=7 max_dimension=800 max_output_pixels=default=9;avif=5 originals=stripped light=linear upscale=true jpeg=1 webp=2 avif=3
        presets=thumb=200s;wide=800w,q70 only_presets=true memory=1 disk=2
        upload_keys=a,b open_uploads=true operator_key=o preset_overrides=q50,dpr2 sign_keys=0123456789abcdef,0123456789abcdeg require_signature=all cors_origins=http://a,http://b
        connections=1 uploads=2 background_copies=3 header_timeout=1s idle_timeout=2s body_progress=3s byte_rate_min=4 resize_queue=4 resize_deadline=5s
        decode_memory=100 cold_rate=6 upload_rate=7 trusted_proxies=loopback,::1 scrub_every=9d drain_delay=6s level=trace format=json";
    for (key, value) in KEYS.iter().zip(values.split_whitespace()) {
        let (name, value) = value.split_once('=').unwrap();
        assert!(key.path.ends_with(name), "{} {name}", key.path);
        let mut draft = Draft::default();
        Environment::new([(key.variable().into(), value.into())]).apply(&mut draft);
        assert_ne!(draft.values, Values::default(), "{} is not heard", key.variable());
    }
    assert_eq!(values.split_whitespace().count(), KEYS.len());
}

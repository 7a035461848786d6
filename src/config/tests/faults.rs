use super::{Environment, Serve, TestConfig, expect_faults, fs, load};

/// Loading this file must give exactly one fault with all of these words.
#[track_caller]
fn expect_fault(text: &str, words: &[&str]) {
    expect_faults(&TestConfig::new(text), &[words]);
}

#[test]
fn all_faults_of_all_sources_are_told_at_once_each_with_its_place() {
    let said = TestConfig::new("[limits]\nuploads = 0\nuplods = 3\n[images]\nmax_bytes = \"32 potatoes\"\nquality = { jpeg = 101 }\n[lag]\n")
        .variable("RETICULUM_CACHE_DISK", "much")
        .variable("RETICULUM_CLUSTER_MIN_REPLICATION", "2")
        .flags(|flags| {
            flags.shards = Some(1000);
            flags.replication = Some(1);
        });
    let faults = said.faults();
    let starts = [
        "a.toml, line 2: limits.uploads = 0",
        "a.toml, line 3: \"limits.uplods\"",
        "a.toml, line 5: images.max_bytes = \"32 potatoes\"",
        "a.toml, line 6: images.quality.jpeg = 101",
        "a.toml, line 7: \"lag\"",
        "RETICULUM_CACHE_DISK: cache.disk = \"much\"",
        "RETICULUM_CLUSTER_MIN_REPLICATION: cluster.min_replication = 2",
        "--shards: node.shards = \"1000\"",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault} / {start}");
    }
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_one() {
    expect_fault("[limits]\nuplods = 3", &["line 2", "\"limits.uplods\"", "limits.uploads?"]);
    expect_fault("[limits]\nmax_bytes = 3", &["images.max_bytes?"]);
    expect_fault("max_bytes = 3", &["line 1", "\"max_bytes\"", "images.max_bytes?"]);
    expect_fault("[images]\nquality = { jpg = 3 }", &["images.quality.jpg", "images.quality.jpeg?"]);
    expect_fault("[image]\nmax_bytes = 3", &["line 1", "\"image\"", "[images]?"]);
    expect_fault("[limits.uploads]\nx = 3", &["limits.uploads", "an integer"]);
    expect_fault("\"a\\nb\" = 3", &["\"a\\nb\" is not a key"]);
}

#[test]
fn a_value_of_another_type_is_told_with_what_would_be_right() {
    for (text, words) in [
        ("[node]\nlisten = 8080", ["node.listen = 8080", "127.0.0.1:8080"]),
        ("[node]\nlisten = \"localhost:80\"", ["node.listen", "an IP address"]),
        ("[node]\nwritable = \"yes\"", ["node.writable = \"yes\"", "true or false"]),
        ("[node]\nwritable = \"true\"", ["node.writable = \"true\"", "true or false"]),
        ("[node]\nname = \"a b\"", ["node.name = \"a b\"", "letters"]),
        ("[node]\ndata = \"\"", ["node.data", "a path"]),
        ("[cluster]\njoin = \"http://127.0.0.1:1\"", ["cluster.join", "a list"]),
        ("[cluster]\nreplication = -1", ["cluster.replication = -1", "1 to 16"]),
        ("[cluster]\nreplication = 3.0", ["cluster.replication = 3.0", "an integer"]),
        ("[images]\nquality = 80", ["images.quality has keys", "key = value"]),
        ("[images]\npresets = \"200s\"", ["images.presets", "a table"]),
        ("[images]\npresets = { a = 3 }", ["images.presets.a = 3", "a spec"]),
        ("[limits]\nidle_timeout = 5", ["limits.idle_timeout = 5", "ms, s, m, h or d"]),
        ("[limits]\nidle_timeout = 2026-01-01", ["limits.idle_timeout = 2026-01-01", "a time"]),
        ("[log]\nlevel = \"loud\"", ["log.level = \"loud\"", "\"debug\""]),
        ("log = 3", ["log has keys", "[log]"]),
        ("[[limits]]\nuploads = 3", ["limits has keys", "[limits]"]),
    ] {
        expect_fault(text, &words);
    }
}

#[test]
fn a_value_beyond_its_bounds_is_told_with_them() {
    for (text, words) in [
        ("[cluster]\nreplication = 0", ["cluster.replication = 0", "1 to 16"]),
        ("[cluster]\nreplication = 17", ["cluster.replication = 17", "1 to 16"]),
        ("[cluster]\nreplication = 99999999999999999999", ["99999999999999999999", "1 to 16"]),
        ("[images]\nquality.webp = 0", ["images.quality.webp = 0", "1 to 100"]),
        ("[images]\nquality.avif = 101", ["images.quality.avif = 101", "1 to 100"]),
        ("[images]\nmax_bytes = 0", ["images.max_bytes = 0", "4GiB"]),
        ("[limits]\nconnections = 0", ["limits.connections = 0", "1 to"]),
        ("[limits]\nheader_timeout = \"0s\"", ["limits.header_timeout = \"0s\"", "100ms to 1h"]),
        ("[limits]\ndrain_delay = \"2h\"", ["limits.drain_delay = \"2h\"", "0s to 1h"]),
        ("[limits]\nscrub_every = \"367d\"", ["limits.scrub_every = \"367d\"", "0s to 366d"]),
        ("[node]\nshards = 257", ["node.shards = 257", "0 to 256"]),
        ("[node]\nweight = 0", ["node.weight = 0", "1 to"]),
    ] {
        expect_fault(text, &words);
    }
}

#[test]
fn every_fault_of_the_syntax_is_told_with_its_line() {
    expect_fault("[images\n", &["a.toml, line 1", "not TOML"]);
    let faults = TestConfig::new("[node]\nshards = = 1\n[limits]\nuploads = \"x\n").faults();
    assert!(faults.iter().any(|fault| fault.contains("line 2")), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.contains("line 4")), "{faults:#?}");
    expect_fault("[node]\nshards = 1\nshards = 2", &["line 3", "duplicate"]);
    // Faults that only follow from a broken line are not reported, and rules are not checked.
    let faults = TestConfig::new("[node]\nname = foo\n[limits]\nuploads = 0\ndecode_memory = 8\n").faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("line 2: this is not TOML") && faults[1].contains("line 4: limits.uploads"));
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let said = TestConfig::new("").flags(|flags| flags.config = Some("no-such.toml".into()));
    expect_faults(&said, &[&["no-such.toml: cannot be read", "No such file"]]);
    let said = TestConfig::new("").flags(|flags| flags.config = Some(".".into()));
    expect_faults(&said, &[&["cannot be read", "directory"]]);
    let said = TestConfig::new("").flags(|flags| flags.config = Some("/dev/zero".into()));
    expect_faults(&said, &[&["is longer than"]]);
    let said = TestConfig::new("");
    fs::write(said.flags.config.as_ref().unwrap(), b"[node]\nname = \"\xff\"").unwrap();
    expect_faults(&said, &[&["a.toml", "UTF-8"]]);
    let environment = Environment::new([("RETICULUM_CONFIG".into(), "nowhere.toml".into())]);
    let error = load(&Serve::default(), &environment).unwrap_err().to_string();
    assert!(error.starts_with("nowhere.toml: cannot be read"), "{error}");
}

#[test]
fn a_faulty_variable_or_flag_is_named() {
    let said = TestConfig::new("").variable("RETICULUM_LIMITS_UPLOADS", "-1").flags(|flags| {
        flags.shards = Some(300);
        flags.join = vec!["ftp://a".into()];
    });
    expect_faults(
        &said,
        &[
            &["RETICULUM_LIMITS_UPLOADS: limits.uploads = \"-1\"", "an integer from 1"],
            &["--join: cluster.join has \"ftp://a\"", "http://"],
            &["--shards: node.shards = \"300\"", "0 to 256"],
        ],
    );
    let said = TestConfig::new("").variable("RETICULUM_DATA", "a").variable("RETICULUM_NODE_DATA", "b");
    expect_faults(&said, &[&["RETICULUM_DATA", "RETICULUM_NODE_DATA sets the same key"]]);
    let said = TestConfig::new("").variable("RETICULUM_LISTEN", "");
    expect_faults(&said, &[&["RETICULUM_LISTEN: node.listen = \"\"", "an IP address"]]);
}

#[test]
fn uploads_are_open_nowhere_unless_that_is_said() {
    let listen = "[node]\nlisten = \"0.0.0.0:80\"\n";
    for said in ["", "[access]\nupload_keys = [\"k\"]", "[access]\noperator_key = \"o\""] {
        assert!(!TestConfig::new(&format!("{listen}{said}")).load().http.access.open_uploads);
    }
    assert!(
        TestConfig::new(&format!("{listen}[access]\nopen_uploads = true")).load().http.access.open_uploads
    );
}

#[test]
fn short_keys_are_warned_about_and_short_secrets_are_faults() {
    let fifteen = "fifteen-bytes--";
    for key in ["upload_keys = [\"KEY\", \"a-key-that-is-long-enough\"]", "operator_key = \"KEY\""] {
        let warnings =
            |text: &str| TestConfig::new(&format!("[access]\n{}", key.replace("KEY", text))).load().warnings;
        let told = warnings(fifteen);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("under 16 bytes") && !told[0].contains(fifteen), "{told:?}");
        assert!(key.starts_with(told[0]["access.".len()..].split(' ').next().unwrap()), "{told:?}");
        assert_eq!(warnings("sixteen-bytes---"), [""; 0]);
    }
    assert_eq!(TestConfig::new("").load().warnings, [""; 0]);
    for (section, key) in [
        ("access", "sign_keys = [\"KEY\"]"),
        ("cluster", "secret = \"KEY\""),
        ("cluster", "secrets = [\"a-secret-that-is-long-enough\", \"KEY\"]"),
    ] {
        let config = |text: &str| format!("[{section}]\n{}", key.replace("KEY", text));
        expect_fault(&config(fifteen), &["line 2", section, "16 to 1024 bytes"]);
        TestConfig::new(&config("sixteen-bytes---")).load();
    }
    let said = TestConfig::new("");
    let file = said.directory.path().join("secrets");
    fs::write(&file, format!("a-secret-that-is-long-enough\n{fifteen}\n")).unwrap();
    expect_fault(&format!("[cluster]\nsecret_file = {file:?}"), &["in line 2", "16 to 1024 bytes"]);
}

#[test]
fn copies_before_the_answer_are_at_most_the_copies_wanted() {
    expect_fault(
        "[cluster]\nreplication = 2\nmin_replication = 3",
        &["line 3", "min_replication = 3", "replication = 2"],
    );
    expect_fault("[cluster]\nmin_replication = 4", &["replication = 3", "write 3 or less"]);
    TestConfig::new("[cluster]\nreplication = 1").load();
    TestConfig::new("[cluster]\nreplication = 3\nmin_replication = 3").load();
}

#[test]
fn the_largest_image_fits_into_the_decode_memory() {
    expect_fault(
        "[limits]\ndecode_memory = \"1MiB\"",
        &["line 2", "limits.decode_memory = \"1MiB\"", "800000000"],
    );
    expect_fault(
        "[images]\nmax_pixels = 1_000_000_000",
        &["line 2", "limits.decode_memory", "images.max_pixels"],
    );
    TestConfig::new("[images]\nmax_pixels = 100\n[limits]\ndecode_memory = 800").load();
    expect_fault("[images]\nmax_pixels = 100\n[limits]\ndecode_memory = 799", &["write 800 or more"]);
}

#[test]
fn a_rule_is_silent_where_one_of_its_keys_is_faulty() {
    expect_fault("[images]\nmax_pixels = \"few\"\n[limits]\ndecode_memory = 800", &["images.max_pixels"]);
}

#[test]
fn a_preset_that_could_not_be_used_is_told() {
    for (presets, words) in [
        ("a = \"200x\"", ["images.presets.a = \"200x\"", "not a spec"]),
        ("a = \"p-b\"", ["images.presets.a = \"p-b\"", "names a preset"]),
        ("\"a b\" = \"200s\"", ["images.presets.a b", "an invalid name"]),
        ("a = \"200s\", A = \"300s\"", ["images.presets.", "twice"]),
        ("a = \"9000w\"", ["images.presets.a", "8192"]),
    ] {
        expect_fault(&format!("[images]\npresets = {{ {presets} }}"), &words);
    }
    let faults = TestConfig::new("[images.presets]\na = \"1x\"\nb = \"2x\"\nc = \"3s\"").faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
}

#[test]
fn no_node_is_joined_without_a_secret_wherever_it_is() {
    for url in ["http://10.0.0.2:80", "http://127.0.0.1:80", "http://localhost:81"] {
        let config = format!("[cluster]\njoin = [\"{url}\"]\n");
        expect_fault(&config, &["line 2", url, "cluster.secret"]);
        TestConfig::new(&format!("{config}secret = \"0123456789abcdef\"")).load();
    }
    TestConfig::new("[node]\nurl = \"http://10.0.0.1:80\"").load();
}

#[test]
fn a_url_that_leads_nowhere_is_told() {
    let config = "[access]\nopen_uploads = true\n[cluster]\nsecret = \"0123456789abcdef\"\njoin = [\"http://10.0.0.2:80\"]\n[node]\nlisten = \"0.0.0.0:80\"\n";
    expect_fault(config, &["line 7", "node.url = \"http://0.0.0.0:80\""]);
    TestConfig::new(&format!("{config}url = \"http://10.0.0.1:80\"")).load();
    expect_fault(
        "[cluster]\nsecret = \"0123456789abcdef\"\njoin = [\"http://[::]:80\"]",
        &["cluster.join = \"http://[::]:80\""],
    );
}

#[test]
fn the_secrets_are_said_in_one_way() {
    let [one, other] = ["0123456789abcdef", "0123456789abcdeg"];
    let secrets = format!("[cluster]\nsecrets = [\"{other}\"]\n");
    expect_fault(&format!("{secrets}secret = \"{one}\""), &["more than once", "cluster.secret_file"]);
    let said = TestConfig::new(&secrets).variable("RETICULUM_CLUSTER_SECRET", one);
    let cluster = said.values().unwrap().cluster;
    assert!(cluster.secrets.0.is_empty() && cluster.secret.is_some());
}

#[test]
fn a_secret_file_that_cannot_be_used_is_told() {
    expect_fault(
        "[cluster]\nsecret_file = \"no-such\"",
        &["line 2", "cluster.secret_file = \"no-such\"", "cannot be read"],
    );
    let said = TestConfig::new("");
    let file = said.directory.path().join("secrets");
    let config = format!("[cluster]\nsecret_file = {file:?}");
    for (text, expected) in [
        ("", "no secret"),
        (" \n\n", "no secret"),
        ("good-and-long-enough\n\nbad-and\tlong-enough\n", "line 3"),
        ("…\n", "line 1"),
    ] {
        fs::write(&file, text).unwrap();
        expect_fault(&config, &["cluster.secret_file", expected]);
    }
    fs::write(&file, " first-of-two-secrets \r\n\nsecond-of-two-secrets").unwrap();
    TestConfig::new(&config).load();
}

#[test]
fn signatures_are_not_asked_for_without_a_key() {
    expect_fault(
        "[access]\nrequire_signature = \"all\"",
        &["access.require_signature = \"all\"", "access.sign_keys"],
    );
    TestConfig::new("[access]\nrequire_signature = \"variants\"\nsign_keys = [\"0123456789abcdef\"]").load();
}

#[test]
fn no_fault_shows_a_secret() {
    let said = TestConfig::new(
        "[access]\nupload_keys = \"s3cret\"\nsign_keys = [\" s3cret\"]\noperator_key = [\"s3cret\"]\nupload_key = \"s3cret\"\n[cluster]\nsecret = \"s3cret\\n\"",
    )
    .variable("RETICULUM_CLUSTER_SECRETS", "s3cret-of-16-bytes\n,x\ny s3cret");
    let faults = said.faults();
    assert_eq!(faults.len(), 6, "{faults:#?}");
    assert!(!faults.concat().contains("s3cret"), "{faults:#?}");
}

#[test]
fn an_empty_key_is_no_key() {
    for (key, takes) in [("upload_keys", "1 to 1024 bytes"), ("sign_keys", "16 to 1024 bytes")] {
        expect_fault(
            &format!("[access]\n{key} = [\"0123456789abcdef\", \"\"]"),
            &[&format!("access.{key}"), takes],
        );
    }
    expect_fault("[cluster]\nsecret = \"\"", &["cluster.secret", "16 to 1024 bytes"]);
}

#[test]
fn the_mask_of_check_config_is_no_secret() {
    expect_fault("[access]\nupload_keys = [\"…\"]", &["access.upload_keys", "not \"…\""]);
}

#[test]
fn a_long_or_hostile_value_is_cut_and_escaped() {
    let faults = TestConfig::new(&format!("[node]\nname = \"\\u001b[31m{}\"", "x".repeat(10_000))).faults();
    assert!(faults.len() == 1 && faults[0].len() < 400 && !faults[0].contains('\u{1b}'), "{faults:?}");
}

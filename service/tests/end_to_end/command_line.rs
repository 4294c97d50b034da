//! What the program says to wrong settings: which, why, what is allowed.

use std::process::{Command, Output};

fn strait(args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strait")).args(args).envs(env.iter().copied()).output().unwrap()
}

fn complaint(args: &[&str], env: &[(&str, &str)]) -> String {
    let output = strait(args, env);
    assert!(!output.status.success(), "{args:?} is accepted");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_wrong_flag_is_named_with_what_is_allowed() {
    for (flag, value, allowed) in [
        ("--protocol", "roma", "ceres or iris"),
        ("--channel-addr", "3014", "HOST:PORT"),
        ("--node-addr", "localhost:x", "0 to 65535"),
        ("--peer-ports", "all", "any, or ports"),
        ("--peer-host", "here", "IP address"),
        ("--peer-hosts", "10.1.2.3/8", "any, or a list of host names, IP addresses, CIDR networks"),
        ("--peer-hosts", "public,any", "found \"any\""),
        ("--key-block-interval", "0", "1ms to 1h"),
        ("--network-id", "ä", "letters, digits"),
        ("--durability", "some", "power or process"),
        ("--log", "strait=loud", "level or a filter"),
    ] {
        let error = complaint(&["dev", flag, value], &[]);
        assert!(error.contains(flag) && error.contains(value) && error.contains(allowed), "{flag}: {error}");
    }
}

#[test]
fn the_environment_is_checked_like_flags() {
    let error = complaint(&["dev"], &[("STRAIT_PROTOCOL", "roma")]);
    assert!(error.contains("--protocol") && error.contains("ceres or iris"), "{error}");
    let error = complaint(&["dev"], &[("STRAIT_PEER_HOSTS", "hub:3114")]);
    assert!(error.contains("--peer-hosts") && error.contains("found \"hub:3114\""), "{error}");
}

#[test]
fn unusable_files_and_addresses_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = dir.path().join("genesis.json");
    std::fs::write(&genesis, r#"{"ak_wrong": "1"}"#).unwrap();
    let error = complaint(&["dev", "--genesis", genesis.to_str().unwrap()], &[]);
    assert!(error.contains("genesis.json") && error.contains("ak_wrong"), "{error}");
    let error = complaint(&["dev", "--config", "/nowhere/strait.toml"], &[]);
    assert!(error.contains("/nowhere/strait.toml"), "{error}");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = complaint(&["dev", "--channel-addr", &address, "--node-addr", "127.0.0.1:0"], &[]);
    assert!(error.contains("--channel-addr") && error.contains(&address), "{error}");
    let error = complaint(&["dev", "--peer-host", "0.0.0.0"], &[]);
    assert!(error.contains("--peer-ports") && error.contains("0.0.0.0"), "{error}");
}

#[test]
fn help_names_every_command_and_the_version_is_told() {
    let help = String::from_utf8(strait(&["--help"], &[]).stdout).unwrap();
    assert!(help.contains("demo") && help.contains("dev"), "{help}");
    let version = String::from_utf8(strait(&["--version"], &[]).stdout).unwrap();
    assert_eq!(version.trim(), format!("strait {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_demonstration_ends_by_itself() {
    let output = strait(&["demo", "--payments", "20", "--durability", "process"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in ["20 paid", "round 21", "closed_confirmed", "ChannelCreateTx", "ChannelCloseMutualTx", "/s"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

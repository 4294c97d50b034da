//! Vector files: that those of the repository pass, that whatever is altered in one is reported, and that anything else is a
//! failure and never a panic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use strait_conformance::{
    Count, FailedStep, VectorError, VectorNews, VectorOptions, VectorReport, run_vectors,
};

fn vectors(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fate/tests/vectors").join(path)
}

fn read(path: &str) -> Value {
    serde_json::from_slice(&fs::read(vectors(path)).unwrap()).unwrap()
}

fn run(path: &Path, options: VectorOptions) -> (VectorReport, Vec<VectorNews>) {
    let mut news = Vec::new();
    let report = run_vectors(&[path.to_owned()], options, |one| news.push(one)).unwrap();
    (report, news)
}

/// What fails of a file with this content.
fn failures(content: &[u8]) -> (Count, Vec<FailedStep>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("altered.json");
    fs::write(&file, content).unwrap();
    let (report, news) = run(&file, VectorOptions::default());
    let failed: Vec<FailedStep> = news
        .into_iter()
        .filter_map(|one| match one {
            VectorNews::Failed(failed) => Some(failed),
            _ => None,
        })
        .collect();
    assert_eq!(failed.len(), report.total().failed);
    assert!(failed.iter().all(|failed| failed.file == file));
    (report.total(), failed)
}

#[test]
fn every_vector_file_of_the_repository_passes() {
    let mut told = Vec::new();
    let report = run_vectors(&[vectors("")], VectorOptions::default(), |one| told.push(one)).unwrap();
    for (family, count) in &report.families {
        println!("{}: {count}", family.display());
    }
    assert!(told.is_empty(), "{told:?}");
    let Count { passed, failed } = report.total();
    assert!(passed >= 20_049 && failed == 0, "{passed} passed, {failed} failed");
    assert_eq!(report.families.len(), 8);
}

/// The value with another one in its place: nothing else looks the same.
fn altered(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => "00".into(),
        Value::String(text) => {
            let last = if text.ends_with('0') { '1' } else { '0' };
            format!("{}{last}", &text[..text.len() - 1]).into()
        }
        Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
        Value::Bool(is) => (!is).into(),
        Value::Array(all) => match all.split_first() {
            Some((first, rest)) => [&[altered(first)], rest].concat().into(),
            None => json!(["00"]),
        },
        other => panic!("{other} cannot be altered"),
    }
}

/// That altering this field of this step, and nothing else, is reported as exactly that.
fn is_reported(file: &Value, list: &str, step: usize, pointer: &str, field: &str) {
    let mut changed = file.clone();
    let place = changed[list][step].pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    *place = altered(place);
    let (count, failed) = failures(changed.to_string().as_bytes());
    let all = file[list].as_array().unwrap().len();
    assert_eq!(count, Count { passed: all - 1, failed: 1 }, "{pointer}: {failed:?}");
    assert_eq!(failed[0].step, Some(step), "{pointer}");
    let [difference] = &failed[0].differences[..] else { panic!("{pointer}: {failed:?}") };
    assert_eq!(difference.field, field);
    assert_ne!(difference.expected, difference.found);
    let shown = failed[0].to_string();
    let step = format!("step {step}");
    for part in ["altered.json", &step, field, ": expected ", ", found "] {
        assert!(shown.contains(part), "{shown}");
    }
}

/// The first step for which something holds.
fn step_where(file: &Value, holds: impl Fn(&Value) -> bool) -> usize {
    file["steps"].as_array().unwrap().iter().position(holds).unwrap()
}

#[test]
fn every_altered_field_of_a_call_is_reported() {
    let file = read("scenarios/ceres/events.json");
    let called = step_where(&file, |step| step["op"] == "call" && step["result"]["call"]["log"] != json!([]));
    for name in ["call_id", "object", "return_type", "return_value", "gas_used", "gas_price"] {
        let field = format!("result.call.{name}");
        is_reported(&file, "steps", called, &format!("/result/call/{name}"), &field);
    }
    for place in ["/0/address", "/0/topics/0", "/0/data"] {
        is_reported(&file, "steps", called, &format!("/result/call/log{place}"), "result.call.log");
    }
    for name in ["accounts", "calls", "contracts", "state_hash"] {
        is_reported(&file, "steps", called, &format!("/result/{name}"), &format!("result.{name}"));
    }
    for name in ["gas", "calldata"] {
        is_reported(&file, "steps", called, &format!("/{name}"), "update");
    }
}

#[test]
fn every_altered_field_of_a_new_contract_is_reported() {
    for path in ["scenarios/ceres/mapstore.json", "scenarios/ceres_vm5/mapstore.json"] {
        let file = read(path);
        for name in ["contract_object", "code_in_tree"] {
            is_reported(&file, "steps", 0, &format!("/result/{name}"), &format!("result.{name}"));
        }
        let (entry, _) = file["steps"][0]["result"]["store"].as_object().unwrap().iter().next().unwrap();
        let field = format!("result.store.{entry}");
        is_reported(&file, "steps", 0, &format!("/result/store/{entry}"), &field);
        is_reported(&file, "steps", 0, "/state_hash_before", "state_hash_before");
    }
}

#[test]
fn altered_changes_of_accounts_and_stores_are_reported() {
    let file = read("scenarios/ceres/spend.json");
    let has_change =
        |step: &Value| step["result"]["accounts_changed"].as_object().is_some_and(|all| !all.is_empty());
    let spent = step_where(&file, has_change);
    let changed = file["steps"][spent]["result"]["accounts_changed"].as_object().unwrap();
    let account = changed.keys().next().unwrap();
    let pointer = format!("/result/accounts_changed/{account}");
    is_reported(&file, "steps", spent, &pointer, &format!("result.accounts_changed.{account}"));
    // One that the file does not name, and one that did not change.
    let mut without = file.clone();
    without["steps"][spent]["result"]["accounts_changed"].as_object_mut().unwrap().remove(account);
    let (_, failed) = failures(without.to_string().as_bytes());
    assert_eq!(failed[0].differences[0].field, format!("result.accounts_changed.{account}"));
    assert_eq!(failed[0].differences[0].expected, "nothing");

    let file = read("scenarios/ceres/mapstore_gc.json");
    let changes = |step: &Value, name: &str| {
        let all = step["result"]["store_changes"].as_object().cloned().unwrap_or_default();
        let has = |change: &Value| {
            change[name].as_object().is_some_and(|all| !all.is_empty())
                || change[name].as_array().is_some_and(|all| !all.is_empty())
        };
        all.into_iter().find(|(_, change)| has(change))
    };
    for name in ["put", "removed"] {
        let step = step_where(&file, |step| changes(step, name).is_some());
        let (contract, change) = changes(&file["steps"][step], name).unwrap();
        let field = format!("result.store_changes.{contract}.{name}");
        let pointer = format!("/result/store_changes/{contract}/{name}");
        match change[name].as_object().and_then(|put| put.keys().next()) {
            Some(entry) => {
                is_reported(&file, "steps", step, &format!("{pointer}/{entry}"), &format!("{field}.{entry}"));
            }
            None => is_reported(&file, "steps", step, &pointer, &field),
        }
    }
}

#[test]
fn an_altered_outcome_is_reported() {
    let file = read("scenarios/ceres/updates_and_errors.json");
    let with = |status: &str| step_where(&file, |step| step["result"]["status"] == status);
    is_reported(&file, "steps", with("update_error"), "/result/reason", "result.reason");
    let others = [("ok", "vm_crash"), ("update_error", "vm_crash"), ("vm_crash", "update_error")];
    for (is, other) in others {
        let mut changed = file.clone();
        let step = with(is);
        changed["steps"][step]["result"]["status"] = other.into();
        let (_, failed) = failures(changed.to_string().as_bytes());
        assert_eq!((failed.len(), failed[0].step), (1, Some(step)), "{is}");
        assert_eq!(failed[0].differences[0].field, "result.status");
    }
}

#[test]
fn every_altered_field_of_a_unit_is_reported() {
    let first = |file: &Value, list: &str, holds: &dyn Fn(&Value) -> bool| {
        file[list].as_array().unwrap().iter().position(holds).unwrap()
    };
    let file = read("units/decode.json");
    let taken = first(&file, "cases", &|case| case["ok"] == true);
    is_reported(&file, "cases", taken, "/ok", "ok");
    is_reported(&file, "cases", taken, "/re", "re");
    let file = read("units/values.json");
    for name in ["term_P6", "term_P6_prefix", "term_W6", "term_w"] {
        is_reported(&file, "values", 3, &format!("/{name}"), name);
    }
    let file = read("units/order.json");
    for name in ["lt", "gt", "erl_eq", "erl_lt"] {
        is_reported(&file, "pairs", 5, &format!("/{name}"), name);
    }
    let file = read("units/type_check.json");
    for name in ["vm5", "vm8"] {
        is_reported(&file, "checks", 7, &format!("/{name}"), name);
    }
    let file = read("units/unicode.json");
    for name in ["nfc", "upper", "lower", "reverse"] {
        is_reported(&file, "cases", 2, &format!("/{name}"), name);
    }
    let mut file = read("units/erlang_map_order.json");
    file["maps"][4]["fold_order"].as_array_mut().unwrap().swap(0, 1);
    let (_, failed) = failures(file.to_string().as_bytes());
    assert_eq!((failed.len(), &*failed[0].differences[0].field), (1, "fold_order"));
    let mut table = read("opcodes.json");
    for name in ["name", "gas_iris", "ends_block", "in_auth", "offchain"] {
        let mut changed = table.clone();
        changed[20][name] = altered(&changed[20][name]);
        let (_, failed) = failures(changed.to_string().as_bytes());
        assert_eq!((failed.len(), failed[0].step), (1, Some(20)));
        assert_eq!(failed[0].differences[0].field, name);
    }
    table.as_array_mut().unwrap().pop();
    assert_eq!(failures(table.to_string().as_bytes()).0.failed, 1);
}

#[test]
fn what_is_no_vector_file_is_one_failure() {
    let contents: [&[u8]; 13] = [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"17",
        b"\"text\"",
        b"[]",
        b"{}",
        b"{\"steps\":[]}",
        b"{\"steps\":17}",
        b"{\"cases\":[]}",
        b"[{\"other\":1}]",
        b"{\"steps\":[{}],\"env\":{\"protocol\":9}}",
    ];
    for content in contents {
        let (count, failed) = failures(content);
        assert_eq!(count, Count { passed: 0, failed: 1 }, "{}", String::from_utf8_lossy(content));
        assert_eq!(failed[0].step, None);
        let shown = failed[0].to_string();
        assert!(shown.contains(": expected ") && shown.contains(", found "), "{shown}");
    }
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    assert_eq!(failures(deep.as_bytes()).0, Count { passed: 0, failed: 1 });
}

/// A small generator of numbers, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

/// Puts something else at a place that the dice choose.
fn spoil(value: &mut Value, dice: &mut Dice) {
    let inside = match value {
        Value::Object(fields) if !fields.is_empty() && dice.roll(8) > 0 => {
            let place = dice.roll(fields.len());
            fields.values_mut().nth(place)
        }
        Value::Array(all) if !all.is_empty() && dice.roll(8) > 0 => {
            let place = dice.roll(all.len());
            all.get_mut(place)
        }
        _ => None,
    };
    match inside {
        Some(inside) => spoil(inside, dice),
        None => {
            let others = [
                json!(null),
                json!(-1),
                json!("zz"),
                json!("00ff"),
                json!([]),
                json!({}),
                json!(true),
                json!(1e300),
            ];
            *value = others[dice.roll(others.len())].clone();
        }
    }
}

#[test]
fn a_spoilt_file_never_panics() {
    let mut dice = Dice(0x5eed);
    let files = ["ops/ceres/14_ADD.json", "scenarios/iris/events.json", "units/types.json", "opcodes.json"];
    let mut failed = 0;
    for file in files.map(read) {
        for _ in 0..100 {
            let mut spoilt = file.clone();
            (0..=dice.roll(3)).for_each(|_| spoil(&mut spoilt, &mut dice));
            failed += failures(spoilt.to_string().as_bytes()).0.failed;
        }
    }
    assert!(failed > 200, "{failed}");
}

fn command(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strait-conformance")).arg("vectors").args(arguments).output().unwrap()
}

#[test]
fn the_command_says_how_it_went_by_its_exit_code() {
    let add = vectors("ops/ceres/14_ADD.json");
    let add = add.to_str().unwrap();
    let good = command(&[add]);
    let count = read("ops/ceres/14_ADD.json")["steps"].as_array().unwrap().len();
    let last = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!((good.status.code(), last(&good)), (Some(0), format!("{count} passed, 0 failed")));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.json");
    fs::write(&path, "{}").unwrap();
    let bad = command(&[add, path.to_str().unwrap()]);
    assert_eq!((bad.status.code(), last(&bad)), (Some(1), format!("{count} passed, 1 failed")));

    let empty = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let misuses: [&[&str]; 7] = [
        &[],
        &[missing.to_str().unwrap()],
        &[empty.path().to_str().unwrap()],
        &["--trace", add],
        &["--step", "x", add],
        &["--step", "1", add, add],
        &["--step", "99999", add],
    ];
    for misuse in misuses {
        let output = command(misuse);
        assert_eq!(output.status.code(), Some(2), "{misuse:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_step_is_shown_instruction_by_instruction() {
    let file = vectors("scenarios/ceres/remote.json");
    let steps = read("scenarios/ceres/remote.json");
    let step =
        step_where(&steps, |step| step["function"] == "set" && step["result"]["call"]["return_type"] == "ok");
    let wanted = &steps["steps"][step];
    let options = VectorOptions { step: Some(step), trace: true };
    let (report, news) = run(&file, options);
    assert_eq!(report.total(), Count { passed: 1, failed: 0 });
    let lines: Vec<String> = news
        .into_iter()
        .map(|one| match one {
            VectorNews::Trace(line) => line,
            other => panic!("{other:?}"),
        })
        .collect();
    let (result, instructions) = lines.split_last().unwrap();
    let gas = format!("| gas {} -> ", wanted["gas"]);
    assert!(instructions[0].contains(" set 0:0 ") && instructions[0].contains(&gas), "{}", instructions[0]);
    assert!(instructions.iter().any(|line| line.contains(" CALL_R {stack,0} ")));
    let used = format!("gas used {}", wanted["result"]["call"]["gas_used"]);
    assert!(result.ends_with(&used), "{result}");
}

#[test]
fn only_a_step_that_is_there_can_be_shown() {
    let options = VectorOptions { step: Some(1_000_000), trace: true };
    let error = run_vectors(&[vectors("opcodes.json")], options, |_| {}).unwrap_err();
    assert!(matches!(error, VectorError::NoStep { step: 1_000_000, .. }), "{error}");
    let error = run_vectors(&[vectors("units")], options, |_| {}).unwrap_err();
    assert!(matches!(error, VectorError::ManyFiles(7)), "{error}");
}

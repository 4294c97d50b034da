//! The reference's contract vectors: every step must give the same value, gas, events, stores and accounts.

#![allow(clippy::unwrap_used)]

mod support;

use support::world::world_of;
use support::{files, play, read};

/// How many differences are shown.
const SHOWN: usize = 40;

/// Plays the files of a folder and reports how many steps passed.
fn family(folder: &str, only: Option<&str>) {
    let (mut passed, mut failed, mut shown) = (0, 0, 0);
    for path in files(folder) {
        if only.is_some_and(|only| !path.file_name().unwrap().to_str().unwrap().contains(only)) {
            continue;
        }
        let vector = read(&path);
        let mut world = world_of(&vector);
        let mut failed_here = 0;
        for (index, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
            let differences = play::play(&mut world, step);
            if differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            failed_here += 1;
            if shown < SHOWN && failed_here <= 3 {
                shown += 1;
                let name = path.file_name().unwrap().to_str().unwrap();
                println!("{name} step {index} {} {}", step["function"], step["args"]);
                differences.iter().for_each(|difference| println!("  {difference:.1200}"));
            }
        }
        if failed_here > 0 {
            println!("{}: {failed_here} failed", path.file_name().unwrap().to_str().unwrap());
        }
    }
    println!("{folder}: {passed} passed, {failed} failed");
    assert!(passed > 0 && failed == 0, "{folder}: {failed} steps failed");
}

#[test]
fn instructions_under_ceres() {
    family("ops/ceres", std::option_env!("ONLY"));
}

#[test]
fn instructions_under_ceres_on_machine_5() {
    family("ops/ceres_vm5", None);
}

#[test]
fn instructions_under_ceres_on_machine_7() {
    family("ops/ceres_vm7", None);
}

#[test]
fn scenarios_under_ceres() {
    family("scenarios/ceres", None);
}

#[test]
fn scenarios_under_ceres_on_machine_5() {
    family("scenarios/ceres_vm5", None);
}

#[test]
fn scenarios_under_iris() {
    family("scenarios/iris", None);
}

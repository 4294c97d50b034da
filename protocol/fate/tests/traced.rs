//! Whoever watches programs changes nothing, and sees every instruction.

#![allow(clippy::unwrap_used)]

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use strait_fate::{Performed, watched};
use support::world::{World, world_of};
use support::{files, number, play, read};

/// Plays a step with somebody watching: what differs from the vector, and what was seen.
fn seen(world: &mut World, step: &serde_json::Value) -> (Vec<String>, Vec<Performed>) {
    let all: Rc<RefCell<Vec<Performed>>> = Rc::default();
    let kept = Rc::clone(&all);
    let differences = watched(move |one| kept.borrow_mut().push(one), || play::play(world, step));
    (differences, all.take())
}

#[test]
fn a_watched_program_comes_to_the_same_result() {
    let mut instructions = 0;
    for folder in ["scenarios/ceres", "scenarios/ceres_vm5", "scenarios/iris"] {
        for path in files(folder) {
            let vector = read(&path);
            let mut world = world_of(&vector);
            for (index, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
                let (differences, performed) = seen(&mut world, step);
                assert!(differences.is_empty(), "{} step {index}: {differences:?}", path.display());
                instructions += performed.len();
            }
        }
    }
    assert!(instructions > 10_000, "{instructions} instructions");
}

#[test]
fn every_instruction_is_seen_with_its_gas() {
    let path = files("scenarios/ceres").into_iter().find(|path| path.ends_with("remote.json")).unwrap();
    let vector = read(&path);
    let mut world = world_of(&vector);
    let mut calls = 0;
    for step in vector["steps"].as_array().unwrap() {
        let (_, performed) = seen(&mut world, step);
        if step["op"] != "call" || step["result"]["call"]["return_type"] != "ok" {
            continue;
        }
        let (Some(first), Some(last)) = (performed.first(), performed.last()) else { panic!("{step}") };
        assert_eq!(u128::from(first.gas_before), number(&step["gas"]));
        // What is left after the last instruction is paid for the store and the result.
        let used = number(&step["gas"]) - u128::from(last.gas_after);
        assert!(used <= number(&step["result"]["call"]["gas_used"]), "{step}");
        assert!(last.fault.is_none() && last.top.is_some());
        // Gas comes back only where a protected or capped call ends.
        let plain =
            performed.iter().all(|one| !matches!(one.name, "CALL_GR" | "CALL_PGR") && one.fault.is_none());
        if plain {
            assert!(performed.windows(2).all(|pair| pair[0].gas_after == pair[1].gas_before), "{step}");
        }
        calls += 1;
    }
    assert!(calls > 10, "{calls} calls");
}

#[test]
fn nobody_watches_once_the_watched_part_is_over() {
    let path = &files("ops/ceres")[0];
    let vector = read(path);
    let steps = vector["steps"].as_array().unwrap();
    let count = Rc::new(RefCell::new((0, 0)));
    let (outer, inner) = (Rc::clone(&count), Rc::clone(&count));
    watched(
        move |_| outer.borrow_mut().0 += 1,
        || {
            watched(
                move |_| inner.borrow_mut().1 += 1,
                || steps.iter().for_each(|step| drop(play::play(&mut world_of(&vector), step))),
            );
            let after_inner = count.borrow().0;
            assert_eq!(after_inner, 0);
            steps.iter().for_each(|step| drop(play::play(&mut world_of(&vector), step)));
        },
    );
    let (by_outer, by_inner) = *count.borrow();
    assert!(by_outer > 0 && by_outer == by_inner, "{by_outer} and {by_inner}");
    steps.iter().for_each(|step| drop(play::play(&mut world_of(&vector), step)));
    assert_eq!(*count.borrow(), (by_outer, by_inner));
}

//! Files of updates, applied one after the other.

use serde_json::Value;

use super::place::{Place, Read};
use super::trace::traced;
use super::wanted::Wanted;
use super::world::{Outcome, World, compare_fields};
use super::{Mismatch, Run, VectorNews};

/// What a step may do.
const OPS: [&str; 7] = ["create", "call", "transfer", "deposit", "withdraw", "meta", "insert_failed_call"];

/// Runs every step of a file.
pub(super) fn run<T: FnMut(VectorNews)>(run: &mut Run<'_, T>, file: &Place<'_>) {
    let (mut world, steps) = match World::of(file).and_then(|world| Ok((world, file.at("steps").list()?))) {
        Ok((_, steps)) if steps.is_empty() => {
            let none = file.at("steps").wrong("at least one step");
            return run.fail(None, String::new(), vec![none]);
        }
        Ok(both) => both,
        Err(mismatch) => return run.fail(None, String::new(), vec![mismatch]),
    };
    for (number, step) in steps.iter().enumerate() {
        // The way to a field begins at its step.
        let step = Place::whole(step.value());
        let differences = match one(run, &mut world, number, &step) {
            Ok(differences) => differences,
            Err(malformed) => vec![malformed],
        };
        run.done(number, || about(&step), differences);
    }
}

/// Runs a step: what differs from what the file says.
fn one<T: FnMut(VectorNews)>(
    run: &mut Run<'_, T>,
    world: &mut World,
    number: usize,
    step: &Place<'_>,
) -> Read<Vec<Mismatch>> {
    let op = step.at("op");
    if !step.at("updates").is_there() && !OPS.iter().any(|known| op.value() == known) {
        return Err(op.wrong(&format!("one of {}", OPS.join(", "))));
    }
    let is_kept = match step.at("commit") {
        commit if commit.is_there() => commit.boolean()?,
        _ => true,
    };
    let mut found = Vec::new();
    compare_fields(step, &world.trees, &mut found)?;
    let outcome = if run.options.trace && run.options.step == Some(number) {
        traced(world, step, run.told)?
    } else {
        world.apply(step)?
    };
    let mut wanted = Wanted::of(step, &world.trees);
    let compared = wanted.compare(&outcome, &mut found);
    wanted.uncompared().into_iter().for_each(|field| run.note(field));
    if let (Outcome::Applied(next), true) = (outcome, is_kept) {
        world.trees = next;
    }
    compared.map(|()| found)
}

/// What a step is, in words of the file.
fn about(step: &Place<'_>) -> String {
    let words = |name: &str| match step.value().get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let words: Vec<String> = ["op", "function", "args", "note"].into_iter().filter_map(words).collect();
    words.join(" ").chars().take(160).collect()
}

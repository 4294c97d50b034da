//! Replays the corpus, and changes it a little.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use strait_fuzz::TARGETS;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_target_holds_for_its_corpus() {
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 5, "the corpus of {name} has {} inputs", inputs.len());
        inputs.iter().for_each(|input| target(input));
    }
}

proptest! {
    #[test]
    fn every_target_holds_for_changed_inputs(
        pick in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<Index>()),
    ) {
        for (name, target) in TARGETS {
            let inputs = corpus(name);
            let mut input = pick.get(&inputs).clone();
            for (place, byte) in &changes {
                if !input.is_empty() {
                    let place = place.index(input.len());
                    input[place] = *byte;
                }
            }
            if let Some(cut) = &cut {
                let keep = cut.index(input.len() + 1);
                input.truncate(keep);
            }
            target(&input);
        }
    }
}

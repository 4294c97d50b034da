//! The table of `docs/coverage.md` names tests that exist.

#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn every_test_of_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/coverage.md")).unwrap();
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| case")) {
        let cells: Vec<&str> = line.split('|').collect();
        let tests: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test is named for{}", cells[1]);
        for test in tests {
            named += 1;
            let (file, function) =
                test.split_once("::").map_or((test, None), |(file, name)| (file, Some(name)));
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|why| panic!("{file}: {why}"));
            if let Some(function) = function {
                assert!(text.contains(&format!("fn {function}(")), "{file} has no test {function}");
            }
        }
    }
    assert!(named > 50, "the table is not read: {named} tests");
}

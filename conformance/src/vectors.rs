//! Runs vector files: recorded updates of contracts in a channel, and single functions of the FATE machine, each with what the
//! reference made of it (`protocol/fate/tests/vectors/README.md`).
//!
//! A file is one of: updates (`steps`), unit cases (`cases`, `values`, `pairs`, `types`, `checks`, `maps`), or the table of
//! instructions. Whatever else it is, it counts as one failure.

mod place;
mod steps;
mod trace;
mod units;
mod wanted;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use place::Place;

/// The largest vector file that is read, in bytes.
const MAX_FILE: u64 = 1 << 28;
/// How deep folders are searched.
const MAX_DEPTH: usize = 16;

/// What to run, and what to show of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VectorOptions {
    /// Only this step counts; those before it are applied, because it needs them.
    pub step: Option<usize>,
    /// Whether that step is shown instruction by instruction.
    pub trace: bool,
}

/// Something to show, in the order in which it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VectorNews {
    /// A step, or a whole file, is otherwise than the reference made it.
    Failed(FailedStep),
    /// A line of a trace.
    Trace(String),
    /// A file has this field, which is not compared: nothing here knows it. Said once for a file.
    Uncompared(PathBuf, String),
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedStep {
    /// The file.
    pub file: PathBuf,
    /// The number of the step or case, from 0; none where the whole file is at fault.
    pub step: Option<usize>,
    /// What the step does, as far as the file says it.
    pub about: String,
    /// Every field that differs.
    pub differences: Vec<Mismatch>,
}

/// A field that is not what the file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field: names separated by dots, places in lists in brackets.
    pub field: String,
    /// What the file says, or what should stand there.
    pub expected: String,
    /// What came of it, or what stands there.
    pub found: String,
}

/// How many steps went well, and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Steps that came to what the reference made of them.
    pub passed: usize,
    /// Steps that did not, and files that are none.
    pub failed: usize,
}

/// How the steps of all files went, by folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorReport {
    /// The counts of every folder that has a vector file.
    pub families: BTreeMap<PathBuf, Count>,
}

/// Why nothing was run: the fault of whoever asked.
#[derive(Debug, Error)]
pub enum VectorError {
    /// No such file or folder, or it may not be read.
    #[error("{}: {error}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A folder holds no vector file.
    #[error("{}: expected a folder with files that end in .json, found none", .0.display())]
    Empty(PathBuf),
    /// Only a step of one file can be shown.
    #[error("--step: expected one file, found {0}")]
    ManyFiles(usize),
    /// The file has no such step.
    #[error("--step: expected a number below {steps}, found {step}")]
    NoStep {
        /// Which was asked for.
        step: usize,
        /// How many there are.
        steps: usize,
    },
}

/// Runs the files in `paths`: each a file, or a folder with everything in it that ends in `.json`. `told` hears what there is to show.
///
/// # Errors
/// A path that cannot be read, or a step that is not there; nothing counts then. What is wrong in a file is a failure in the report.
pub fn run_vectors(
    paths: &[PathBuf],
    options: VectorOptions,
    mut told: impl FnMut(VectorNews),
) -> Result<VectorReport, VectorError> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        gather(path, MAX_DEPTH, &mut files)?;
        if files.len() == before {
            return Err(VectorError::Empty(path.clone()));
        }
    }
    if options.step.is_some() && files.len() != 1 {
        return Err(VectorError::ManyFiles(files.len()));
    }
    let mut report = VectorReport::default();
    for file in &files {
        let family = file.parent().unwrap_or(Path::new("")).to_owned();
        let count = run_file(file, options, &mut told)?;
        let sum = report.families.entry(family).or_default();
        *sum = Count { passed: sum.passed + count.passed, failed: sum.failed + count.failed };
    }
    Ok(report)
}

/// The files of a path, folders in the order of names.
fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), VectorError> {
    let failed = |error| VectorError::Path { path: path.to_owned(), error };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Err(failed(std::io::Error::other("folders nest too deep")));
    }
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        inside.push(entry.map_err(failed)?.path());
    }
    inside.sort();
    for path in inside {
        if path.is_dir() || path.extension().is_some_and(|ending| ending == "json") {
            gather(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

fn run_file(
    file: &Path,
    options: VectorOptions,
    told: &mut impl FnMut(VectorNews),
) -> Result<Count, VectorError> {
    let mut run = Run { file, options, told, count: Count::default(), steps: 0, uncompared: BTreeSet::new() };
    match read(file) {
        Err(mismatch) => run.fail(None, String::new(), vec![mismatch]),
        Ok(content) => {
            let whole = Place::whole(&content);
            if content.get("steps").is_some() {
                steps::run(&mut run, &whole);
            } else {
                units::run(&mut run, &whole);
            }
            if let Some(step) = options.step
                && step >= run.steps
            {
                return Err(VectorError::NoStep { step, steps: run.steps });
            }
        }
    }
    Ok(run.count)
}

fn read(file: &Path) -> Result<Value, Mismatch> {
    let unreadable = |found: String| Mismatch::new("the file", "a vector file in JSON", found);
    let size = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(Mismatch::new("the file", format!("at most {MAX_FILE} bytes"), format!("{size} bytes")));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
}

/// A file that is being run.
struct Run<'a, T> {
    file: &'a Path,
    options: VectorOptions,
    told: &'a mut T,
    count: Count,
    /// How many steps the file has, as far as it was looked at.
    steps: usize,
    uncompared: BTreeSet<String>,
}

impl<T: FnMut(VectorNews)> Run<'_, T> {
    /// Counts a step by its differences, if it counts.
    fn done(&mut self, step: usize, about: impl FnOnce() -> String, differences: Vec<Mismatch>) {
        self.steps = self.steps.max(step + 1);
        if self.options.step.is_some_and(|only| only != step) {
            return;
        }
        if differences.is_empty() {
            self.count.passed += 1;
        } else {
            self.fail(Some(step), about(), differences);
        }
    }

    /// Says that a field is not compared.
    fn note(&mut self, field: String) {
        if self.uncompared.insert(field.clone()) {
            (self.told)(VectorNews::Uncompared(self.file.to_owned(), field));
        }
    }

    fn fail(&mut self, step: Option<usize>, about: String, differences: Vec<Mismatch>) {
        self.count.failed += 1;
        (self.told)(VectorNews::Failed(FailedStep { file: self.file.to_owned(), step, about, differences }));
    }
}

impl Mismatch {
    fn new(field: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { field: field.into(), expected: expected.into(), found: found.into() }
    }
}

impl VectorReport {
    /// The sum over all folders.
    pub fn total(&self) -> Count {
        let add = |sum: Count, one: &Count| Count {
            passed: sum.passed + one.passed,
            failed: sum.failed + one.failed,
        };
        self.families.values().fold(Count::default(), add)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl fmt::Display for FailedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FAIL {}", self.file.display())?;
        if let Some(step) = self.step {
            write!(f, " step {step}")?;
        }
        if !self.about.is_empty() {
            write!(f, " ({})", self.about)?;
        }
        self.differences.iter().try_for_each(|difference| write!(f, "\n     {difference}"))
    }
}

/// How much of a value is shown, in characters.
const SHOWN: usize = 400;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = self.expected.chars().zip(self.found.chars()).take_while(|(a, b)| a == b).count();
        // Of long values the part where they begin to differ is shown.
        let longest = self.expected.len().max(self.found.len());
        let begin = if longest > SHOWN { same.saturating_sub(SHOWN / 4) } else { 0 };
        let part = |text: &str| {
            let shown: String = text.chars().skip(begin).take(SHOWN).collect();
            let before = if begin > 0 { "…" } else { "" };
            let after = if text.chars().nth(begin + SHOWN).is_some() { "…" } else { "" };
            if text.is_empty() { "nothing".to_owned() } else { format!("{before}{shown}{after}") }
        };
        write!(f, "{}: expected {}, found {}", self.field, part(&self.expected), part(&self.found))
    }
}

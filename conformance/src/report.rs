//! Playing many sessions, and saying how it went.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::player::{Failure, play};
use crate::service::{Endpoint, Service, ServiceError};
use crate::session::Session;

/// How long a message may take unless it is said otherwise.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How sessions are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long each message may take.
    pub limit: Duration,
    /// How many sessions are played at a time.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { limit: LIMIT, jobs: 4 }
    }
}

/// How one session went.
#[derive(Debug)]
pub struct Played {
    /// The session's name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// The first thing that was otherwise than in the recording.
    pub failure: Option<Failure>,
}

/// How all sessions went, in the order they were given.
#[derive(Debug)]
pub struct Report {
    /// One entry for each.
    pub played: Vec<Played>,
}

impl Report {
    /// The sessions that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Played> {
        self.played.iter().filter(|played| played.failure.is_some())
    }
}

/// Starts `service` and plays the sessions in `files` against it with the default [`Options`].
///
/// # Errors
/// The service does not start. What goes wrong in a session is in the report.
pub async fn play_all(service: &impl Service, files: &[PathBuf]) -> Result<Report, ServiceError> {
    play_all_with(service, files, Options::default(), |_| {}).await
}

/// As [`play_all`], with other options; `told` hears of every session, in order, as soon as it and those before it are
/// done.
///
/// # Errors
/// As there.
pub async fn play_all_with(
    service: &impl Service,
    files: &[PathBuf],
    options: Options,
    mut told: impl FnMut(&Played),
) -> Result<Report, ServiceError> {
    let endpoint = service.start().await?;
    let all: Vec<_> = files.iter().map(|file| play_file(service, &endpoint, file, options.limit)).collect();
    let mut playing = stream::iter(all).buffered(options.jobs.max(1));
    let mut played = Vec::new();
    while let Some(one) = playing.next().await {
        told(&one);
        played.push(one);
    }
    Ok(Report { played })
}

async fn play_file(service: &impl Service, endpoint: &Endpoint, file: &Path, limit: Duration) -> Played {
    let begun = Instant::now();
    let (name, result) = match Session::read(file) {
        Ok(session) => (session.name.clone(), play(service, endpoint, &session, limit).await),
        Err(error) => (file.display().to_string(), Err(error.into())),
    };
    Played { name, took: begun.elapsed(), failure: result.err() }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, seconds) = (&self.name, self.took.as_secs_f64());
        match &self.failure {
            None => write!(f, "PASS {name} ({seconds:.1} s)"),
            Some(failure) => write!(f, "FAIL {name} ({seconds:.1} s): {failure}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for played in &self.played {
            writeln!(f, "{played}")?;
        }
        write!(f, "{}", self.summary())
    }
}

impl Report {
    /// `N passed, M failed`.
    pub fn summary(&self) -> String {
        let failed = self.failed().count();
        format!("{} passed, {failed} failed", self.played.len() - failed)
    }
}

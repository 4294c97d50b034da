use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const PROBE: &str = "sync-probe";

/// One block, as a commit of one record writes.
const BLOCK: [u8; 4096] = [0; 4096];

pub(crate) fn measure(dir: &Path, rounds: usize) -> io::Result<Duration> {
    let path = dir.join(PROBE);
    let times = probe(&path, rounds.max(1));
    std::fs::remove_file(&path)?;
    let mut times = times?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn probe(path: &Path, rounds: usize) -> io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    let mut round = || {
        let begin = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        Ok(begin.elapsed())
    };
    // The first one grows the file, which a log that is written over and over does not.
    round()?;
    (0..rounds).map(|_| round()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        assert!(measure(dir.path(), 3).unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn says_so_if_the_directory_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let missing = measure(&dir.path().join("missing"), 1).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}

//! `strait-conformance`: plays recorded sessions against a running service, and vector files against the ledger.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use strait_conformance::{
    LIMIT, NodeChain, Options, Own, Played, Running, Service, VectorError, VectorNews, VectorOptions,
    VectorReport, play_all_with, run_vectors, tolerated,
};
use strait_encoding::SecretKey;

/// Plays recordings against a state-channel service, and vector files against its ledger.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once for a run")]
enum Command {
    /// Plays recorded sessions of two clients.
    Sessions(Sessions),
    /// Runs vector files of contracts; ends with 1 where one fails, with 2 where nothing could be run.
    Vectors(Vectors),
}

#[derive(Args)]
struct Vectors {
    /// Only this step of the file, counted from 0, after those before it.
    #[arg(long, value_name = "K")]
    step: Option<usize>,
    /// Show what the step does, instruction by instruction.
    #[arg(long, requires = "step")]
    trace: bool,
    /// Vector files in JSON, or folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}

/// The exit code of whoever asks for what is not there, as that of a command line that makes no sense.
const MISUSE: u8 = 2;

#[derive(Args)]
struct Sessions {
    /// The WebSocket interface of the service, for instance ws://127.0.0.1:3014/channel; without it a service is started.
    #[arg(long, requires = "funder")]
    url: Option<String>,
    /// The HTTP interface of its chain.
    #[arg(long, default_value = "http://127.0.0.1:3013")]
    node: String,
    /// The secret key of an account with coins, which pays for the parties of every session.
    #[arg(long, env = "STRAIT_FUNDER", hide_env_values = true)]
    funder: Option<SecretKey>,
    /// How many sessions to play at a time.
    #[arg(long, default_value_t = Options::default().jobs)]
    jobs: usize,
    /// How long each message may take, in seconds.
    #[arg(long, default_value_t = LIMIT.as_secs())]
    limit: u64,
    /// Recordings: JSON, or the flat text form where the name ends in `.txt`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let sessions = match Cli::parse().command {
        Command::Sessions(sessions) => sessions,
        Command::Vectors(vectors) => return run(&vectors),
    };
    match (&sessions.url, &sessions.funder) {
        (Some(url), Some(funder)) => {
            let chain = NodeChain::new(sessions.node.clone(), funder.clone());
            play(&Running::new(url.clone(), chain), &sessions).await
        }
        _ => play(&Own::new(), &sessions).await,
    }
}

async fn play(service: &impl Service, sessions: &Sessions) -> ExitCode {
    let options = Options { limit: Duration::from_secs(sessions.limit), jobs: sessions.jobs };
    let told = |played: &Played| {
        println!("{played}");
        for reason in tolerated(&played.name) {
            println!("     an older recording: {reason}");
        }
    };
    match play_all_with(service, &sessions.files, options, told).await {
        Ok(report) => {
            println!("{}", report.summary());
            if report.failed().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(vectors: &Vectors) -> ExitCode {
    match show(vectors, &mut io::stdout().lock()) {
        Ok(Ok(report)) if report.total().failed == 0 => ExitCode::SUCCESS,
        Ok(Ok(_)) => ExitCode::FAILURE,
        Ok(Err(misuse)) => {
            eprintln!("{misuse}");
            ExitCode::from(MISUSE)
        }
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs vector files and writes what there is to say of them.
fn show(vectors: &Vectors, out: &mut impl Write) -> io::Result<Result<VectorReport, VectorError>> {
    let options = VectorOptions { step: vectors.step, trace: vectors.trace };
    let mut written = Ok(());
    let report = run_vectors(&vectors.paths, options, |news| {
        if written.is_ok() {
            written = match news {
                VectorNews::Failed(failed) => writeln!(out, "{failed}"),
                VectorNews::Trace(line) => writeln!(out, "{line}"),
                VectorNews::Uncompared(file, field) => {
                    writeln!(out, "note: {}: `{field}` is not compared", file.display())
                }
            };
        }
    });
    written?;
    let report = match report {
        Ok(report) => report,
        Err(misuse) => return Ok(Err(misuse)),
    };
    if report.families.len() > 1 {
        for (folder, count) in &report.families {
            writeln!(out, "{}: {count}", folder.display())?;
        }
    }
    writeln!(out, "{}", report.total())?;
    Ok(Ok(report))
}

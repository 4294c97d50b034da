//! `strait-conformance`: plays recorded sessions against a running service.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use strait_conformance::{
    LIMIT, NodeChain, Options, Own, Played, Running, Service, play_all_with, tolerated,
};
use strait_encoding::SecretKey;

/// Plays recordings against a state-channel service.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays recorded sessions of two clients.
    Sessions(Sessions),
}

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
    let Command::Sessions(sessions) = Cli::parse().command;
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

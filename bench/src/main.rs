//! The load driver: real WebSocket clients against a service in a process of its own.
//!
//! ```text
//! cargo run --release -p strait-bench -- --channels 1 --updates 10000
//! cargo run --release -p strait-bench -- --channels 20 --updates 2000 --both --durability process
//! cargo run --release -p strait-bench -- --calls --durability power
//! cargo run --release -p strait-bench -- --window open
//! cargo run --release -p strait-bench -- --idle 1000
//! ```

mod calls;
mod load;
mod page;
mod served;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use strait_service::config::parse_busy_poll;
use strait_store::{Durability, Store};

use crate::load::{Channels, Measured, Work};
use crate::served::{Served, Settings, Watching};

type Failure = Box<dyn Error + Send + Sync>;

/// Measures a Strait service.
#[derive(Debug, Parser)]
struct Args {
    /// How many channels are paid in at once.
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// How many updates each channel makes.
    #[arg(long, default_value_t = 5_000)]
    updates: u32,
    /// The two sides propose in turn; otherwise the initiator proposes alone.
    #[arg(long)]
    both: bool,
    /// What a commit survives.
    #[arg(long, default_value = "process", value_name = "power|process")]
    durability: Durability,
    /// Instead: how much memory this many idle open channels take, and how long the service takes to start with them.
    #[arg(long, value_name = "CHANNELS")]
    idle: Option<usize>,
    /// Every update calls a small contract, instead of paying.
    #[arg(long)]
    calls: bool,
    /// The operator's window: off, there with nobody looking, or with a page open.
    #[arg(long, value_enum, default_value_t = Watching::Off)]
    window: Watching,
    /// How long the service polls after an event before it sleeps, such as 100us.
    #[arg(long, value_parser = parse_busy_poll, default_value = "0s")]
    busy_poll: Duration,
    /// The service verifies a signature each time it meets it, also where it serves both sides: what two services would do.
    #[arg(long)]
    verify_each: bool,
    /// The service of another build of this program, to compare the two under the same clients.
    #[arg(long, value_name = "STRAIT-BENCH")]
    service: Option<std::path::PathBuf>,
    /// The service itself; the driver starts it.
    #[arg(long, hide = true)]
    serve: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("strait-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    if let Some(dir) = &args.serve {
        return served::serve(dir, &args.settings()).await;
    }
    let dir = tempfile::Builder::new().prefix("strait-bench-").tempdir_in(".")?;
    let sync = Store::measure_sync(dir.path(), 200)?;
    println!("fsync            {:.3} ms (median of 200, in the folder of the data)", milliseconds(sync));
    match args.idle {
        Some(channels) => idle(&args, dir.path(), channels).await,
        None => load(&args, dir.path()).await,
    }
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            durability: self.durability,
            window: self.window,
            busy_poll: self.busy_poll,
            verify_each: self.verify_each,
        }
    }
}

async fn start(args: &Args, dir: &std::path::Path) -> Result<Served, Failure> {
    Served::start(args.service.as_deref(), dir, &args.settings()).await
}

async fn load(args: &Args, dir: &std::path::Path) -> Result<(), Failure> {
    let accounts = served::fund(dir, args.channels * 2)?;
    let service = start(args, dir).await?;
    let work = if args.calls { Work::Calls } else { Work::Payments };
    let mut channels = Channels::open(service.url(), &accounts, work).await?;
    channels.update(args.updates.div_ceil(10).min(200), args.both).await?;
    let before = service.cpu()?;
    let measured = channels.update(args.updates, args.both).await?;
    let cpu = service.cpu()? - before;
    report(args, &measured, cpu, service.peak_memory()?);
    service.stop().await
}

fn report(args: &Args, measured: &Measured, cpu: Duration, peak: u64) {
    let updates = measured.latency.len();
    let rate = updates as f64 / measured.took.as_secs_f64();
    let quantile = |q| measured.latency.value_at_quantile(q) as f64 / 1000.0;
    println!("durability       {}", args.durability);
    println!(
        "channels         {}{}",
        args.channels,
        if args.both { ", both sides propose in turn" } else { "" }
    );
    println!("updates          {updates} in {:.2} s", measured.took.as_secs_f64());
    println!("rate             {rate:.0} updates/s");
    println!(
        "latency          p50 {:.2} ms  p95 {:.2} ms  p99 {:.2} ms",
        quantile(0.5),
        quantile(0.95),
        quantile(0.99)
    );
    println!("service cpu      {:.3} ms an update, both sides together", milliseconds(cpu) / updates as f64);
    println!("peak memory      {:.1} MiB", peak as f64 / 1024.0);
}

async fn idle(args: &Args, dir: &std::path::Path, count: usize) -> Result<(), Failure> {
    let accounts = served::fund(dir, count * 2)?;
    let service = start(args, dir).await?;
    let empty = service.memory()?;
    let channels = Channels::open(service.url(), &accounts, Work::Payments).await?;
    let full = service.memory()?;
    println!("idle channels    {count}, both sides in the service, with their clients attached");
    println!("memory           {:.1} MiB empty, {:.1} MiB with them", mebibytes(empty), mebibytes(full));
    println!("above empty      {:.1} MiB", mebibytes(full.saturating_sub(empty)));
    service.stop().await?;
    drop(channels);
    let started = Instant::now();
    let service = start(args, dir).await?;
    println!("start            {:.2} s with {count} stored channels", started.elapsed().as_secs_f64());
    println!("dormant          {:.1} MiB with them, no client attached", mebibytes(service.memory()?));
    service.stop().await
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

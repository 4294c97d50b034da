//! The program `strait`.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use strait_operator::{Inspection, channel_table, log_lines};
use strait_service::cli::{ChannelsArgs, ChannelsCommand, Cli, Command, DevArgs};
use strait_service::{Dev, demo};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // It may serve both parties of a channel, and meet every signature twice.
    strait_encoding::remember_verified();
    let outcome = match Cli::parse().command {
        Command::Demo(args) => runtime().and_then(|runtime| runtime.block_on(demo::run(&args))),
        Command::Channels(args) => runtime().and_then(|runtime| runtime.block_on(channels(args))),
        Command::Dev(args) => runtime().and_then(|runtime| runtime.block_on(dev(*args))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("strait: {why}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Box<dyn Error>> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn dev(args: DevArgs) -> Result<(), Box<dyn Error>> {
    let config = args.into_config()?;
    let filter = EnvFilter::try_new(&config.log)?;
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let dev = Dev::start(&config).await?;
    greet(&dev, &config)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    dev.stop().await;
    Ok(())
}

/// Shows what a running service says of its channels.
async fn channels(args: ChannelsArgs) -> Result<(), Box<dyn Error>> {
    let inspection = Inspection::new(args.operator_addr.to_string(), args.operator_token);
    let text = match args.what {
        ChannelsCommand::List { find } => channel_table(&inspection.list(&find).await?),
        ChannelsCommand::Show { channel } => format!("{:#}\n", inspection.show(&channel).await?),
        ChannelsCommand::Log { channel, newest } => log_lines(&inspection.log(&channel, newest).await?),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(why.into()),
        _ => Ok(()),
    }
}

/// Says where the service listens and who has coins. Standard output closed by its reader is no reason to stop.
fn greet(dev: &Dev, config: &strait_service::config::Config) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let dir = config.data_dir.as_ref().map_or("temporary".to_owned(), |dir| dir.display().to_string());
    let text = dev.accounts().iter().fold(
        format!(
            "strait {version}, network {network}, protocol {protocol}, durability {durability}\n\
             channels  {channels}\nnode      {node}\nwindow    {window}\npeers     {peers}\ndata      {dir}\n\n\
             prefunded accounts, balances in aettos (for development only: everybody knows these keys)\n",
            version = env!("CARGO_PKG_VERSION"),
            network = config.network_id,
            protocol = config.protocol,
            durability = config.durability,
            channels = dev.channel_url(),
            node = dev.node_url(),
            window = dev.window_url().unwrap_or_else(|| "off".to_owned()),
            peers = config.peer_host,
        ),
        |text, account| {
            format!("{text}  {}  {}  {}\n", account.key.account(), account.key.expose(), account.balance)
        },
    );
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(why),
        _ => Ok(()),
    }
}

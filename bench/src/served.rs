//! The service in a process of its own, so that its CPU time and memory are its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use strait_encoding::SecretKey;
use strait_service::Dev;
use strait_service::config::{Config, HostPort, Limits, WindowAddr};
use strait_store::Durability;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;
use crate::page::Page;

/// What every benched account has, in aettos.
const FUNDS: u128 = 1_000_000_000_000_000_000_000;

/// Ticks of the kernel's clock in a second: fixed on Linux.
const TICKS: u64 = 100;

/// Makes `count` accounts and the genesis file that funds them.
pub(crate) fn fund(dir: &Path, count: usize) -> Result<Vec<SecretKey>, Failure> {
    let keys: Vec<SecretKey> = (0..count)
        .map(|number| {
            SecretKey::from_seed(strait_encoding::hash::blake2b(format!("bench {number}").as_bytes()))
        })
        .collect();
    let funds: BTreeMap<String, String> =
        keys.iter().map(|key| (key.account().to_string(), FUNDS.to_string())).collect();
    std::fs::write(dir.join("genesis.json"), serde_json::to_vec(&funds)?)?;
    Ok(keys)
}

/// Runs the service until standard input closes; what the driver starts.
pub(crate) async fn serve(dir: &Path, settings: &Settings) -> Result<(), Failure> {
    let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let config = Config {
        channel_addr: any_port(),
        node_addr: any_port(),
        operator_addr: WindowAddr((settings.window != Watching::Off).then(any_port)),
        data_dir: Some(dir.to_owned()),
        genesis: Some(dir.join("genesis.json")),
        durability: settings.durability,
        busy_poll: settings.busy_poll,
        limits: Limits::default(),
        ..Config::default()
    };
    if !settings.verify_each {
        strait_encoding::remember_verified();
    }
    let dev = Dev::start(&config).await?;
    println!("{}", dev.channel_url());
    if let Some(url) = dev.window_url() {
        println!("{url}");
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {}
    dev.stop().await;
    Ok(())
}

/// What the service is told, beside where it is.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub durability: Durability,
    pub window: Watching,
    pub busy_poll: Duration,
    pub verify_each: bool,
}

/// Who looks at the service while it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Watching {
    /// There is no window.
    Off,
    /// There is one, and nobody looks.
    Closed,
    /// A page is open.
    Open,
}

/// A running service.
pub(crate) struct Served {
    child: Child,
    url: String,
    _page: Option<Page>,
}

impl Served {
    /// Starts the service of `program`, of this program where there is none.
    pub(crate) async fn start(
        program: Option<&Path>,
        dir: &Path,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let program = program.map_or_else(std::env::current_exe, |program| Ok(program.to_owned()))?;
        let mut command = Command::new(program);
        // What is as it always was is not said: an older build knows no word for it.
        if let Some(value) = settings.window.to_possible_value().filter(|_| settings.window != Watching::Off)
        {
            command.args(["--window", value.get_name()]);
        }
        if !settings.busy_poll.is_zero() {
            command.args(["--busy-poll", &format!("{}us", settings.busy_poll.as_micros())]);
        }
        if settings.verify_each {
            command.arg("--verify-each");
        }
        let mut child = command
            .arg("--serve")
            .arg(dir)
            .args(["--durability", &settings.durability.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the service has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = lines.next_line().await?.ok_or("the service did not start")?;
        let page = if settings.window == Watching::Off {
            None
        } else {
            // Read in any case: the service must find somebody who listens.
            let window = lines.next_line().await?.ok_or("the service has no window")?;
            if settings.window == Watching::Open { Some(Page::open(&window).await?) } else { None }
        };
        Ok(Self { child, url, _page: page })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// CPU time so far, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(self.proc("stat")?)?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).ok_or("no cpu time");
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS))
    }

    /// Resident memory now, in KiB.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        self.status("VmRSS:")
    }

    /// The most resident memory so far, in KiB.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no memory figure")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }

    fn proc(&self, file: &str) -> Result<String, Failure> {
        let pid = self.child.id().ok_or("the service is gone")?;
        Ok(format!("/proc/{pid}/{file}"))
    }

    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        self.child.wait().await?;
        Ok(())
    }
}

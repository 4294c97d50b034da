//! A running service: its embedded chain, its interfaces, its channels.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strait_api::{ApiConfig, Sockets};
use strait_chain::{
    ChainError, DevAccount, DevChain, DevChainConfig, GenesisError, SubmitError, dev_accounts,
    genesis_accounts,
};
use strait_channel::PinWindow;
use strait_encoding::{AccountId, Coins, TxHash};
use strait_ledger::{Chain, ChainConfig, Fate, Machine, SignedTx};
use strait_node_api::Refused;
use strait_operator::{Access, Token, TokenNeeded};
use strait_peer::{Dialler, Hosts, ListenConfig, ListenError, Listeners};
use strait_store::{Durability, Store, StoreError};
use tempfile::TempDir;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::warn;

use crate::config::{Config, HostPort};
use crate::service::Service;
use crate::window::Window;
use crate::{chain_watch, peers};

/// How long the parts may take to stop.
const STOP_WITHIN: Duration = Duration::from_millis(1800);

/// How many accepted peers may wait to be led to their channels.
const ACCEPTED: usize = 256;

/// Why a service cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("--{setting} {address}: {why}")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: HostPort,
        /// Why not.
        why: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error("--data-dir {dir}: {why}", dir = dir.display())]
    DataDir {
        /// The folder.
        dir: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// The accounts to fund cannot be read.
    #[error("--genesis {path}: {why}", path = path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The chain cannot be opened.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The stored channels cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator's window would be open to everybody.
    #[error("--operator-token: {0}")]
    Token(#[from] TokenNeeded),
    /// Peers cannot be listened for.
    #[error("--peer-ports: {0}")]
    Peers(#[from] ListenError),
}

/// A service that runs until it is stopped.
pub struct Dev {
    service: Service,
    channel_addr: SocketAddr,
    node_addr: SocketAddr,
    window: Option<(SocketAddr, Option<Token>)>,
    accounts: Vec<DevAccount>,
    stop: watch::Sender<bool>,
    parts: JoinSet<()>,
    // Removed when the service is gone.
    _temporary: Option<TempDir>,
}

impl Dev {
    /// Starts the service. It listens when this returns.
    ///
    /// # Errors
    /// An address or the data folder cannot be used; the error names the setting.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Dialler::new(config.peer_hosts.clone())).await
    }

    /// As [`start`](Self::start), with what dials peers.
    pub(crate) async fn start_with(config: &Config, dialler: Dialler) -> Result<Self, StartError> {
        let (dir, temporary) = data_dir(config)?;
        let chain = DevChain::open(chain_config(config, &dir)?).map_err(|why| match why {
            ChainError::Directory { dir, source } => StartError::DataDir { dir, why: source },
            other => other.into(),
        })?;
        let store = Store::open(&dir, config.durability)?;
        let (accept, accepted) = mpsc::channel(ACCEPTED);
        let listeners =
            Listeners::new(ListenConfig::new(config.peer_host, config.peer_ports.clone())?, accept);
        let window = open_window(config).await?;
        let channels = listen("channel-addr", &config.channel_addr).await?;
        let node = listen("node-addr", &config.node_addr).await?;
        let channel_addr =
            channels.local_addr().map_err(|why| listen_error("channel-addr", &config.channel_addr, why))?;
        let node_addr = node.local_addr().map_err(|why| listen_error("node-addr", &config.node_addr, why))?;
        if let Some(risk) = risk_of_dialling(channel_addr, &config.peer_hosts) {
            warn!("{risk}");
        }
        let (most, busy_poll) = (config.limits.max_channels, busy_poll(config));
        let service =
            Service::new(store, chain.clone(), listeners, dialler, most, pin_window(config), busy_poll);
        service.restore()?;

        let (stop, stopped) = watch::channel(false);
        let mut parts = JoinSet::new();
        parts.spawn(chain.run(until(stopped.clone())));
        parts.spawn(stay_alert(service.clone()));
        parts.spawn(chain_watch::follow(service.clone()));
        parts.spawn(peers::receive(service.clone(), accepted));
        let (sockets, limits) = (Sockets::at_most(config.limits.max_sockets), api_config(config));
        let desk = service.clone();
        parts.spawn(strait_api::serve(channels, desk, sockets.clone(), limits, until(stopped.clone())));
        parts.spawn(strait_node_api::serve(node, Node(service.clone()), until(stopped.clone())));
        let window = window.map(|window| {
            let (metrics, operated) =
                (service.metrics().clone(), Window { service: service.clone(), sockets });
            let OpenWindow { listener, address, access, token } = window;
            parts.spawn(strait_operator::serve(listener, operated, metrics, access, until(stopped)));
            (address, token)
        });
        let accounts = dev_accounts();
        Ok(Self { service, channel_addr, node_addr, window, accounts, stop, parts, _temporary: temporary })
    }

    /// Where the channel interface listens.
    pub fn channel_url(&self) -> String {
        format!("ws://{}/channel", self.channel_addr)
    }

    /// Where the node's HTTP interface listens.
    pub fn node_url(&self) -> String {
        format!("http://{}", self.node_addr)
    }

    /// Where the operator's window is, with the token that it asks for the first time; none where it is off.
    pub fn window_url(&self) -> Option<String> {
        let (address, token) = self.window.as_ref()?;
        Some(match token {
            Some(token) => format!("http://{address}/?token={}", token.expose()),
            None => format!("http://{address}"),
        })
    }

    /// The prefunded accounts with their keys.
    pub fn accounts(&self) -> &[DevAccount] {
        &self.accounts
    }

    /// The service itself.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Stops accepting, finishes the commit in hand, closes the files; within two seconds.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let orderly = async {
            self.service.stop().await;
            if let Err(why) = self.service.store().close().await {
                warn!(%why, "the store cannot be closed in order");
            }
        };
        if tokio::time::timeout(STOP_WITHIN, orderly).await.is_err() {
            warn!("the channels did not stop in time; what was committed is on disk");
        }
        if let Err(why) = self.service.chain().close().await {
            warn!(%why, "the chain cannot be closed in order");
        }
        self.parts.abort_all();
    }
}

fn data_dir(config: &Config) -> Result<(PathBuf, Option<TempDir>), StartError> {
    match &config.data_dir {
        // Who writes there first makes it, for its owner alone.
        Some(dir) => Ok((dir.clone(), None)),
        None => {
            let dir = tempfile::Builder::new().prefix("strait-").tempdir();
            let dir = dir.map_err(|why| StartError::DataDir { dir: std::env::temp_dir(), why })?;
            Ok((dir.path().to_owned(), Some(dir)))
        }
    }
}

fn chain_config(config: &Config, dir: &Path) -> Result<DevChainConfig, StartError> {
    let mut funded: BTreeMap<AccountId, Coins> =
        dev_accounts().iter().map(|account| (account.key.account(), account.balance)).collect();
    if let Some(path) = &config.genesis {
        let genesis_error = |why: String| StartError::Genesis { path: path.clone(), why };
        let text = std::fs::read_to_string(path).map_err(|why| genesis_error(why.to_string()))?;
        for (account, amount) in
            genesis_accounts(&text).map_err(|why: GenesisError| genesis_error(why.to_string()))?
        {
            let balance = funded.entry(account).or_default();
            *balance = Coins(balance.0.saturating_add(amount.0));
        }
    }
    let mut ledger = ChainConfig::new(config.network_id.clone(), funded);
    ledger.protocol = config.protocol;
    ledger.machine = Machine::new(Fate::within(config.limits.max_call_time));
    Ok(DevChainConfig {
        ledger,
        dir: dir.to_owned(),
        key_block_interval: config.key_block_interval,
        awaited_interval: config.awaited_interval.min(config.key_block_interval),
        durable: config.durability == Durability::Power,
    })
}

fn api_config(config: &Config) -> ApiConfig {
    let limits = &config.limits;
    ApiConfig {
        max_message: limits.max_message_bytes,
        idle_timeout: limits.idle_timeout,
        ..ApiConfig::default()
    }
}

async fn listen(setting: &'static str, address: &HostPort) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind((address.host.as_str(), address.port)).await;
    listener.map_err(|why| listen_error(setting, address, why))
}

/// The operator's window, before it is served.
struct OpenWindow {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
    /// To be printed: off the loopback address nobody gets in without it.
    token: Option<Token>,
}

async fn open_window(config: &Config) -> Result<Option<OpenWindow>, StartError> {
    let Some(wanted) = &config.operator_addr.0 else { return Ok(None) };
    let listener = listen("operator-addr", wanted).await?;
    let address = listener.local_addr().map_err(|why| listen_error("operator-addr", wanted, why))?;
    let (access, token) = match Access::on(address, config.operator_token.as_ref()) {
        Ok(access) => (access, config.operator_token.clone()),
        Err(TokenNeeded(_)) => {
            let made = Token::random();
            (Access::on(address, Some(&made))?, Some(made))
        }
    };
    Ok(Some(OpenWindow { listener, address, access, token }))
}

fn listen_error(setting: &'static str, address: &HostPort, why: std::io::Error) -> StartError {
    StartError::Listen { setting, address: address.clone(), why }
}

/// What strangers can do to this machine's network through the service, if they can: a client names the host and the port that are
/// dialled for it (`docs/protocol/gaps` §4, no 40). `channel_addr` is where clients come in.
fn risk_of_dialling(channel_addr: SocketAddr, hosts: &Hosts) -> Option<String> {
    let strangers = !channel_addr.ip().to_canonical().is_loopback();
    (strangers && *hosts == Hosts::Any).then(|| {
        format!(
            "--peer-hosts any with --channel-addr {channel_addr}: every client can have this service connect to any port of any \
             host that it reaches, of its inner network and of this machine too; --peer-hosts public, or a list of hosts, bounds \
             that (--peer-ports does not: it is for the ports listened on)"
        )
    })
}

/// How long a client may take to sign what is pinned to a block: on the networks, whose key blocks are three minutes apart, the ten of them that the
/// reference allows.
const PINNED_FOR: Duration = Duration::from_secs(30 * 60);

/// Which blocks updates may be pinned to, where the client does not say: as much time as on the networks, however fast this chain makes its blocks.
fn pin_window(config: &Config) -> PinWindow {
    let interval = config.key_block_interval.min(config.awaited_interval).max(Duration::from_millis(1));
    let blocks = PINNED_FOR.as_millis().div_ceil(interval.as_millis());
    let window = PinWindow::default();
    let not_older_than = window.not_older_than.max(u64::try_from(blocks).unwrap_or(u64::MAX));
    PinWindow { not_older_than, ..window }
}

/// How long the service looks for the next event before it sleeps. Not while every step waits for the disk: then it is the disk that rules.
fn busy_poll(config: &Config) -> Duration {
    match config.durability {
        Durability::Process => config.busy_poll,
        Durability::Power => Duration::ZERO,
    }
}

async fn stay_alert(service: Service) {
    service.alertness().keep().await;
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The chain as the HTTP interface sees it.
#[derive(Clone)]
struct Node(Service);

impl strait_node_api::Node for Node {
    fn view(&self) -> Arc<Chain> {
        self.0.chain().view()
    }

    async fn submit(&self, tx: SignedTx) -> Result<TxHash, Refused> {
        self.0.chain().submit(tx).await.map_err(|why| match why {
            SubmitError::Refused(why) => Refused::Pool(why),
            SubmitError::Unavailable(why) => Refused::Unavailable(why.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use strait_client::{OpenParams, Party, Role, Terms};
    use strait_peer::{DialPolicy, Resolve, Resolving};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::WindowAddr;

    /// A name that is moved after it was looked up the first time.
    #[derive(Clone, Debug)]
    struct Moving {
        asked: Arc<AtomicU32>,
        first: IpAddr,
        then: IpAddr,
    }

    impl Resolve for Moving {
        fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> Resolving<'a> {
            let ip = if self.asked.fetch_add(1, Relaxed) == 0 { self.first } else { self.then };
            Box::pin(async move { Ok(vec![SocketAddr::new(ip, port)]) })
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_name_that_is_moved_to_an_inner_machine_after_it_was_judged_leads_nobody_there() {
        let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
        let config = Config {
            channel_addr: any_port(),
            node_addr: any_port(),
            operator_addr: WindowAddr(None),
            durability: Durability::Process,
            ..Config::default()
        };
        let inner = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = inner.local_addr().unwrap().port();
        // Nobody listens at the first address, which is allowed, so the name is resolved again.
        let (first, then) = ("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let moving = Moving { asked: Arc::clone(&asked), first, then };
        let pause = Duration::from_millis(1);
        let policy = DialPolicy { attempts: 3, first_pause: pause, pause, ..DialPolicy::default() };
        let dialler = Dialler::with("127.0.0.2".parse().unwrap(), policy, moving);
        let dev = Dev::start_with(&config, dialler).await.unwrap();

        let (ours, theirs) = (dev.accounts()[0].key.clone(), dev.accounts()[1].key.account());
        let terms = Terms {
            initiator_amount: Coins(1_000_000),
            responder_amount: Coins(1_000_000),
            push_amount: Coins(0),
            channel_reserve: Coins(0),
            lock_period: 10,
        };
        let params = OpenParams::new(Role::Initiator, port, Some(ours.account()), theirs, terms);
        let error = Party::open(&dev.channel_url(), &params.host("hub.example"), ours).await.map(drop);
        // As of any peer that is not there.
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the last event was `died`") || error.contains("`timeout`"), "{error}");
        assert_eq!(asked.load(Relaxed), policy.attempts);
        let ours = TcpStream::connect(inner.local_addr().unwrap()).await.unwrap();
        let (_, from) = inner.accept().await.unwrap();
        assert_eq!(from, ours.local_addr().unwrap(), "nobody connected before");
        dev.stop().await;
    }

    #[test]
    fn a_client_has_as_long_to_sign_as_on_the_networks() {
        let window = |key_block_interval, awaited_interval| {
            pin_window(&Config { key_block_interval, awaited_interval, ..Config::default() }).not_older_than
        };
        let (fast, slow) = (Duration::from_millis(100), Duration::from_secs(180));
        assert_eq!(window(slow, slow), 10);
        assert_eq!(window(Duration::from_secs(1), fast), 18_000);
        assert_eq!(window(Duration::from_secs(3_600), Duration::from_secs(3_600)), 10);
        assert_eq!(pin_window(&Config::default()).not_newer_than, 0);
    }

    #[test]
    fn who_lets_strangers_in_is_told_what_they_can_reach_and_what_bounds_it() {
        for (address, hosts, told) in [
            ("127.0.0.1:3014", "any", false),
            ("127.9.9.9:3014", "any", false),
            ("[::1]:3014", "any", false),
            ("[::ffff:127.0.0.1]:3014", "any", false),
            ("0.0.0.0:3014", "any", true),
            ("[::]:3014", "any", true),
            ("192.168.1.5:3014", "any", true),
            ("0.0.0.0:3014", "public", false),
            ("0.0.0.0:3014", "hub.example.org", false),
        ] {
            let risk = risk_of_dialling(address.parse().unwrap(), &hosts.parse().unwrap());
            assert_eq!(risk.is_some(), told, "{address} {hosts}");
            if let Some(risk) = risk {
                for part in [address, "inner network", "--peer-hosts public"] {
                    assert!(risk.contains(part), "{part}: {risk}");
                }
            }
        }
    }
}

//! Settings: flags beat the environment, which beats the file, which beats what is built in.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use strait_encoding::NetworkId;
use strait_ledger::Protocol;
use strait_operator::Token;
use strait_peer::{Hosts, HostsError, Ports};
use strait_store::Durability;
use thiserror::Error;

/// A setting that cannot be used: the operator's fault. Says which, what it is, and what is allowed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("--config {path}: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A value in the file is wrong.
    #[error("{path}: {setting} = {value}: {why}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// Its value as it stands there.
        value: String,
        /// What is allowed.
        why: String,
    },
    /// Two settings do not go together.
    #[error("{0}")]
    Together(String),
}

/// An address to listen on, `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP address.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("expected HOST:PORT, for instance 127.0.0.1:3014, found {s:?}");
        let (host, port) = s.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port
            .parse()
            .map_err(|_| format!("expected a port from 0 to 65535 behind the colon, found {s:?}"))?;
        if host.is_empty() { Err(wrong()) } else { Ok(Self { host: host.to_owned(), port }) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where the operator's window is, if anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowAddr(pub Option<HostPort>);

/// Reads `any` or a list of ports.
pub fn parse_ports(s: &str) -> Result<Ports, String> {
    if s == "any" {
        return Ok(Ports::Any);
    }
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let ports: Option<BTreeSet<u16>> = s.split(',').map(port).collect();
    ports
        .map(Ports::List)
        .ok_or_else(|| format!("expected any, or ports from 1 to 65535 like 3114,3115, found {s:?}"))
}

/// Reads which hosts are dialled.
pub fn parse_hosts(s: &str) -> Result<Hosts, String> {
    s.parse().map_err(|why: HostsError| why.to_string())
}

/// Reads a duration with its unit.
pub fn parse_interval(s: &str) -> Result<Duration, String> {
    let wrong =
        || format!("expected a duration from 1ms to 1h with its unit, for instance 1s or 200ms, found {s:?}");
    let interval = humantime::parse_duration(s).map_err(|_| wrong())?;
    let allowed = Duration::from_millis(1)..=Duration::from_secs(3600);
    if allowed.contains(&interval) { Ok(interval) } else { Err(wrong()) }
}

/// Reads where the operator's window is, or `off`.
pub fn parse_window(s: &str) -> Result<WindowAddr, String> {
    if s == "off" {
        return Ok(WindowAddr(None));
    }
    let address = s.parse().map_err(|why| format!("{why}; or off"))?;
    Ok(WindowAddr(Some(address)))
}

/// Reads the operator's token; an error does not repeat it.
pub fn parse_token(s: &str) -> Result<Token, String> {
    s.parse().map_err(|why: strait_operator::NoToken| why.to_string())
}

/// Reads how long to poll, which may be nothing.
pub fn parse_busy_poll(s: &str) -> Result<Duration, String> {
    let wrong =
        || format!("expected a duration from 0s to 1ms with its unit, for instance 120us, found {s:?}");
    let window = humantime::parse_duration(s).map_err(|_| wrong())?;
    if window <= Duration::from_millis(1) { Ok(window) } else { Err(wrong()) }
}

/// Reads the protocol of the dev chain.
pub fn parse_protocol(s: &str) -> Result<Protocol, String> {
    match s {
        "ceres" => Ok(Protocol::Ceres),
        "iris" => Ok(Protocol::Iris),
        _ => Err(format!("expected ceres or iris, found {s:?}")),
    }
}

/// Reads a durability.
pub fn parse_durability(s: &str) -> Result<Durability, String> {
    s.parse().map_err(|_| format!("expected power or process, found {s:?}"))
}

/// Reads a network id.
pub fn parse_network(s: &str) -> Result<NetworkId, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&s.len()) && s.chars().all(plain) {
        Ok(NetworkId(s.to_owned()))
    } else {
        Err(format!("expected 1 to 64 letters, digits, _ or -, for instance ae_dev, found {s:?}"))
    }
}

/// Reads a filter of log lines.
pub fn parse_log(s: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(s).map(|_| s.to_owned()).map_err(|why| {
        format!("expected a level or a filter like info or strait_service=debug, found {s:?}: {why}")
    })
}

/// How many sides of channels, or sockets, a limit may allow: one that allows none refuses everybody.
const COUNTS: RangeInclusive<u64> = 1..=10_000_000;

/// How large the largest frame may be, in bytes: one with a signed transaction needs almost a thousand.
const MESSAGE_BYTES: RangeInclusive<u64> = 1024..=1 << 30;

/// How many payments a demonstration may make.
const PAYMENTS: RangeInclusive<u64> = 1..=10_000_000;

/// Reads a number of payments.
pub fn parse_payments(s: &str) -> Result<u32, String> {
    whole_number(s, PAYMENTS)
}

/// Reads how many entries of a log are shown.
pub fn parse_newest(s: &str) -> Result<usize, String> {
    whole_number(s, 1..=strait_operator::MOST_ENTRIES as u64)
}

fn whole_number<T: TryFrom<u64>>(found: &str, allowed: RangeInclusive<u64>) -> Result<T, String> {
    let number = found.parse().ok().filter(|number| allowed.contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let (least, most) = allowed.into_inner();
        format!("expected a whole number from {least} to {most}, found {found}")
    })
}

/// What bounds a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sides of channels that the service holds.
    pub max_channels: usize,
    /// Client sockets open at once.
    pub max_sockets: usize,
    /// The largest frame that a client may send, in bytes.
    pub max_message_bytes: usize,
    /// How long a client may be silent.
    pub idle_timeout: Duration,
    /// About how long a contract call may take, whatever gas it has.
    pub max_call_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_channels: 10_000,
            max_sockets: 10_000,
            max_message_bytes: 1 << 20,
            idle_timeout: Duration::from_secs(60),
            max_call_time: Duration::from_secs(5),
        }
    }
}

/// Everything that a service is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the channel interface listens.
    pub channel_addr: HostPort,
    /// Where the node's HTTP interface listens.
    pub node_addr: HostPort,
    /// Where the operator's window is.
    pub operator_addr: WindowAddr,
    /// What it asks for off the loopback address; a random one is made where unset.
    pub operator_token: Option<Token>,
    /// Where peers are listened for.
    pub peer_host: IpAddr,
    /// Which ports a responder's client may name.
    pub peer_ports: Ports,
    /// Which hosts an initiator's client may name.
    pub peer_hosts: Hosts,
    /// Where state is kept; a temporary folder where unset.
    pub data_dir: Option<PathBuf>,
    /// Accounts added to the prefunded ones.
    pub genesis: Option<PathBuf>,
    /// Distance of key blocks.
    pub key_block_interval: Duration,
    /// Distance of key blocks while confirmations are awaited.
    pub awaited_interval: Duration,
    /// Name of the network.
    pub network_id: NetworkId,
    /// Protocol of the dev chain.
    pub protocol: Protocol,
    /// What a commit survives.
    pub durability: Durability,
    /// How long the service polls for the next event before it sleeps, with `process` durability.
    pub busy_poll: Duration,
    /// Filter of log lines.
    pub log: String,
    /// What bounds the service.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| HostPort { host: "127.0.0.1".to_owned(), port };
        Self {
            channel_addr: loopback(3014),
            node_addr: loopback(3013),
            operator_addr: WindowAddr(Some(loopback(3015))),
            operator_token: None,
            peer_host: IpAddr::from([127, 0, 0, 1]),
            peer_ports: Ports::Any,
            peer_hosts: Hosts::Any,
            data_dir: None,
            genesis: None,
            key_block_interval: Duration::from_secs(1),
            awaited_interval: Duration::from_millis(100),
            network_id: NetworkId("ae_dev".to_owned()),
            protocol: Protocol::Ceres,
            durability: Durability::Power,
            busy_poll: Duration::ZERO,
            log: "warn,strait_service=info".to_owned(),
            limits: Limits::default(),
        }
    }
}

/// The file's form: every setting optional, values as text where flags are text.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    channel_addr: Option<String>,
    node_addr: Option<String>,
    operator_addr: Option<String>,
    operator_token: Option<String>,
    peer_host: Option<String>,
    peer_ports: Option<String>,
    peer_hosts: Option<String>,
    data_dir: Option<PathBuf>,
    genesis: Option<PathBuf>,
    key_block_interval: Option<String>,
    awaited_key_block_interval: Option<String>,
    network_id: Option<String>,
    protocol: Option<String>,
    durability: Option<String>,
    busy_poll: Option<String>,
    log: Option<String>,
    limits: Option<FileLimits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileLimits {
    // Whatever stands there: what is no number is refused in the same words as a number out of range.
    max_channels: Option<toml::Value>,
    max_sockets: Option<toml::Value>,
    max_message_bytes: Option<toml::Value>,
    idle_timeout: Option<String>,
    max_call_time: Option<String>,
}

impl Config {
    /// What is built in, changed by what the file says.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown setting, or a value that is not allowed.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let file_error = |why: String| ConfigError::File { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|why| file_error(why.to_string()))?;
        let file: File = toml::from_str(&text).map_err(|why| file_error(why.to_string()))?;
        let mut config = Self::default();
        let mut read = Reader { path, error: None };
        read.set("channel-addr", &file.channel_addr, &mut config.channel_addr, str::parse);
        read.set("node-addr", &file.node_addr, &mut config.node_addr, str::parse);
        read.set("operator-addr", &file.operator_addr, &mut config.operator_addr, parse_window);
        read.set_secret("operator-token", &file.operator_token, &mut config.operator_token);
        read.set("peer-host", &file.peer_host, &mut config.peer_host, parse_ip);
        read.set("peer-ports", &file.peer_ports, &mut config.peer_ports, parse_ports);
        read.set("peer-hosts", &file.peer_hosts, &mut config.peer_hosts, parse_hosts);
        read.set(
            "key-block-interval",
            &file.key_block_interval,
            &mut config.key_block_interval,
            parse_interval,
        );
        let awaited = &file.awaited_key_block_interval;
        read.set("awaited-key-block-interval", awaited, &mut config.awaited_interval, parse_interval);
        read.set("network-id", &file.network_id, &mut config.network_id, parse_network);
        read.set("protocol", &file.protocol, &mut config.protocol, parse_protocol);
        read.set("durability", &file.durability, &mut config.durability, parse_durability);
        read.set("busy-poll", &file.busy_poll, &mut config.busy_poll, parse_busy_poll);
        read.set("log", &file.log, &mut config.log, parse_log);
        config.data_dir = file.data_dir.or(config.data_dir);
        config.genesis = file.genesis.or(config.genesis);
        let limits = file.limits.unwrap_or_default();
        let into = &mut config.limits;
        read.set_count("limits.max-channels", limits.max_channels, &mut into.max_channels, COUNTS);
        read.set_count("limits.max-sockets", limits.max_sockets, &mut into.max_sockets, COUNTS);
        let bytes = limits.max_message_bytes;
        read.set_count("limits.max-message-bytes", bytes, &mut into.max_message_bytes, MESSAGE_BYTES);
        read.set(
            "limits.idle-timeout",
            &limits.idle_timeout,
            &mut config.limits.idle_timeout,
            parse_interval,
        );
        read.set(
            "limits.max-call-time",
            &limits.max_call_time,
            &mut config.limits.max_call_time,
            parse_interval,
        );
        read.error.map_or(Ok(config), Err)
    }

    /// Checks what only shows when all settings are known.
    ///
    /// # Errors
    /// Two settings do not go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        strait_peer::ListenConfig::new(self.peer_host, self.peer_ports.clone()).map(drop).map_err(|why| {
            ConfigError::Together(format!("--peer-ports with --peer-host {}: {why}", self.peer_host))
        })
    }
}

/// Reads an IP address.
pub fn parse_ip(s: &str) -> Result<IpAddr, String> {
    s.parse().map_err(|_| format!("expected an IP address like 127.0.0.1 or 0.0.0.0, found {s:?}"))
}

struct Reader<'a> {
    path: &'a Path,
    error: Option<ConfigError>,
}

impl Reader<'_> {
    /// As [`set`](Self::set), for what an error must not repeat.
    fn set_secret(&mut self, setting: &'static str, value: &Option<String>, target: &mut Option<Token>) {
        let Some(value) = value else { return };
        match parse_token(value) {
            Ok(token) => *target = Some(token),
            Err(why) => {
                let (path, value) = (self.path.to_owned(), "\"…\"".to_owned());
                self.error.get_or_insert(ConfigError::Value { path, setting, value, why });
            }
        }
    }

    fn set<T>(
        &mut self,
        setting: &'static str,
        value: &Option<String>,
        target: &mut T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) {
        let Some(value) = value else { return };
        match parse(value) {
            Ok(parsed) => *target = parsed,
            Err(why) => {
                let (path, value) = (self.path.to_owned(), format!("{value:?}"));
                self.error.get_or_insert(ConfigError::Value { path, setting, value, why });
            }
        }
    }

    fn set_count(
        &mut self,
        setting: &'static str,
        value: Option<toml::Value>,
        target: &mut usize,
        allowed: RangeInclusive<u64>,
    ) {
        let Some(value) = value else { return };
        // As it stands in the file, so that a number in quotes is none.
        let value = value.to_string();
        match whole_number(&value, allowed) {
            Ok(count) => *target = count,
            Err(why) => {
                let path = self.path.to_owned();
                self.error.get_or_insert(ConfigError::Value { path, setting, value, why });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::from_file(file.path())
    }

    #[test]
    fn a_file_sets_what_it_names_and_nothing_else() {
        let text = "channel-addr = \"[::1]:0\"\npeer-ports = \"3114, 3115\"\npeer-hosts = \"public, ::1\"\nprotocol = \"iris\"\n\
                    key-block-interval = \"200ms\"\n[limits]\nmax-channels = 7\nmax-call-time = \"2s\"\n";
        let config = from_text(text).unwrap();
        assert_eq!(config.channel_addr, HostPort { host: "::1".to_owned(), port: 0 });
        assert_eq!(config.peer_ports, Ports::List(BTreeSet::from([3114, 3115])));
        assert_eq!(Ok(config.peer_hosts), "public,::1".parse());
        assert_eq!(config.protocol, Protocol::Iris);
        assert_eq!(config.key_block_interval, Duration::from_millis(200));
        let max_call_time = Duration::from_secs(2);
        assert_eq!(config.limits, Limits { max_channels: 7, max_call_time, ..Limits::default() });
        assert_eq!(config.node_addr, Config::default().node_addr);
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        for (text, setting, allowed) in [
            ("protocol = \"roma\"", "protocol", "ceres or iris"),
            ("channel-addr = \"3014\"", "channel-addr", "HOST:PORT"),
            ("channel-addr = \"localhost:99999\"", "channel-addr", "0 to 65535"),
            ("peer-ports = \"0\"", "peer-ports", "1 to 65535"),
            (
                "peer-hosts = \"public, 10.0.0.0/33\"",
                "peer-hosts = \"public, 10.0.0.0/33\"",
                "any, or a list of host names",
            ),
            ("peer-hosts = \"public, 10.0.0.0/33\"", "found \"10.0.0.0/33\"", "CIDR"),
            ("peer-hosts = [\"public\"]", "peer-hosts", "string"),
            ("key-block-interval = \"1\"", "key-block-interval", "1ms to 1h"),
            ("durability = \"maybe\"", "durability", "power or process"),
            ("busy-poll = \"1s\"", "busy-poll", "0s to 1ms"),
            ("operator-addr = \"here\"", "operator-addr", "or off"),
            ("operator-token = \"short\"", "operator-token", "letters"),
            ("network-id = \"a b\"", "network-id", "ae_dev"),
            ("peer-host = \"everywhere\"", "peer-host", "IP address"),
            ("[limits]\nidle-timeout = \"soon\"", "limits.idle-timeout", "1ms to 1h"),
            ("[limits]\nmax-call-time = \"2h\"", "limits.max-call-time", "1ms to 1h"),
            ("chanel-addr = \"x\"", "chanel-addr", "channel-addr"),
            ("[limits]\nmax-channels = -1", "limits.max-channels = -1", "a whole number from 1 to 10000000"),
            ("[limits]\nmax-channels = 0", "limits.max-channels = 0", "from 1 to 10000000, found 0"),
            ("[limits]\nmax-sockets = 0", "limits.max-sockets", "from 1 to 10000000, found 0"),
            ("[limits]\nmax-sockets = \"7\"", "limits.max-sockets = \"7\"", "found \"7\""),
            ("[limits]\nmax-sockets = 1.5", "limits.max-sockets", "a whole number"),
            ("[limits]\nmax-message-bytes = 1023", "limits.max-message-bytes", "from 1024 to 1073741824"),
            ("[limits]\nmax-message-bytes = 9999999999", "limits.max-message-bytes", "found 9999999999"),
        ] {
            let error = from_text(text).unwrap_err().to_string();
            assert!(error.contains(setting) && error.contains(allowed), "{text}: {error}");
        }
    }

    #[test]
    fn any_port_is_for_loopback_alone() {
        let config = Config { peer_host: IpAddr::from([0, 0, 0, 0]), ..Config::default() };
        assert!(config.check().is_err());
        assert!(Config { peer_ports: Ports::List(BTreeSet::from([3114])), ..config }.check().is_ok());
    }
}

//! The command line.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, Args, Parser, Subcommand};
use strait_encoding::NetworkId;
use strait_ledger::Protocol;
use strait_operator::Token;
use strait_peer::{Hosts, Ports};
use strait_store::Durability;

use crate::config::{
    Config, ConfigError, HostPort, WindowAddr, parse_durability, parse_hosts, parse_interval, parse_ip,
    parse_log, parse_network, parse_newest, parse_payments, parse_ports, parse_protocol, parse_token,
    parse_window,
};

/// State channels for aeternity, without a node.
#[derive(Debug, Parser)]
#[command(name = "strait", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a channel, make payments, close it, and show what happens.
    Demo(DemoArgs),
    /// Run the service with its embedded chain until Ctrl-C.
    Dev(Box<DevArgs>),
    /// Show the channels of a running service.
    Channels(ChannelsArgs),
}

/// Settings of `strait channels`.
#[derive(Args, Debug)]
pub struct ChannelsArgs {
    /// What to show.
    #[command(subcommand)]
    pub what: ChannelsCommand,
    /// Where the operator's window of the service is.
    #[arg(
        long,
        global = true,
        env = "STRAIT_OPERATOR_ADDR",
        value_parser = Sourced(str::parse::<HostPort>),
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:3015"
    )]
    pub operator_addr: HostPort,
    /// What it asks for, where it is not on a loopback address.
    #[arg(long, global = true, env = "STRAIT_OPERATOR_TOKEN", hide_env_values = true, value_parser = Sourced(parse_token), value_name = "TOKEN")]
    pub operator_token: Option<Token>,
}

/// What `strait channels` can show.
#[derive(Debug, Subcommand)]
pub enum ChannelsCommand {
    /// All sides of channels, in a table.
    List {
        /// Only those with this in an id or an account.
        #[arg(default_value = "")]
        find: String,
    },
    /// One side, as JSON.
    Show {
        /// The id of the channel, or the key of a side.
        channel: String,
    },
    /// The latest entries of its log, the newest last.
    Log {
        /// The id of the channel, or the key of a side.
        channel: String,
        /// How many.
        #[arg(short = 'n', long, value_parser = Sourced(parse_newest), default_value = "50")]
        newest: usize,
    },
}

/// Settings of `strait demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// How many payments to make.
    #[arg(long, value_parser = Sourced(parse_payments), default_value = "1000")]
    pub payments: u32,
    /// What a commit survives: a power failure, or the end of the process alone.
    #[arg(long, value_parser = Sourced(parse_durability), value_name = "power|process", default_value = "power")]
    pub durability: Durability,
}

/// Settings of `strait dev`. Each can stand in the environment and in the file too; flags come first, the file last.
#[derive(Args, Debug, Default)]
pub struct DevArgs {
    /// A TOML file with the same settings, and limits.
    #[arg(long, env = "STRAIT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the channel interface listens; port 0 lets the system choose [default: 127.0.0.1:3014].
    #[arg(long, env = "STRAIT_CHANNEL_ADDR", value_parser = Sourced(str::parse::<HostPort>), value_name = "HOST:PORT")]
    pub channel_addr: Option<HostPort>,
    /// Where the node's HTTP interface listens [default: 127.0.0.1:3013].
    #[arg(long, env = "STRAIT_NODE_ADDR", value_parser = Sourced(str::parse::<HostPort>), value_name = "HOST:PORT")]
    pub node_addr: Option<HostPort>,
    /// Where the operator's window listens, or off [default: 127.0.0.1:3015].
    #[arg(long, env = "STRAIT_OPERATOR_ADDR", value_parser = Sourced(parse_window), value_name = "HOST:PORT|off")]
    pub operator_addr: Option<WindowAddr>,
    /// What the window asks for where it is not on a loopback address [default: a random one, printed at the start].
    #[arg(long, env = "STRAIT_OPERATOR_TOKEN", hide_env_values = true, value_parser = Sourced(parse_token), value_name = "TOKEN")]
    pub operator_token: Option<Token>,
    /// The address on which responders listen for their peers [default: 127.0.0.1].
    #[arg(long, env = "STRAIT_PEER_HOST", value_parser = Sourced(parse_ip), value_name = "IP")]
    pub peer_host: Option<IpAddr>,
    /// The ports that a responder may name; any only on a loopback address [default: any].
    #[arg(long, env = "STRAIT_PEER_PORTS", value_parser = Sourced(parse_ports), value_name = "any|LIST")]
    pub peer_ports: Option<Ports>,
    /// The hosts that an initiator may name, its peer to be dialled: host names, IP addresses, networks like 10.1.0.0/16, and public,
    /// which is every globally reachable address [default: any].
    #[arg(long, env = "STRAIT_PEER_HOSTS", value_parser = Sourced(parse_hosts), value_name = "any|public|LIST")]
    pub peer_hosts: Option<Hosts>,
    /// Where the state is kept between runs; a temporary folder without it.
    #[arg(long, env = "STRAIT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Accounts to fund besides the prefunded ones: a JSON file {"ak_…": "amount", …}.
    #[arg(long, env = "STRAIT_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Time between key blocks [default: 1s].
    #[arg(long, env = "STRAIT_KEY_BLOCK_INTERVAL", value_parser = Sourced(parse_interval), value_name = "DURATION")]
    pub key_block_interval: Option<Duration>,
    /// The network that signatures are for [default: ae_dev].
    #[arg(long, env = "STRAIT_NETWORK_ID", value_parser = Sourced(parse_network), value_name = "ID")]
    pub network_id: Option<NetworkId>,
    /// The protocol of the chain [default: ceres].
    #[arg(long, env = "STRAIT_PROTOCOL", value_parser = Sourced(parse_protocol), value_name = "ceres|iris")]
    pub protocol: Option<Protocol>,
    /// What a commit survives: a power failure, or the end of the process alone [default: power].
    #[arg(long, env = "STRAIT_DURABILITY", value_parser = Sourced(parse_durability), value_name = "power|process")]
    pub durability: Option<Durability>,
    /// Which log lines to print, for instance info or strait_service=debug [default: warn,strait_service=info].
    #[arg(long, env = "STRAIT_LOG", value_parser = Sourced(parse_log), value_name = "FILTER")]
    pub log: Option<String>,
}

/// Reads a value, and says of a wrong one from the environment which variable it stands in: clap names the flag alone.
/// A secret is not repeated.
#[derive(Clone)]
struct Sourced<T>(fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Sourced<T> {
    type Value = T;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        self.parse_ref_(cmd, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        cmd: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<T, clap::Error> {
        let parse = self.0;
        let variable = arg.and_then(Arg::get_env).filter(|_| source == ValueSource::EnvVariable);
        let from = variable.map(|name| format!(" (in the environment variable {})", name.display()));
        let sourced = move |text: &str| {
            parse(text).map_err(|why| format!("{why}{}", from.as_deref().unwrap_or_default()))
        };
        TypedValueParser::parse_ref(&sourced, cmd, arg, value).map_err(|mut error| {
            if arg.is_some_and(Arg::is_hide_env_values_set) {
                error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
            }
            error
        })
    }
}

impl DevArgs {
    /// All settings together, checked.
    ///
    /// # Errors
    /// The file is wrong, or two settings do not go together.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let base = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::from_file)?;
        let config = Config {
            channel_addr: self.channel_addr.unwrap_or(base.channel_addr),
            node_addr: self.node_addr.unwrap_or(base.node_addr),
            operator_addr: self.operator_addr.unwrap_or(base.operator_addr),
            operator_token: self.operator_token.or(base.operator_token),
            peer_host: self.peer_host.unwrap_or(base.peer_host),
            peer_ports: self.peer_ports.unwrap_or(base.peer_ports),
            peer_hosts: self.peer_hosts.unwrap_or(base.peer_hosts),
            data_dir: self.data_dir.or(base.data_dir),
            genesis: self.genesis.or(base.genesis),
            key_block_interval: self.key_block_interval.unwrap_or(base.key_block_interval),
            awaited_interval: base.awaited_interval,
            network_id: self.network_id.unwrap_or(base.network_id),
            protocol: self.protocol.unwrap_or(base.protocol),
            durability: self.durability.unwrap_or(base.durability),
            busy_poll: base.busy_poll,
            log: self.log.unwrap_or(base.log),
            limits: base.limits,
        };
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn config(args: &[&str]) -> Config {
        let cli = Cli::try_parse_from([&["strait", "dev"], args].concat()).unwrap();
        let Command::Dev(args) = cli.command else { panic!("{:?}", cli.command) };
        args.into_config().unwrap()
    }

    fn refused(args: &[&str]) -> String {
        Cli::try_parse_from([&["strait"], args].concat()).unwrap_err().to_string()
    }

    #[test]
    fn numbers_are_asked_for_in_words() {
        for found in ["0", "-1", "x", "1e3", "99999999999999999999"] {
            let payments = refused(&["demo", &format!("--payments={found}")]);
            assert!(payments.contains("a whole number from 1 to 10000000, found"), "{payments}");
            let newest = refused(&["channels", "log", "ch_", &format!("-n={found}")]);
            assert!(newest.contains("a whole number from 1 to 500, found"), "{newest}");
        }
    }

    #[test]
    fn a_wrong_value_is_reported_where_it_stands() {
        let mut command = Cli::command();
        command.build();
        let dev = command.find_subcommand("dev").unwrap();
        let ports = dev.get_arguments().find(|arg| arg.get_id() == "peer_ports");
        let parser = Sourced(parse_ports);
        let wrong = |source| parser.parse_ref_(dev, ports, OsStr::new("0"), source).unwrap_err().to_string();
        let from_variable = wrong(ValueSource::EnvVariable);
        assert!(
            from_variable.contains("found \"0\" (in the environment variable STRAIT_PEER_PORTS)"),
            "{from_variable}"
        );
        let from_flag = wrong(ValueSource::CommandLine);
        assert!(from_flag.contains("'--peer-ports") && !from_flag.contains("STRAIT_"), "{from_flag}");
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        let error = refused(&["dev", "--operator-token", "a!secret"]);
        assert!(error.contains("--operator-token") && !error.contains("a!secret"), "{error}");
    }

    #[test]
    fn hosts_are_those_of_the_flag_then_of_the_file_then_any() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "peer-hosts = \"public\"").unwrap();
        let file = file.path().to_str().unwrap();
        assert_eq!(config(&[]).peer_hosts, Hosts::Any);
        assert_eq!(Ok(config(&["--config", file]).peer_hosts), "public".parse());
        let both = config(&["--config", file, "--peer-hosts", "hub,10.0.0.0/8"]);
        assert_eq!(Ok(both.peer_hosts), "hub,10.0.0.0/8".parse());
        assert_eq!(config(&["--config", file, "--peer-hosts", "any"]).peer_hosts, Hosts::Any);
    }
}

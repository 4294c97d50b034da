//! The query that opens a channel or comes back to one (`docs/protocol/ws_api` §2).

use std::fmt::Write;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use strait_encoding::{AccountId, ChannelId, Coins, FsmId, Nonce};

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Which side of the channel a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Opens: its service dials the other one.
    Initiator,
    /// Waits: its service listens.
    Responder,
}

impl Role {
    /// As it stands in the query.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Initiator => "initiator",
            Role::Responder => "responder",
        }
    }
}

/// How many confirmations a transaction on chain needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthStrategy {
    /// A higher fee asks for more.
    TxFee,
    /// Exactly `minimum_depth`.
    Plain,
}

/// What both parties must agree on. Amounts are aettos, 10⁻¹⁸ AE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the initiator puts in.
    pub initiator_amount: Coins,
    /// What the responder puts in.
    pub responder_amount: Coins,
    /// What of the initiator's coins is the responder's from the start.
    pub push_amount: Coins,
    /// What each must always keep.
    pub channel_reserve: Coins,
    /// Key blocks between a solo close and its settlement.
    pub lock_period: u64,
}

/// What a channel is known by after it was opened: enough to come back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelIds {
    /// The channel.
    pub channel: ChannelId,
    /// The secret that opens this side of it.
    pub fsm: FsmId,
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        /// Everything that may stand in the query of a new channel. What is not set is left to the service.
        #[derive(Clone, Debug)]
        pub struct OpenParams {
            pub(crate) role: Role,
            pub(crate) initiator: Option<AccountId>,
            pub(crate) responder: AccountId,
            pub(crate) terms: Terms,
            host: String,
            port: u16,
            $(pub(crate) $name: Option<$type>,)*
        }

        impl OpenParams {
            /// The parameters that have no default. `port` is where the responder's service listens for the
            /// initiator's. `initiator` may be `None` for a responder that takes whoever comes.
            pub fn new(
                role: Role,
                port: u16,
                initiator: Option<AccountId>,
                responder: AccountId,
                terms: Terms,
            ) -> Self {
                Self { role, initiator, responder, terms, host: "localhost".to_owned(), port, $($name: None,)* }
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.$name = Some($name);
                    self
                }
            )*

            fn write_options(&self, query: &mut Query) {
                $(if let Some(value) = &self.$name {
                    query.add(stringify!($name), value.query_text());
                })*
            }
        }
    };
}

options! {
    /// Confirmations, or the factor that they are computed with.
    minimum_depth: u64;
    /// How `minimum_depth` is meant.
    minimum_depth_strategy: DepthStrategy;
    /// Last height at which the transactions of deposits, withdrawals and closing are valid.
    ttl: u64;
    /// Fee of the create transaction.
    fee: Coins;
    /// Gas price of the create transaction.
    gas_price: Coins;
    /// Nonce of the create transaction.
    nonce: Nonce;
    /// Whether the responder's side stays when its peer goes.
    keep_running: bool;
    /// Whether messages may pass through this side to others.
    msg_forwarding: bool;
    /// How many events the service remembers.
    log_keep: u64;
    /// A label for whoever reads the service's log.
    slogan: String;
    /// Patience for the other side's first answers.
    timeout_accept: Duration;
    /// Patience for the create transaction of the initiator.
    timeout_funding_create: Duration;
    /// Patience for the responder's signature.
    timeout_funding_sign: Duration;
    /// Patience for confirmations.
    timeout_funding_lock: Duration;
    /// Patience for anything to happen.
    timeout_idle: Duration;
    /// Patience for this client's signatures.
    timeout_sign: Duration;
    /// Patience after the first message to the responder.
    timeout_initialized: Duration;
    /// Patience of a responder for its initiator.
    timeout_awaiting_open: Duration;
    /// Whether to be told of `channels.info` events. This client needs them.
    report_info: bool;
    /// Whether to be told of new states. This client needs them.
    report_update: bool;
    /// Whether to be told of the peer's leaving.
    report_leave: bool;
    /// Whether to be told of conflicts. This client needs them.
    report_conflict: bool;
    /// Whether to receive the peer's messages.
    report_message: bool;
    /// Whether to be told of errors.
    report_error: bool;
    /// Whether to be told of what happens on chain.
    report_on_chain_tx: bool;
    /// Whether to be told what only a developer wants to know.
    report_debug: bool;
    /// How old a pinned block must be at least, in key blocks.
    bh_delta_not_newer_than: u64;
    /// How old a pinned block may be at most, in key blocks.
    bh_delta_not_older_than: u64;
    /// How far from the youngest allowed block to pick one, in key blocks.
    bh_delta_pick: u64;
}

impl OpenParams {
    /// Where the responder's service is, as the initiator's service sees it; `localhost` unless set.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Which side these parameters are for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The query of a new channel, without the question mark.
    pub fn query(&self) -> String {
        let mut query = Query::of(self.role, &self.host, self.port);
        query.add("initiator_id", self.initiator.map_or("any".to_owned(), |id| id.to_string()));
        query.add("responder_id", self.responder.to_string());
        query.add("initiator_amount", self.terms.initiator_amount.to_string());
        query.add("responder_amount", self.terms.responder_amount.to_string());
        query.add("push_amount", self.terms.push_amount.to_string());
        query.add("channel_reserve", self.terms.channel_reserve.to_string());
        query.add("lock_period", self.terms.lock_period.to_string());
        self.write_options(&mut query);
        query.0
    }

    /// The query that comes back to a channel. Of the parameters only role, host and port are named: the service has
    /// kept the others (`docs/protocol/ws_api` §2.4).
    pub fn reconnect_query(&self, ids: &ChannelIds) -> String {
        let mut query = Query::of(self.role, &self.host, self.port);
        query.add("existing_channel_id", ids.channel.to_string());
        query.add("existing_fsm_id", ids.fsm.to_string());
        query.0
    }
}

struct Query(String);

impl Query {
    fn of(role: Role, host: &str, port: u16) -> Self {
        let mut query = Self("protocol=json-rpc".to_owned());
        query.add("role", role.as_str().to_owned());
        query.add("host", host.to_owned());
        query.add("port", port.to_string());
        query
    }

    fn add(&mut self, name: &str, value: String) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "&{name}={}", utf8_percent_encode(&value, KEPT));
    }
}

/// How a value stands in the query.
trait QueryText {
    fn query_text(&self) -> String;
}

macro_rules! query_texts {
    ($($type:ty => |$value:ident| $text:expr;)*) => {$(
        impl QueryText for $type {
            fn query_text(&self) -> String {
                let $value = self;
                $text
            }
        }
    )*};
}

query_texts! {
    u64 => |number| number.to_string();
    bool => |flag| flag.to_string();
    Coins => |coins| coins.to_string();
    Nonce => |nonce| nonce.to_string();
    String => |text| text.clone();
    Duration => |patience| patience.as_millis().to_string();
    DepthStrategy => |strategy| match strategy {
        DepthStrategy::TxFee => "txfee",
        DepthStrategy::Plain => "plain",
    }.to_owned();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> OpenParams {
        let terms = Terms {
            initiator_amount: Coins(70_000_000_000_000),
            responder_amount: Coins(40_000_000_000_000),
            push_amount: Coins(1),
            channel_reserve: Coins(2),
            lock_period: 10,
        };
        OpenParams::new(Role::Initiator, 36_222, Some(AccountId([1; 32])), AccountId([2; 32]), terms)
    }

    #[test]
    fn every_mandatory_parameter_is_there() {
        let query = params().query();
        let names: Vec<_> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
        let wanted = [
            "protocol",
            "role",
            "host",
            "port",
            "initiator_id",
            "responder_id",
            "initiator_amount",
            "responder_amount",
            "push_amount",
            "channel_reserve",
            "lock_period",
        ];
        assert_eq!(names, wanted);
        assert!(query.contains("&initiator_amount=70000000000000&"), "{query}");
    }

    #[test]
    fn options_stand_under_their_own_names() {
        let query = params()
            .minimum_depth(0)
            .minimum_depth_strategy(DepthStrategy::Plain)
            .timeout_accept(Duration::from_millis(500))
            .report_message(false)
            .slogan("a b&c=d".to_owned())
            .query();
        let tail = "&minimum_depth=0&minimum_depth_strategy=plain&slogan=a%20b%26c%3Dd&timeout_accept=500&report_message=false";
        assert!(query.ends_with(tail), "{query}");
    }

    #[test]
    fn the_base64_of_a_secret_survives_the_query() {
        let fsm: FsmId = "ba_y/InW3L/7+u65Jdx4FmnTmY2hREoei+kO1HxsEzuDo/p4Fsg".parse().unwrap();
        let ids = ChannelIds { channel: ChannelId([3; 32]), fsm };
        let query = params().reconnect_query(&ids);
        let tail = "existing_fsm_id=ba_y%2FInW3L%2F7%2Bu65Jdx4FmnTmY2hREoei%2BkO1HxsEzuDo%2Fp4Fsg";
        assert!(query.ends_with(tail), "{query}");
    }
}

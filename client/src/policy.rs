//! Who signs, for which network, and what for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use strait_encoding::{Coins, Height, NetworkId, SecretKey, SignedForm};
use strait_ledger::{Protocol, SignedTx, Update};

use crate::Consent;
use crate::runner::Runner;

/// How long to wait for an answer of the service.
const PATIENCE: Duration = Duration::from_secs(120);

/// The code that a declined request carries where a check failed (`docs/protocol/ws_api` §7.2).
pub const VALIDATION: u16 = 1;

/// The code that a declined contract update carries where nothing is wrong with it, but this party has not agreed to such
/// ([`Consent`]); the first of those that are the clients' own.
pub const NOT_AGREED: u16 = 128;

/// What the service asks to have signed; every check of [`Book`](crate::Book) has passed.
#[derive(Clone, Copy, Debug)]
pub struct SignRequest<'a> {
    /// Which step of which flow it is.
    pub ask: Ask,
    /// The transaction, with the peer's signature where the peer began.
    pub tx: &'a SignedTx,
    /// What the round changes; empty where it changes nothing.
    pub updates: &'a [Update],
    /// What it takes from this party's balance inside the channel; nothing where it gives.
    pub costs: Coins,
}

/// A step of a flow in which a client signs (`docs/protocol/ws_api` §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The initiator opens.
    Create,
    /// The responder agrees to open.
    CreateAck,
    /// This party's own update.
    Update,
    /// The peer's update.
    UpdateAck,
    /// This party's own deposit.
    Deposit,
    /// The peer's deposit.
    DepositAck,
    /// This party's own withdrawal.
    Withdraw,
    /// The peer's withdrawal.
    WithdrawAck,
    /// This party closes with its peer.
    Shutdown,
    /// The peer wants to close.
    ShutdownAck,
    /// A transaction that this party posts on chain without the peer: a solo close, a slash, a settlement, a snapshot, a
    /// forced call.
    Solo,
}

/// The tag behind `channels.sign.`, the method that answers it, and what it means. A table.
const ASKS: &[(&str, &str, Ask)] = &[
    ("initiator_sign", "channels.initiator_sign", Ask::Create),
    ("responder_sign", "channels.responder_sign", Ask::CreateAck),
    ("update", "channels.update", Ask::Update),
    ("update_ack", "channels.update_ack", Ask::UpdateAck),
    ("deposit_tx", "channels.deposit_tx", Ask::Deposit),
    ("deposit_ack", "channels.deposit_ack", Ask::DepositAck),
    ("withdraw_tx", "channels.withdraw_tx", Ask::Withdraw),
    ("withdraw_ack", "channels.withdraw_ack", Ask::WithdrawAck),
    ("shutdown_sign", "channels.shutdown_sign", Ask::Shutdown),
    ("shutdown_sign_ack", "channels.shutdown_sign_ack", Ask::ShutdownAck),
    ("close_solo_sign", "channels.close_solo_sign", Ask::Solo),
    ("slash_tx", "channels.slash_sign", Ask::Solo),
    ("settle_sign", "channels.settle_sign", Ask::Solo),
    ("snapshot_solo_tx", "channels.snapshot_solo_sign", Ask::Solo),
    ("force_progress_tx", "channels.force_progress_sign", Ask::Solo),
];

impl Ask {
    /// Whether this party began the flow.
    pub fn is_own(self) -> bool {
        matches!(self, Ask::Create | Ask::Update | Ask::Deposit | Ask::Withdraw | Ask::Shutdown | Ask::Solo)
    }

    /// The step behind a tag, and the method of the answer.
    pub(crate) fn of_tag(tag: &str) -> Option<(Self, &'static str)> {
        ASKS.iter().find(|(known, ..)| *known == tag).map(|(_, method, ask)| (*ask, *method))
    }
}

/// The answer to a request to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sign.
    Sign,
    /// Decline with a code from 1 to 65535; the peer's client sees it where the peer began.
    Decline(u16),
}

/// What to sign of that which has passed every check.
#[derive(Default)]
pub enum Policy {
    /// Signs what this party asked for, and of the peer's proposals those that cost this party nothing.
    #[default]
    Careful,
    /// Signs also what the peer wants to be paid. For trials and measurements.
    Generous,
    /// Asks.
    Ask(Box<dyn FnMut(&SignRequest<'_>) -> Verdict + Send>),
}

impl Policy {
    /// A policy that asks a closure.
    pub fn ask(judge: impl FnMut(&SignRequest<'_>) -> Verdict + Send + 'static) -> Self {
        Policy::Ask(Box::new(judge))
    }

    pub(crate) fn judge(&mut self, request: &SignRequest<'_>) -> Verdict {
        match self {
            Policy::Generous => Verdict::Sign,
            Policy::Careful if request.ask.is_own() || request.costs == Coins::ZERO => Verdict::Sign,
            Policy::Careful => Verdict::Decline(VALIDATION),
            Policy::Ask(judge) => judge(request),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policy::Careful => "Careful",
            Policy::Generous => "Generous",
            Policy::Ask(_) => "Ask(…)",
        })
    }
}

/// A secret key with what is needed to use it. The key never leaves this process.
#[derive(Debug)]
pub struct Signer {
    pub(crate) key: SecretKey,
    pub(crate) network: NetworkId,
    pub(crate) form: SignedForm,
    pub(crate) policy: Policy,
    pub(crate) protocol: Protocol,
    pub(crate) patience: Duration,
    pub(crate) verify_states: bool,
    pub(crate) guard: bool,
    pub(crate) consent: Consent,
    pub(crate) runner: Runner,
}

impl Signer {
    /// Signs for the network `ae_dev`, in the hash form, with [`Policy::Careful`].
    pub fn new(key: SecretKey) -> Self {
        let network = NetworkId("ae_dev".to_owned());
        Self {
            key,
            runner: Runner::new(network.clone()),
            network,
            form: SignedForm::Hash,
            policy: Policy::default(),
            protocol: Protocol::default(),
            patience: PATIENCE,
            verify_states: true,
            guard: true,
            consent: Consent::none(),
        }
    }

    /// Signs for another network.
    #[must_use]
    pub fn network(mut self, network: impl Into<String>) -> Self {
        self.network = NetworkId(network.into());
        self.runner.set_network(self.network.clone());
        self
    }

    /// Signs the hash of transactions, as the JS SDK does, or the transactions themselves.
    #[must_use]
    pub fn form(mut self, form: SignedForm) -> Self {
        self.form = form;
        self
    }

    /// Decides by another policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What states are made by.
    pub(crate) fn rules(&self) -> (Protocol, Runner) {
        (self.protocol, self.runner.clone())
    }

    /// Takes part in contracts of the peer, as far as this says; in none unless set. What passes is still looked at by the
    /// policy.
    #[must_use]
    pub fn consent(mut self, consent: Consent) -> Self {
        self.consent = consent;
        self
    }

    /// Where to learn the height of the chain's top, from somebody whom this party trusts. Contracts that look at the height
    /// need it: every call is run before it is signed, at this height and the ten before it. Without it they are run at
    /// height 0, and a contract that looks is refused over its state hash.
    #[must_use]
    pub fn heights(mut self, heights: impl Fn() -> Height + Send + Sync + 'static) -> Self {
        self.runner.set_heights(Arc::new(heights));
        self
    }

    /// The rules of another protocol version for off-chain updates.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How long to wait for an answer of the service; two minutes unless set. Confirmations count as answers.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whether to verify the peer's signature on every state that the service reports as agreed. On unless a measurement
    /// cannot spare the time: without it, money may be counted that was never promised.
    #[must_use]
    pub fn verify_states(mut self, verify: bool) -> Self {
        self.verify_states = verify;
        self
    }

    /// Whether to answer a close with an older state, or a call forced on one, by the latest, as soon as the service tells of it. On unless somebody
    /// else watches: who does not answer within the lock period is paid by the older state.
    #[must_use]
    pub fn guard(mut self, guard: bool) -> Self {
        self.guard = guard;
        self
    }
}

impl From<SecretKey> for Signer {
    fn from(key: SecretKey) -> Self {
        Self::new(key)
    }
}

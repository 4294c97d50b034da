//! What a world starts from.

use std::collections::BTreeMap;

use strait_channel::{DepthRule, Patience, PinWindow, Reports, Role, Terms, Time, TxOptions};
use strait_encoding::{AccountId, Coins, Height, NetworkId, SecretKey};
use strait_ledger::{Chain, ChainConfig};

use crate::network::{ROLES, place};
use crate::signer::Signer;

/// The seeds of the keys of the initiator, the responder and a stranger.
const SEEDS: [[u8; 32]; 3] = [[1; 32], [2; 32], [3; 32]];
/// What everybody owns on chain at first: a million coins.
const RICH: Coins = Coins(1_000_000_000_000_000_000_000_000);
/// When a world begins: any moment later than zero.
pub(crate) const BEGINNING: Time = Time(1_000_000);

/// What a world starts from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the initiator puts in, in aettos.
    pub initiator_amount: u128,
    /// What the responder puts in.
    pub responder_amount: u128,
    /// What of it is the responder's from the start.
    pub push_amount: u128,
    /// What each must keep.
    pub reserve: u128,
    /// Key blocks between a solo close and its settlement.
    pub lock_period: u64,
    /// The rules of depth that initiator and responder ask for.
    pub depth: [Option<DepthRule>; 2],
    /// The patience of both.
    pub patience: [Patience; 2],
    /// Whether the responder survives the loss of its peer.
    pub keep_running: bool,
    /// Milliseconds on the way to the initiator and to the responder.
    pub latency: [u64; 2],
    /// Up to how many milliseconds more, by chance.
    pub jitter: u64,
    /// Which blocks rounds may be pinned to.
    pub pin: PinWindow,
    /// What chance starts from.
    pub seed: u64,
    /// Milliseconds that a client takes to sign.
    pub think: [u64; 2],
    /// Milliseconds between key blocks.
    pub block_time: u64,
    /// Whether the responder takes any initiator.
    pub any_initiator: bool,
    /// Whether the initiator's and the responder's account are contracts that authenticate them by meta transactions; then the
    /// stranger's is one too.
    pub generalized: [bool; 2],
    /// From which height on a forced call with a payload begins a new line of them (`docs/protocol/channel_txs` §1.2): by
    /// default from the first, as on the networks of today.
    pub solo_round_switch: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            initiator_amount: 100_000_000_000_000_000,
            responder_amount: 50_000_000_000_000_000,
            push_amount: 0,
            reserve: 1_000,
            lock_period: 10,
            depth: [Some(DepthRule::Plain(1)); 2],
            patience: [Patience::default(); 2],
            keep_running: true,
            latency: [10, 10],
            jitter: 0,
            pin: PinWindow::default(),
            seed: 0,
            think: [5, 5],
            block_time: 10_000,
            any_initiator: false,
            generalized: [false; 2],
            solo_round_switch: 0,
        }
    }
}

impl Setup {
    pub(crate) fn network() -> NetworkId {
        NetworkId("ae_dev".to_owned())
    }

    /// The seed of the key of somebody who is no party.
    pub(crate) const STRANGER: [u8; 32] = SEEDS[2];

    /// The seed of a role's key.
    pub(crate) fn seed(role: Role) -> [u8; 32] {
        SEEDS[place(role)]
    }

    /// The key of somebody who is no party.
    pub(crate) fn stranger() -> SecretKey {
        SecretKey::from_seed(SEEDS[2])
    }

    pub(crate) fn account(role: Role) -> AccountId {
        SecretKey::from_seed(Self::seed(role)).account()
    }

    /// A chain at height 1 with three rich accounts.
    pub(crate) fn chain(&self) -> Chain {
        let accounts: BTreeMap<_, _> =
            SEEDS.iter().map(|seed| (SecretKey::from_seed(*seed).account(), RICH)).collect();
        let solo_round_switch = Height(self.solo_round_switch);
        let config = ChainConfig { solo_round_switch, ..ChainConfig::new(Self::network(), accounts) };
        let mut chain = Chain::new(config);
        chain.mine_key_block(BEGINNING.0);
        let parties = ROLES.into_iter().filter(|role| self.generalized[place(*role)]).map(Self::seed);
        let stranger = self.generalized.contains(&true).then_some(SEEDS[2]);
        for seed in parties.chain(stranger) {
            let signer = Signer::new(seed, Self::network());
            if let Err(error) = chain.submit(signer.attaching()) {
                panic!("the account of a seed cannot be a contract: {error}");
            }
        }
        if chain.mine_micro_block(BEGINNING.0).is_some() {
            // What stories fork back is not how the accounts came about.
            chain.mine_key_block(BEGINNING.0);
            chain.mine_key_block(BEGINNING.0);
        }
        chain
    }

    /// The key of a role's client.
    pub(crate) fn signer(&self, role: Role) -> Signer {
        let signer = Signer::new(Self::seed(role), Self::network());
        if self.generalized[place(role)] { signer.generalized() } else { signer }
    }

    /// What the client of a role asks for.
    pub(crate) fn terms(&self, role: Role) -> Terms {
        let open = role == Role::Responder && self.any_initiator;
        Terms {
            role,
            initiator: (!open).then(|| Self::account(Role::Initiator)),
            responder: Self::account(Role::Responder),
            initiator_amount: Coins(self.initiator_amount),
            responder_amount: Coins(self.responder_amount),
            push_amount: Coins(self.push_amount),
            channel_reserve: Coins(self.reserve),
            lock_period: self.lock_period,
            depth: self.depth[place(role)],
            ttl: Height(0),
            create: TxOptions::default(),
            keep_running: self.keep_running,
            msg_forwarding: false,
            log_keep: 10,
            slogan: None,
            patience: self.patience[place(role)],
            reports: Reports::default(),
            pin: self.pin,
            host: "localhost".to_owned(),
            port: 14_444,
        }
    }
}

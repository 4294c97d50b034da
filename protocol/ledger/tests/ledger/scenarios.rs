//! Every check and effect that the node printed (`vectors/scen.out`), one closure for each line, in the order of the file.
//!
//! A line says what happened, `create twice (nonce 1 again): tx_nonce_already_used_for_account`; an indented line below
//! it shows the channel afterwards.

use std::collections::BTreeMap;

use strait_encoding::{AccountId, ChannelId, Coins, Height, KeyBlockHash, NetworkId, Nonce, Round};
use strait_ledger::rules::{self, BlockEnv, ChainState, LOCKED_COINS, RuleError};
use strait_ledger::{
    Account, ChannelObject, CreateTx, Delegates, MIN_GAS_PRICE, Payload, ProofBytes, Protocol,
    SetDelegatesTx, SignedTx, SnapshotSoloTx, StateProof, Tx,
};

use crate::support::{
    FEE, RICH, account, agreed, balances, close_mutual, close_solo, create, deposit, network, proof, settle,
    signed, slash, withdraw,
};

const STRANGER: u8 = 9;
const SWITCH: u64 = 168_300;

/// A state, and the height of the next transaction.
#[derive(Clone)]
struct World {
    state: ChainState,
    height: u64,
}

/// What a line shows: the error's name, `ok` or a value; and the channel where the file shows it.
struct Shown {
    result: String,
    channel: Option<String>,
}

impl World {
    /// Five rich accounts at height 20.
    fn new() -> Self {
        let mut state = ChainState::default();
        for number in [1, 2, 3, 4, STRANGER] {
            state.trees.set_account(account(number), &Account::new(RICH));
        }
        Self { state, height: 20 }
    }

    /// With the channel of [`create`].
    fn open() -> Self {
        let mut world = Self::new();
        world.apply(create(1)).unwrap();
        world
    }

    /// With the channel closing since height 20, by its first state.
    fn closing() -> Self {
        let mut world = Self::open();
        world.apply(close_solo(id(), 1, 2)).unwrap();
        world
    }

    /// With a chain of forced states, of rounds 43 to 45.
    fn forced() -> Self {
        Self::open().with_channel(|channel| {
            channel.round = Round(45);
            channel.solo_round = Round(43);
        })
    }

    fn with_channel(mut self, change: impl FnOnce(&mut ChannelObject)) -> Self {
        let mut channel = self.channel().unwrap();
        change(&mut channel);
        self.state.trees.set_channel(id(), &channel);
        self
    }

    fn with_balance(mut self, number: u8, balance: u128) -> Self {
        let account_before = self.state.trees.account(account(number)).unwrap();
        self.state.trees.set_account(account(number), &Account { balance: Coins(balance), ..account_before });
        self
    }

    fn at(mut self, height: u64) -> Self {
        self.height = height;
        self
    }

    fn apply(&mut self, tx: impl Into<Tx>) -> Result<(), RuleError> {
        let network = network();
        rules::apply_authenticated(&mut self.state, &SignedTx::unsigned(tx), &env(&network, self.height))
    }

    /// What comes of a transaction whose signatures are not looked at.
    fn shows(mut self, tx: impl Into<Tx>) -> Shown {
        let result = self.apply(tx);
        Shown { result: text(result), channel: self.show_channel() }
    }

    /// What comes of a signed transaction.
    fn shows_signed(mut self, tx: &SignedTx) -> Shown {
        let network = network();
        let result = rules::apply(&mut self.state, tx, &env(&network, self.height));
        Shown { result: text(result), channel: self.show_channel() }
    }

    /// A value of the state after a transaction that is taken.
    fn value(mut self, tx: impl Into<Tx>, value: impl FnOnce(&ChainState) -> String) -> Shown {
        self.apply(tx).unwrap();
        Shown { result: value(&self.state), channel: None }
    }

    fn channel(&self) -> Option<ChannelObject> {
        self.state.trees.channel(id())
    }

    fn show_channel(&self) -> Option<String> {
        let channel = self.channel()?;
        let Delegates::Each { initiator, responder } = &channel.delegates else { return None };
        Some(format!(
            "amount {} split {}/{} round {} solo_round {} lock {} locked_until {} delegates {}/{}",
            channel.channel_amount,
            channel.initiator_amount,
            channel.responder_amount,
            channel.round,
            channel.solo_round,
            channel.lock_period,
            channel.locked_until,
            initiator.len(),
            responder.len(),
        ))
    }
}

fn env(network: &NetworkId, height: u64) -> BlockEnv<'_> {
    BlockEnv {
        network,
        height: Height(height),
        protocol: Protocol::Ceres,
        min_gas_price: MIN_GAS_PRICE,
        solo_round_switch: Height(SWITCH),
        key_hash: KeyBlockHash::ZERO,
        time_ms: 0,
        beneficiary: AccountId::ZERO,
        difficulty: 1,
        key_blocks: const { &BTreeMap::new() },
        machine: None,
    }
}

fn text(result: Result<(), RuleError>) -> String {
    result.map_or_else(|error| error.atom().to_owned(), |()| "ok".to_owned())
}

fn id() -> ChannelId {
    create(1).channel_id()
}

/// `tx` with some fields changed.
fn with<T>(mut tx: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut tx);
    tx
}

/// A solo close by account 1 with a round and its balances.
fn close_with(round: u64, initiator: u128, responder: u128) -> strait_ledger::CloseSoloTx {
    let trees = balances(initiator, responder);
    with(close_solo(id(), 1, 2), |tx| {
        tx.payload = agreed(id(), round, trees.state_hash());
        tx.poi = proof(&trees);
    })
}

fn snapshot(from: u8, round: u64) -> SnapshotSoloTx {
    SnapshotSoloTx {
        channel_id: id(),
        from_id: account(from),
        payload: agreed(id(), round, balances(80, 70).state_hash()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(if from == 1 { 2 } else { 1 }),
    }
}

/// Leaves the initiator one delegate and the responder none, in the state that the create transaction fixed.
fn set_delegates() -> SetDelegatesTx {
    SetDelegatesTx {
        channel_id: id(),
        from_id: account(1),
        initiator_delegate_ids: vec![account(3)],
        responder_delegate_ids: Vec::new(),
        payload: Payload::default(),
        state_hash: balances(100, 50).state_hash(),
        round: Round(1),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(2),
    }
}

fn balance(state: &ChainState, id: AccountId) -> String {
    state.trees.account(id).map_or("none".to_owned(), |account| account.balance.to_string())
}

type Line = (&'static str, fn() -> Shown);

const OPENING: &[Line] = &[
    ("create", || World::new().shows(create(1))),
    ("create twice (nonce 1 again)", || World::open().shows(create(1))),
    ("create nonce 3", || World::open().shows(create(3))),
    ("create initiator below reserve", || {
        World::new().shows(with(create(1), |tx| tx.initiator_amount = Coins(9)))
    }),
    ("create responder below reserve", || {
        World::new().shows(with(create(1), |tx| tx.responder_amount = Coins(9)))
    }),
    ("create self", || World::new().shows(with(create(1), |tx| tx.responder_id = account(1)))),
    ("create unknown responder", || World::new().shows(with(create(1), |tx| tx.responder_id = account(77)))),
    ("create initiator too poor", || World::new().with_balance(1, FEE.0 + 99).shows(create(1))),
    ("create responder too poor", || World::new().with_balance(2, 49).shows(create(1))),
    ("create nonce wrong and too poor: nonce first", || World::new().with_balance(1, 0).shows(create(2))),
    ("create lock 0 reserve 0", || {
        World::new().shows(with(create(1), |tx| (tx.lock_period, tx.channel_reserve) = (0, Coins(0))))
    }),
    ("create v1 at Ceres", || {
        World::new()
            .shows(with(create(1), |tx: &mut CreateTx| tx.delegate_ids = Delegates::Shared(Vec::new())))
    }),
    ("fee too low", || World::new().shows(with(create(1), |tx| tx.fee = Coins(15_000_000_000)))),
    ("ttl == H", || World::new().shows(with(create(1), |tx| tx.ttl = Height(20)))),
    ("ttl < H", || World::new().shows(with(create(1), |tx| tx.ttl = Height(19)))),
];

const FUNDS: &[Line] = &[
    ("deposit", || World::open().shows(deposit(id(), 1, 30, 2, 2))),
    ("deposit same round", || World::open().shows(deposit(id(), 1, 30, 1, 2))),
    ("deposit old round", || World::open().shows(deposit(id(), 1, 30, 0, 2))),
    ("deposit round gap", || World::open().shows(deposit(id(), 1, 30, 17, 2))),
    ("deposit by stranger", || World::open().shows(deposit(id(), STRANGER, 30, 2, 1))),
    ("deposit unknown channel", || World::new().shows(deposit(id(), 1, 30, 2, 1))),
    ("deposit by responder", || World::open().shows(deposit(id(), 2, 30, 2, 1))),
    ("withdraw", || deposited().shows(withdraw(id(), 1, 30, 3, 3))),
    ("withdraw to 2*reserve exactly (180-20)", || deposited().shows(withdraw(id(), 1, 160, 3, 3))),
    ("withdraw one more", || deposited().shows(withdraw(id(), 1, 161, 3, 3))),
];

fn deposited() -> World {
    let mut world = World::open();
    world.apply(deposit(id(), 1, 30, 2, 2)).unwrap();
    world
}

/// The fee of a close by agreement comes out of the channel, so the 150 coins of the scenarios lie on top of one.
fn open_with_fee() -> World {
    World::open().with_channel(|channel| channel.channel_amount = Coins(150 + FEE.0))
}

fn closing_with_fee() -> World {
    World::closing().with_channel(|channel| channel.channel_amount = Coins(150 + FEE.0))
}

const MUTUAL: &[Line] = &[
    ("close_mutual with remainder 10", || open_with_fee().shows(close_mutual(id(), 1, (80, 60), 2))),
    ("channel deleted", || {
        open_with_fee().value(close_mutual(id(), 1, (80, 60), 2), |state| match state.trees.channel(id()) {
            None => "none".to_owned(),
            Some(_) => "there".to_owned(),
        })
    }),
    ("remainder on locked account", || {
        open_with_fee().value(close_mutual(id(), 1, (80, 60), 2), |state| balance(state, LOCKED_COINS))
    }),
    ("peer A paid no fee", || {
        // The file's initiator paid another fee for opening than the one of these tests.
        let opening_fee = Coins(20_000_000_000_000);
        let mut world = World::new();
        world.apply(with(create(1), |tx| tx.fee = opening_fee)).unwrap();
        let world = world.with_channel(|channel| channel.channel_amount = Coins(150 + FEE.0));
        world.value(close_mutual(id(), 1, (80, 60), 2), |state| {
            format!("{{{},{}}}", balance(state, account(1)), balance(state, account(2)))
        })
    }),
    ("close_mutual too much", || open_with_fee().shows(close_mutual(id(), 1, (80, 71), 2))),
    ("close_mutual while closing", || closing_with_fee().shows(close_mutual(id(), 1, (80, 60), 3))),
    ("close_mutual after locked_until", || {
        closing_with_fee().at(90).shows(close_mutual(id(), 1, (80, 60), 3))
    }),
    ("close_mutual by delegate", || open_with_fee().shows(close_mutual(id(), 3, (80, 60), 1))),
];

const SOLO: &[Line] = &[
    ("close_solo empty payload", || World::open().shows(close_solo(id(), 1, 2))),
    ("close_solo empty payload wrong poi", || {
        World::open().shows(with(close_solo(id(), 1, 2), |tx| tx.poi = proof(&balances(90, 60))))
    }),
    ("close_solo empty payload by delegate", || World::open().shows(close_solo(id(), 3, 1))),
    ("close_solo again", || World::closing().shows(close_solo(id(), 1, 3))),
    ("close_solo nonce wrong + too poor: funds first", || {
        World::open().with_balance(1, 0).shows(close_solo(id(), 1, 7))
    }),
    ("close_solo no such channel", || World::new().shows(close_solo(id(), 1, 1))),
    ("close_solo payload round 5", || World::open().shows(close_with(5, 90, 60))),
    ("close_solo payload, poi of other state", || {
        World::open().shows(with(close_with(5, 90, 60), |tx| tx.poi = proof(&balances(100, 50))))
    }),
    ("close_solo payload round 1", || World::open().shows(close_with(1, 90, 60))),
    ("close_solo payload round 0", || World::open().shows(close_with(0, 90, 60))),
    ("close_solo payload by delegate", || {
        World::open().shows(with(close_with(5, 90, 60), |tx| (tx.from_id, tx.nonce) = (account(3), Nonce(1))))
    }),
    ("close_solo payload half signed", || {
        World::open().shows(with(close_with(5, 90, 60), |tx| tx.payload = half_signed(&tx.payload)))
    }),
    ("close_solo garbage payload", || {
        World::open().shows(with(close_with(5, 90, 60), |tx| tx.payload = Payload(vec![1, 2, 3])))
    }),
    ("close_solo sum too big", || World::open().shows(close_with(5, 90, 61))),
    ("close_solo sum smaller", || World::open().shows(close_with(5, 90, 59))),
    ("close_solo poi without responder", || {
        World::open().shows(with(close_with(5, 90, 60), |tx| {
            let trees = balances(90, 60);
            let mut proof = StateProof::new(&trees);
            proof.add_account(&trees, account(1)).unwrap();
            tx.poi = ProofBytes(proof.encode());
        }))
    }),
    ("close_solo payload other channel", || {
        World::open().shows(with(close_with(5, 90, 60), |tx| {
            tx.payload = agreed(ChannelId([5; 32]), 5, balances(90, 60).state_hash());
        }))
    }),
    ("close_solo lock_period 0", || {
        World::open().with_channel(|channel| channel.lock_period = 0).shows(close_solo(id(), 1, 2))
    }),
];

fn half_signed(payload: &Payload) -> Payload {
    let both = SignedTx::decode(&payload.0).unwrap();
    Payload(signed(both.tx().clone(), &[1]).encode())
}

const ANSWERS: &[Line] = &[
    ("slash", || World::closing().at(22).shows(slash(id(), 2, 6, 1))),
    ("slash after locked_until passed", || World::closing().at(30).shows(slash(id(), 2, 6, 1))),
    ("slash by initiator's delegate", || World::closing().at(22).shows(slash(id(), 3, 6, 1))),
    ("slash by stranger", || World::closing().at(22).shows(slash(id(), STRANGER, 6, 1))),
    ("slash active channel", || World::open().shows(slash(id(), 2, 6, 1))),
    ("slash empty payload", || {
        World::closing().shows(with(slash(id(), 2, 6, 1), |tx| tx.payload = Payload::default()))
    }),
    ("slash same round", || World::closing().shows(slash(id(), 2, 1, 1))),
    ("settle one early", || World::closing().at(24).shows(settle(id(), 1, (100, 50), 3))),
    ("settle at locked_until", || World::closing().at(25).shows(settle(id(), 1, (100, 50), 3))),
    ("channel deleted", || {
        World::closing().at(25).value(settle(id(), 1, (100, 50), 3), |state| {
            match state.trees.channel(id()) {
                None => "none".to_owned(),
                Some(_) => "there".to_owned(),
            }
        })
    }),
    ("settle active", || World::open().shows(settle(id(), 1, (100, 50), 2))),
    ("settle wrong split", || World::closing().at(25).shows(settle(id(), 1, (99, 51), 3))),
    ("settle too much", || World::closing().at(25).shows(settle(id(), 1, (100, 51), 3))),
    ("settle by delegate", || World::closing().at(25).shows(settle(id(), 3, (100, 50), 1))),
    ("settle with remainder", || surplus().shows(settle(id(), 1, (100, 50), 3))),
    ("settle remainder locked", || {
        surplus().value(settle(id(), 1, (100, 50), 3), |state| balance(state, LOCKED_COINS))
    }),
];

fn surplus() -> World {
    World::closing().at(25).with_channel(|channel| channel.channel_amount = Coins(200))
}

const SNAPSHOTS: &[Line] = &[
    ("snapshot", || World::open().shows(snapshot(1, 6))),
    ("snapshot by responder's delegate", || World::open().shows(snapshot(4, 6))),
    ("snapshot closing", || World::closing().shows(with(snapshot(1, 6), |tx| tx.nonce = Nonce(3)))),
    ("snapshot empty", || World::open().shows(with(snapshot(1, 6), |tx| tx.payload = Payload::default()))),
    ("snapshot with close payload", || {
        World::open().shows(with(snapshot(1, 6), |tx| {
            tx.payload = Payload(signed(close_mutual(id(), 1, (80, 60), 2), &[1, 2]).encode());
        }))
    }),
    ("snapshot over forced chain 43..45 with round 41", || World::forced().shows(snapshot(1, 41))),
    ("snapshot over forced chain 43..45 with round 42", || World::forced().shows(snapshot(1, 42))),
    ("snapshot over forced chain 43..45 with round 43", || World::forced().shows(snapshot(1, 43))),
    ("snapshot over forced chain 43..45 with round 44", || World::forced().shows(snapshot(1, 44))),
    ("snapshot 43 resets solo_round", || World::forced().shows(snapshot(1, 43))),
    ("deposit round 43 over forced chain", || World::forced().shows(deposit(id(), 1, 30, 43, 2))),
    ("close_solo payload 43 over forced chain, H < 168300", || {
        World::forced().at(SWITCH - 1).shows(close_with(43, 80, 70))
    }),
    ("close_solo payload 43 over forced chain, H = 168300", || {
        World::forced().at(SWITCH).shows(close_with(43, 80, 70))
    }),
    ("slash 43 over forced chain, H < 168300", || {
        let closing = World::forced().with_channel(|channel| channel.locked_until = Height(SWITCH));
        closing.at(SWITCH - 1).shows(slash(id(), 2, 43, 1))
    }),
    ("set_delegates empty payload", || World::open().shows(set_delegates())),
    ("set_delegates bad round", || World::open().shows(with(set_delegates(), |tx| tx.round = Round(2)))),
    ("set_delegates bad hash", || {
        World::open().shows(with(set_delegates(), |tx| tx.state_hash = balances(90, 60).state_hash()))
    }),
    ("set_delegates payload", || {
        World::open().shows(with(set_delegates(), |tx| {
            let state_hash = balances(80, 70).state_hash();
            (tx.payload, tx.round, tx.state_hash) = (agreed(id(), 6, state_hash), Round(6), state_hash);
        }))
    }),
    ("set_delegates closing", || World::closing().shows(with(set_delegates(), |tx| tx.nonce = Nonce(3)))),
];

const SIGNATURES: &[Line] = &[
    ("sigs: deposit both", || World::open().shows_signed(&signed(deposit(id(), 1, 30, 2, 2), &[1, 2]))),
    ("sigs: deposit one", || World::open().shows_signed(&signed(deposit(id(), 1, 30, 2, 2), &[1]))),
    ("sigs: deposit, channel unknown", || {
        World::new().shows_signed(&signed(deposit(id(), 1, 30, 2, 1), &[1, 2]))
    }),
    ("sigs: close_solo from only", || World::open().shows_signed(&signed(close_solo(id(), 1, 2), &[1]))),
    ("sigs: close_solo both", || World::open().shows_signed(&signed(close_solo(id(), 1, 2), &[1, 2]))),
    ("sigs: set_delegates both", || World::open().shows_signed(&signed(set_delegates(), &[1, 2]))),
    ("sigs: settle from", || {
        World::closing().at(25).shows_signed(&signed(settle(id(), 1, (100, 50), 3), &[1]))
    }),
    ("sigs: settle peer's sig", || {
        World::closing().at(25).shows_signed(&signed(settle(id(), 1, (100, 50), 3), &[2]))
    }),
];

#[test]
fn every_line_of_the_node_comes_out_here() {
    let file = include_str!("../vectors/scen.out");
    let mut lines = file.lines().peekable();
    let tables = [OPENING, FUNDS, MUTUAL, SOLO, ANSWERS, SNAPSHOTS, SIGNATURES];
    for (name, scenario) in tables.into_iter().flatten() {
        let line =
            lines.next().and_then(|line| line.strip_prefix("ok    ")).expect("a line for each scenario");
        let (found, result) = line.rsplit_once(": ").unwrap();
        assert_eq!(&found, name, "the scenarios stand in the order of the file");
        let shown = scenario();
        assert_eq!(shown.result, result, "{name}");
        if let Some(channel) = lines.next_if(|line| line.starts_with("      ")) {
            assert_eq!(shown.channel.as_deref(), Some(channel.trim()), "{name}");
        }
    }
    assert_eq!(lines.next(), Some("94 checks, 0 differ"), "no line is left out");
}

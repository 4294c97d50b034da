//! Forced progress: every line that the node printed (`vectors/fp_protocol5.out`), and what no line shows
//! (`docs/protocol/channel_txs` §4.9).
//!
//! The node ran recorded calls. Here the machine of the tests runs one of the same amounts, gas and prices, so that only the
//! hash of the state differs, which is left out.

use strait_encoding::hash::{call_id, contract_id};
use strait_encoding::rlp::List;
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Nonce, Round, StateHash};
use strait_ledger::{
    ABI_AEVM, ABI_FATE, Account, CallObject, CallResult, ChannelObject, ContractObject, CtVersion, Delegates,
    ForceProgressTx, FrozenAuth, OffchainTx, Payload, Protocol, SignedTx, Trees, TreesBytes, Tx, Update,
};

use crate::machine::{AUTH, Do, GAS_USED, World, auth, by, call_data};
use crate::support::{account, create, key, network, signed};

const CALLER: u8 = 2;
/// As in the recording.
const FEE: Coins = Coins(494_582_834_932_560);
const GAS_PRICE: u128 = 1_000_005_732;
const HELD: Coins = Coins(110_000_000_000_000);
const LOCK_PERIOD: u64 = 10;

fn id() -> ChannelId {
    create(1).channel_id()
}

fn contract() -> ContractId {
    contract_id(account(1), 5)
}

fn code(version: u64) -> Vec<u8> {
    List::object(70, version).bytes(&[1]).finish()
}

/// The state of round 10: the contract owns 20 coins, 10 of them by the call before.
fn trees() -> Trees {
    let mut trees = Trees::default();
    trees.set_account(account(1), &Account::new(Coins(69_999_999_999_979)));
    trees.set_account(account(2), &Account::new(Coins(40_000_000_000_001 + 10)));
    trees.set_account(AccountId(contract().0), &Account::new(Coins(10)));
    let version = CtVersion { vm: 7, abi: ABI_FATE };
    trees.set_contract(contract(), &ContractObject::new(account(1), version, code(3), Coins(0)));
    trees.set_call(&contract().0, &[3; 32], &last_call());
    trees
}

/// The call that led to round 10: it is part of that state, and not of the next one.
fn last_call() -> CallObject {
    CallObject {
        caller: account(1).into(),
        nonce: Nonce(10),
        height: Height(10),
        contract: contract(),
        name: None,
        gas_price: Coins(1),
        gas_used: 5,
        result: CallResult::Ok(vec![0xff]),
        log: Vec::new(),
    }
}

/// What the call leads to, written out: ten coins move, the old call goes, the new one comes.
fn next(script: Do, moves: bool) -> Trees {
    let mut next = trees();
    if moves {
        next.set_account(account(2), &Account::new(Coins(40_000_000_000_001)));
        next.set_account(AccountId(contract().0), &Account::new(Coins(20)));
    }
    next.calls = strait_tree::Tree::new();
    let result = match script {
        Do::Yes => CallResult::Ok(vec![0xff]),
        Do::Fail => CallResult::Error(b"Out of gas".to_vec()),
        _ => CallResult::Revert(vec![0]),
    };
    let call = CallObject {
        caller: account(CALLER).into(),
        nonce: Nonce(11),
        height: Height(11),
        gas_price: Coins(GAS_PRICE),
        gas_used: GAS_USED,
        result,
        ..last_call()
    };
    next.set_call(&contract().0, &call_id(account(CALLER), 11, contract()), &call);
    next
}

fn agreed(round: u64, state_hash: StateHash) -> Payload {
    let tx = OffchainTx { channel_id: id(), round: Round(round), state_hash };
    Payload(signed(tx, &[1, 2]).encode())
}

fn call(script: Do) -> Update {
    Update::CallContract {
        caller: account(CALLER),
        contract: contract(),
        abi_version: ABI_FATE,
        amount: Coins(10),
        gas: 1_000,
        gas_price: GAS_PRICE,
        call_data: call_data(AUTH, script, &[]),
        call_stack: Vec::new(),
    }
}

fn forced() -> ForceProgressTx {
    ForceProgressTx {
        channel_id: id(),
        from_id: account(CALLER),
        payload: agreed(10, trees().state_hash()),
        round: Round(11),
        update: call(Do::Yes),
        state_hash: next(Do::Yes, true).state_hash(),
        offchain_trees: TreesBytes(trees().encode()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(1),
    }
}

/// A channel of which the chain knows the first round.
#[derive(Clone)]
struct Channel {
    world: World,
}

impl Channel {
    fn new() -> Self {
        let mut world = World { height: 100, protocol: Protocol::Iris, ..World::new() };
        let channel = ChannelObject {
            initiator_id: account(1),
            responder_id: account(2),
            channel_amount: HELD,
            initiator_amount: Coins(70_000_000_000_000),
            responder_amount: Coins(40_000_000_000_000),
            channel_reserve: Coins(2),
            delegates: Delegates::Each { initiator: vec![account(3)], responder: vec![account(4)] },
            state_hash: StateHash([5; 32]),
            round: Round(1),
            solo_round: Round(0),
            lock_period: LOCK_PERIOD,
            locked_until: Height(0),
            initiator_auth: FrozenAuth::Basic,
            responder_auth: FrozenAuth::Basic,
        };
        world.state.trees.set_channel(id(), &channel);
        Self { world }
    }

    fn with(mut self, change: impl FnOnce(&mut ChannelObject)) -> Self {
        let mut channel = self.object();
        change(&mut channel);
        self.world.state.trees.set_channel(id(), &channel);
        self
    }

    fn object(&self) -> ChannelObject {
        self.world.state.trees.channel(id()).unwrap()
    }

    fn at(mut self, height: u64) -> Self {
        self.world.height = height;
        self
    }

    /// What comes of it, in the words of the file.
    fn shows(mut self, tx: ForceProgressTx) -> String {
        let from = (1..=5).find(|number| account(*number) == tx.from_id).unwrap();
        let tx = signed(tx, &[from]);
        let before = self.world.account(from).balance.0;
        if let Err(error) = self.world.take(&tx) {
            return format!("error {}", error.atom());
        }
        let channel = self.object();
        let paid = before - self.world.account(from).balance.0;
        // docs/protocol/channel_txs §4.9: under the hash of the transaction.
        let under = ContractId(tx.hash().0);
        let call = self.world.state.trees.call(&under.0, &call_id(account(CALLER), 11, under)).unwrap();
        format!(
            "ok amount {} split {}/{} round {} solo_round {} locked_until {} paid {paid} = fee {FEE} + rest {}; \
             call object at (txhash, H(caller++round++txhash)): {{{}, {}, {}, {}, {}}}",
            channel.channel_amount,
            channel.initiator_amount,
            channel.responder_amount,
            channel.round,
            channel.solo_round,
            channel.locked_until,
            paid - FEE.0,
            if matches!(call.result, CallResult::Ok(_)) { "ok" } else { "failed" },
            call.gas_used,
            call.nonce,
            call.height,
            call.contract == under,
        )
    }
}

/// The lines of the file that say what comes of a variant, without what cannot be the same here.
fn lines() -> Vec<(String, String)> {
    let file = include_str!("../vectors/fp_protocol5.out");
    // The file has no line end behind the last of the recorded ones.
    let text = file.replace(" plain: ok", "\nplain: ok");
    let named = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("FP accepted"));
    named
        .map(|line| {
            let place = [": ok ", ": error "].iter().find_map(|word| line.find(word)).unwrap();
            let (name, result) = (&line[..place], &line[place + 2..]);
            let without_hash = match result.split_once(" hash ") {
                Some((head, tail)) => {
                    format!("{head}{}", tail.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
                }
                None => result.to_owned(),
            };
            (name.to_owned(), without_hash.trim_end().to_owned())
        })
        .collect()
}

/// What each line does.
fn variant(name: &str) -> String {
    let closing = |channel: &mut ChannelObject| channel.locked_until = Height(50);
    let known = |round: u64, solo: u64| {
        move |channel: &mut ChannelObject| (channel.round, channel.solo_round) = (Round(round), Round(solo))
    };
    let channel = Channel::new;
    match name {
        "plain" => channel().shows(forced()),
        "at 168299 after older forced round 8" => channel().with(known(8, 8)).at(168_299).shows(forced()),
        "at 168300 after older forced round 8" => channel().with(known(8, 8)).at(168_300).shows(forced()),
        "while closing" => channel().with(closing).shows(forced()),
        "wrong state_hash in tx" => {
            channel().shows(ForceProgressTx { state_hash: StateHash([9; 32]), ..forced() })
        }
        "channel amount smaller than balances (active)" => {
            channel().with(|channel| channel.channel_amount = Coins(5)).shows(forced())
        }
        "channel amount smaller than balances (closing)" => {
            channel().with(closing).with(|channel| channel.channel_amount = Coins(5)).shows(forced())
        }
        "wrong round (tx.round 12, payload 10)" => {
            channel().shows(ForceProgressTx { round: Round(12), ..forced() })
        }
        "channel round 10 already" => channel().with(known(10, 0)).shows(forced()),
        "channel round 11 already" => channel().with(known(11, 0)).shows(forced()),
        "counter FP: forced chain 9..10, payload round 10" => channel().with(known(10, 9)).shows(forced()),
        "counter FP: forced chain 9..11" => channel().with(known(11, 9)).shows(forced()),
        "other trees" => {
            let other = TreesBytes(next(Do::Yes, true).encode());
            channel().shows(ForceProgressTx { offchain_trees: other, ..forced() })
        }
        "stranger" => channel().shows(ForceProgressTx { from_id: account(5), ..forced() }),
        "other peer as from, caller unchanged" => {
            channel().shows(ForceProgressTx { from_id: account(1), ..forced() })
        }
        "cannot pay gas" => {
            let mut poor = channel();
            let coins = FEE.0 + 1_000 * GAS_PRICE - 1;
            poor.world.state.trees.set_account(account(CALLER), &Account::new(Coins(coins)));
            poor.shows(forced())
        }
        "off-chain balance - amount < reserve" => {
            channel().with(|channel| channel.channel_reserve = Coins(40_000_000_000_002)).shows(forced())
        }
        "missing contract / empty payload" => {
            channel().shows(ForceProgressTx { payload: Payload::default(), ..forced() })
        }
        "empty payload, chain has that state" => {
            let known = |channel: &mut ChannelObject| {
                (channel.round, channel.state_hash) = (Round(10), trees().state_hash());
            };
            channel().with(known).shows(ForceProgressTx { payload: Payload::default(), ..forced() })
        }
        other => panic!("a line that nobody tries: {other}"),
    }
}

#[test]
fn every_variant_comes_to_what_the_node_printed() {
    let lines = lines();
    assert_eq!(lines.len(), 19);
    for (name, printed) in lines {
        let shown = variant(&name);
        // The node crashes over an impossible call, with all of its state in the message.
        let printed = if printed.starts_with("error {crash, ") { "error crash".to_owned() } else { printed };
        // One line has lost its last bracket.
        assert_eq!(shown.trim_end_matches('}'), printed.trim_end_matches('}'), "{name}");
    }
}

#[test]
fn a_call_that_fails_is_progress_too() {
    for script in [Do::Fail, Do::TakeBack] {
        let mut channel = Channel::new();
        // The coins of the call come back.
        let state_hash = next(script, false).state_hash();
        let tx = ForceProgressTx { update: call(script), state_hash, ..forced() };
        channel.world.take(&signed(tx, &[CALLER])).unwrap();
        let object = channel.object();
        assert_eq!((object.round, object.state_hash), (Round(11), state_hash));
        assert_eq!(object.responder_amount, Coins(40_000_000_000_011));
    }
    // Before Iris the contract keeps them.
    let mut channel = Channel::new();
    channel.world.protocol = Protocol::Lima;
    let mut trees = trees();
    let version = CtVersion { vm: 5, abi: ABI_FATE };
    trees.set_contract(contract(), &ContractObject::new(account(1), version, code(3), Coins(0)));
    let mut next = next(Do::Fail, true);
    next.contracts = trees.contracts.clone();
    let tx = ForceProgressTx {
        update: call(Do::Fail),
        payload: agreed(10, trees.state_hash()),
        offchain_trees: TreesBytes(trees.encode()),
        state_hash: next.state_hash(),
        ..forced()
    };
    channel.world.take(&signed(tx, &[CALLER])).unwrap();
    assert_eq!(channel.object().responder_amount, Coins(40_000_000_000_001));
}

#[test]
fn preconditions_come_in_the_order_of_the_reference() {
    let error = |channel: Channel, change: &dyn Fn(&mut ForceProgressTx)| {
        let mut tx = forced();
        change(&mut tx);
        let shown = channel.shows(tx);
        shown.strip_prefix("error ").unwrap_or(&shown).to_owned()
    };
    let with_call = |change: &dyn Fn(&mut Update)| {
        let mut update = call(Do::Yes);
        change(&mut update);
        error(Channel::new(), &|tx| tx.update = update.clone())
    };
    let wrong_abi = with_call(&|update| {
        if let Update::CallContract { abi_version, .. } = update {
            *abi_version = ABI_AEVM;
        }
    });
    assert_eq!(wrong_abi, "wrong_abi_version");
    let missing = with_call(&|update| {
        if let Update::CallContract { contract, .. } = update {
            *contract = ContractId([1; 32]);
        }
    });
    assert_eq!(missing, "contract_missing");
    assert_eq!(with_call(&|update| *update = Update::Meta { data: Vec::new() }), "update_not_call");
    // A payload of another channel, or signed by one alone, comes before all that.
    let meta = Update::Meta { data: Vec::new() };
    let other =
        OffchainTx { channel_id: ChannelId([1; 32]), round: Round(10), state_hash: trees().state_hash() };
    let other = Payload(signed(other, &[1, 2]).encode());
    let bad = error(Channel::new(), &|tx| (tx.payload, tx.update) = (other.clone(), meta.clone()));
    assert_eq!(bad, "bad_state_channel_pubkey");
    let half = OffchainTx { channel_id: id(), round: Round(10), state_hash: trees().state_hash() };
    let half = Payload(signed(half, &[1]).encode());
    let bad = error(Channel::new(), &|tx| (tx.payload, tx.update) = (half.clone(), meta.clone()));
    assert_eq!(bad, "signature_check_failed");
    let gone = error(Channel::new(), &|tx| tx.channel_id = ChannelId([1; 32]));
    assert_eq!(gone, "channel_does_not_exist");
    assert_eq!(error(Channel::new(), &|tx| tx.nonce = Nonce(2)), "tx_nonce_too_high_for_account");
    assert_eq!(error(Channel::new(), &|tx| tx.fee = Coins(1)), "too_low_fee");
    assert_eq!(error(Channel::new(), &|tx| tx.payload = Payload(vec![1])), "invalid_at_protocol");

    let with_contract = |version: CtVersion, code: Vec<u8>| {
        let mut trees = trees();
        trees.set_contract(contract(), &ContractObject::new(account(1), version, code, Coins(0)));
        error(Channel::new(), &|tx| {
            tx.payload = agreed(10, trees.state_hash());
            tx.offchain_trees = TreesBytes(trees.encode());
        })
    };
    let fate = |vm| CtVersion { vm, abi: ABI_FATE };
    assert_eq!(with_contract(fate(8), code(3)), "unknown_vm_version", "FATE 3 came with Ceres");
    assert_eq!(with_contract(fate(7), code(2)), "illegal_contract_compiler_version");
    assert_eq!(with_contract(fate(7), vec![1]), "crash");
}

#[test]
fn a_delegate_forces_calls_of_its_own_party_while_the_channel_is_closing() {
    let closing = || Channel::new().with(|channel| channel.locked_until = Height(50));
    let by_delegate = |number| ForceProgressTx { from_id: account(number), ..forced() };
    assert!(closing().shows(by_delegate(4)).starts_with("ok "));
    assert_eq!(closing().shows(by_delegate(3)), "error not_caller_or_delegate");
    assert_eq!(closing().shows(by_delegate(1)), "error not_caller_or_delegate");
    assert_eq!(Channel::new().shows(by_delegate(4)), "error channel_not_closing");
    let mut lima = closing();
    lima.world.protocol = Protocol::Lima;
    let lima = lima.with(|channel| channel.delegates = Delegates::Shared(vec![account(4)]));
    assert_eq!(lima.shows(by_delegate(4)), "error account_not_peer");
    let stranger_calls = |tx: &mut ForceProgressTx| {
        if let Update::CallContract { caller, .. } = &mut tx.update {
            *caller = account(5);
        }
    };
    let mut tx = by_delegate(4);
    stranger_calls(&mut tx);
    assert_eq!(closing().shows(tx), "error not_caller_or_delegate");
}

#[test]
fn a_forced_chain_keeps_its_first_round() {
    let mut channel = Channel::new();
    channel.world.take(&signed(forced(), &[CALLER])).unwrap();
    assert_eq!((channel.object().round, channel.object().solo_round), (Round(11), Round(11)));
    // The next call is based on what the chain knows.
    let base = next(Do::Yes, true);
    let mut after = base.clone();
    after.set_account(account(2), &Account::new(Coins(40_000_000_000_001 - 10)));
    after.set_account(AccountId(contract().0), &Account::new(Coins(30)));
    after.calls = strait_tree::Tree::new();
    let id = |round| call_id(account(CALLER), round, contract());
    let call = base.call(&contract().0, &id(11)).unwrap();
    let call = CallObject { nonce: Nonce(12), height: Height(12), ..call };
    after.set_call(&contract().0, &id(12), &call);
    let tx = ForceProgressTx {
        payload: Payload::default(),
        round: Round(12),
        state_hash: after.state_hash(),
        offchain_trees: TreesBytes(base.encode()),
        nonce: Nonce(2),
        ..forced()
    };
    channel.world.height = 200_000;
    channel.world.take(&signed(tx, &[CALLER])).unwrap();
    assert_eq!((channel.object().round, channel.object().solo_round), (Round(12), Round(11)));
    assert_eq!(channel.object().state_hash, after.state_hash());
}

#[test]
fn a_generalized_party_forces_its_calls_by_a_meta_transaction() {
    let mut channel = Channel::new();
    let mut attach = crate::machine::attach(CALLER, Do::Yes);
    attach.ct_version.vm = 7;
    channel.world.take(&signed(attach, &[CALLER])).unwrap();
    let inner = SignedTx::unsigned(Tx::from(ForceProgressTx { nonce: Nonce(0), ..forced() }));
    let tx = by(CALLER, auth(Do::Yes, &[]), inner);
    channel.world.take(&tx).unwrap();
    assert_eq!(channel.object().round, Round(11));
    // The hash is that of the outermost transaction, and the authentication stands for caller and round.
    let under = ContractId(tx.hash().0);
    let Tx::GaMeta(meta) = tx.tx() else { panic!() };
    let key = strait_encoding::hash::blake2b_of(&[&meta.auth_id(), &under.0]);
    assert!(channel.world.state.trees.call(&under.0, &key).is_some());
}

#[test]
fn another_pays_for_a_forced_call() {
    let mut channel = Channel::new();
    let tx = SignedTx::unsigned(forced());
    let signature = key(CALLER).sign(&network(), tx.unsigned_bytes(), strait_encoding::SignedForm::InnerHash);
    let tx = strait_ledger::PayingForTx {
        payer_id: account(5),
        nonce: Nonce(1),
        fee: Coins(20_000_000_000_000),
        tx: tx.with_signature(signature),
    };
    let before = [CALLER, 5].map(|number| channel.world.account(number).balance.0);
    channel.world.take(&signed(tx, &[5])).unwrap();
    let after = [CALLER, 5].map(|number| channel.world.account(number).balance.0);
    assert_eq!(before[0], after[0]);
    let gas = u128::from(GAS_USED) * GAS_PRICE;
    assert_eq!(before[1] - after[1], 20_000_000_000_000 + FEE.0 + gas);
    assert_eq!(channel.object().round, Round(11));
}

//! Every call of the contract vectors forced on chain: the chain must come to the same state as the channel
//! (`docs/protocol/channel_txs` §4.9).

use serde_json::Value;
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Nonce, Round, StateHash};
use strait_ledger::rules::{self, BlockEnv, ChainState};
use strait_ledger::{
    Account, CallObject, ChannelObject, Delegates, ForceProgressTx, FrozenAuth, Payload, RuleError, SignedTx,
    Trees, TreesBytes, Update,
};

use crate::contract_steps::{Played, bytes, files, key, number, read};

const CHANNEL: ChannelId = ChannelId([0xcc; 32]);
const FEE: Coins = Coins(1_000_000_000_000);
const RICH: u128 = 1_000_000_000_000_000_000;

/// A chain that knows the state of the channel that a step starts from.
fn chain(played: &Played, caller: AccountId, round: u64) -> ChainState {
    let mut state = ChainState { trees: played.chain.clone(), ..ChainState::default() };
    let known = state.trees.account(caller).unwrap_or_else(|| Account::new(Coins::ZERO));
    let rich = Coins(known.balance.0 + RICH);
    state.trees.set_account(caller, &Account { balance: rich, ..known });
    let peers = played.trees.accounts.iter().map(|(key, _)| AccountId(key.try_into().unwrap()));
    let other = peers.into_iter().find(|id| *id != caller).unwrap();
    let channel = ChannelObject {
        initiator_id: caller,
        responder_id: other,
        channel_amount: Coins(0),
        initiator_amount: Coins(0),
        responder_amount: Coins(0),
        channel_reserve: played.round(round).reserve,
        delegates: Delegates::Each { initiator: Vec::new(), responder: Vec::new() },
        state_hash: played.trees.state_hash(),
        round: Round(round - 1),
        solo_round: Round(0),
        lock_period: 10,
        locked_until: Height(0),
        initiator_auth: FrozenAuth::Basic,
        responder_auth: FrozenAuth::Basic,
    };
    state.trees.set_channel(CHANNEL, &channel);
    state
}

/// The prices of the vectors are below what a chain takes.
fn env(played: &Played) -> BlockEnv<'_> {
    BlockEnv { min_gas_price: Coins(0), ..played.pinned().block }
}

fn forced(played: &Played, step: &Value) -> ForceProgressTx {
    let hash = |value: &Value| value.as_str().map_or(StateHash([0; 32]), |_| StateHash(key(value)));
    ForceProgressTx {
        channel_id: CHANNEL,
        from_id: AccountId(key(&step["caller"])),
        payload: Payload::default(),
        round: Round(number(&step["round"]) as u64),
        update: Update::decode(&bytes(&step["update"])).unwrap(),
        state_hash: hash(&step["result"]["state_hash"]),
        offchain_trees: TreesBytes(played.trees.encode()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(1),
    }
}

/// Forces a call that the vector makes: what it led to must be known to the chain, paid for and written down there.
fn force(played: &Played, step: &Value) {
    let tx = forced(played, step);
    let caller = tx.from_id;
    let before = chain(played, caller, tx.round.0);
    let mut state = before.clone();
    let signed = SignedTx::unsigned(tx.clone());
    rules::apply_authenticated(&mut state, &signed, &env(played)).unwrap();

    let wanted = &step["result"];
    let channel = state.trees.channel(CHANNEL).unwrap();
    assert_eq!((channel.round, channel.state_hash), (tx.round, tx.state_hash));
    let balance = |trees: &Trees, id| trees.account(id).unwrap().balance.0;
    let changed = |id: AccountId| wanted["accounts_changed"][hex::encode(id.0)].as_str();
    let off_chain = changed(caller).map_or(balance(&played.trees, caller), |object| {
        Account::decode(&hex::decode(object).unwrap()).unwrap().balance.0
    });
    assert_eq!(channel.initiator_amount, Coins(off_chain));
    let paid = balance(&before.trees, caller) - balance(&state.trees, caller);
    let (gas, price) = (number(&wanted["call"]["gas_used"]), number(&step["gas_price"]));
    assert_eq!(paid, FEE.0 + gas * price);
    assert_eq!(state.fees_collected, Coins(paid));

    // The chain has a copy that stands under the hash of the transaction.
    let under = ContractId(signed.hash().0);
    let copy = state.trees.call_in_round(under, caller, tx.round).unwrap();
    let call = CallObject::decode(&bytes(&wanted["call"]["object"])).unwrap();
    assert_eq!(copy, CallObject { contract: under, ..call });
}

/// Forces a call that is impossible.
fn refuse(played: &Played, step: &Value) {
    let tx = forced(played, step);
    let mut state = chain(played, tx.from_id, tx.round.0);
    let before = state.clone();
    let result = rules::apply_authenticated(&mut state, &SignedTx::unsigned(tx), &env(played));
    let atom = result.map_err(|error: RuleError| error.atom()).unwrap_err();
    let reason = step["result"]["reason"].as_str().unwrap();
    let wanted = match reason {
        "wrong_abi_version" => reason,
        _ if reason.contains("not_present") => "contract_missing",
        _ => "crash",
    };
    assert_eq!(atom, wanted, "{reason}");
    assert_eq!(state, before);
}

fn family(folder: &str, least: usize) {
    let (mut taken, mut refused) = (0, 0);
    for file in files(folder) {
        let vector = read(&file);
        let mut played = Played::of(&vector);
        for step in vector["steps"].as_array().unwrap() {
            match (step["op"] == "call", step["result"]["status"] == "ok") {
                (true, true) => {
                    force(&played, step);
                    taken += 1;
                }
                (true, false) => {
                    refuse(&played, step);
                    refused += 1;
                }
                (false, _) => {}
            }
            assert!(played.step(step).is_empty());
        }
    }
    println!("{folder}: {taken} calls forced, {refused} refused");
    assert!(taken >= least && refused >= 3, "{folder}: {taken} calls forced, {refused} refused");
}

#[test]
fn under_ceres() {
    family("scenarios/ceres", 640);
}

#[test]
fn under_ceres_on_machine_5() {
    family("scenarios/ceres_vm5", 640);
}

#[test]
fn under_iris() {
    family("scenarios/iris", 640);
}

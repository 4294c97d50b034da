//! Rules that the node's scenarios do not touch: other protocols, generalized accounts, impossible amounts
//! (`docs/protocol/channel_txs` §3, §4, `docs/protocol/signing` §3).

use std::collections::BTreeMap;

use strait_encoding::rlp::{Fields, List};
use strait_encoding::{AccountId, Coins, ContractId, Height, Id, KeyBlockHash, Nonce, Round};
use strait_ledger::rules::{self, BlockEnv, ChainState};
use strait_ledger::{
    Account, AccountKind, ChannelObject, CloseSoloTx, Delegates, FrozenAuth, MIN_GAS_PRICE, Payload,
    ProofBytes, Protocol, SetDelegatesTx, SignedTx, SnapshotSoloTx, StateProof, Tx,
};

use crate::support::{
    FEE, RICH, account, agreed, balances, close_mutual, close_solo, create, deposit, network, proof, settle,
    signed, slash, spend, withdraw,
};

const GENERALIZED: AccountKind =
    AccountKind::Generalized { contract: ContractId([8; 32]), auth_fun: [6; 32] };

fn rich() -> ChainState {
    let mut state = ChainState::default();
    for number in 1..=4 {
        state.trees.set_account(account(number), &Account::new(RICH));
    }
    state
}

/// With the channel of [`create`], as if it held enough for any fee.
fn open(change: impl FnOnce(&mut ChannelObject)) -> ChainState {
    let mut state = rich();
    assert_eq!(apply(&mut state, Protocol::Ceres, create(1)), "ok");
    let mut channel = state.trees.channel(create(1).channel_id()).unwrap();
    channel.channel_amount = Coins(150 + FEE.0);
    change(&mut channel);
    state.trees.set_channel(create(1).channel_id(), &channel);
    state
}

fn change(state: &mut ChainState, id: AccountId, change: impl FnOnce(&mut Account)) {
    let mut account = state.trees.account(id).unwrap();
    change(&mut account);
    state.trees.set_account(id, &account);
}

/// Applies a transaction; gives the name of the error. A refused one must change nothing.
fn apply(state: &mut ChainState, protocol: Protocol, tx: impl Into<Tx>) -> &'static str {
    let network = network();
    let env = BlockEnv {
        network: &network,
        height: Height(20),
        protocol,
        min_gas_price: MIN_GAS_PRICE,
        solo_round_switch: rules::SOLO_ROUND_SWITCH,
        key_hash: KeyBlockHash::ZERO,
        time_ms: 0,
        beneficiary: AccountId::ZERO,
        difficulty: 1,
        key_blocks: const { &BTreeMap::new() },
        machine: None,
    };
    let before = (state.trees.state_hash(), state.fees_collected);
    match rules::apply_authenticated(state, &SignedTx::unsigned(tx), &env) {
        Ok(()) => "ok",
        Err(error) => {
            assert_eq!((state.trees.state_hash(), state.fees_collected), before);
            error.atom()
        }
    }
}

#[test]
fn lima_opens_with_one_list_of_delegates() {
    let mut tx = create(1);
    tx.delegate_ids = Delegates::Shared(vec![account(3)]);
    for (protocol, one_list, two_lists) in [
        (Protocol::Lima, "ok", "invalid_at_protocol"),
        (Protocol::Iris, "invalid_at_protocol", "ok"),
        (Protocol::Ceres, "invalid_at_protocol", "ok"),
    ] {
        assert_eq!(apply(&mut rich(), protocol, tx.clone()), one_list, "{protocol}");
        assert_eq!(apply(&mut rich(), protocol, create(1)), two_lists, "{protocol}");
    }
}

#[test]
fn before_iris_delegates_only_slash() {
    let id = create(1).channel_id();
    let lima = || open(|channel| channel.delegates = Delegates::Shared(vec![account(3)]));
    let snapshot = SnapshotSoloTx {
        channel_id: id,
        from_id: account(3),
        payload: agreed(id, 6, balances(80, 70).state_hash()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(1),
    };
    assert_eq!(apply(&mut lima(), Protocol::Lima, snapshot.clone()), "account_not_peer");
    assert_eq!(apply(&mut lima(), Protocol::Iris, snapshot), "ok");
    let mut closing = lima();
    assert_eq!(apply(&mut closing, Protocol::Lima, close_solo(id, 1, 2)), "ok");
    assert_eq!(apply(&mut closing, Protocol::Lima, slash(id, 3, 6, 1)), "ok");
}

#[test]
fn a_generalized_account_needs_a_meta_transaction() {
    let mut state = rich();
    change(&mut state, account(1), |account| account.kind = GENERALIZED);
    assert_eq!(apply(&mut state, Protocol::Ceres, create(1)), "not_a_basic_account");
    assert_eq!(apply(&mut state, Protocol::Ceres, create(0)), "not_a_basic_account");
    // What one party does alone is checked elsewhere in the reference.
    let mut state = open(|_| {});
    let id = create(1).channel_id();
    change(&mut state, account(1), |account| account.kind = GENERALIZED);
    assert_eq!(apply(&mut state, Protocol::Ceres, close_solo(id, 1, 2)), "nonce_in_ga_tx_should_be_zero");
    assert_eq!(apply(&mut state, Protocol::Ceres, close_solo(id, 1, 0)), "bad_ga_tx_env");
}

#[test]
fn a_cosigner_that_became_generalized_cannot_sign() {
    let id = create(1).channel_id();
    let mut state = rich();
    change(&mut state, account(2), |account| account.kind = GENERALIZED);
    assert_eq!(apply(&mut state, Protocol::Ceres, create(1)), "ga_using_signature_not_allowed");
    let mut state = open(|_| {});
    change(&mut state, account(2), |account| account.kind = GENERALIZED);
    let refused = "ga_using_signature_not_allowed";
    assert_eq!(apply(&mut state, Protocol::Ceres, deposit(id, 1, 30, 2, 2)), refused);
    assert_eq!(apply(&mut state, Protocol::Ceres, withdraw(id, 1, 30, 2, 2)), refused);
    assert_eq!(apply(&mut state, Protocol::Ceres, close_mutual(id, 1, (80, 60), 2)), refused);
}

#[test]
fn an_agreed_round_is_authenticated_as_when_the_channel_was_created() {
    let id = create(1).channel_id();
    let mut tx = close_solo(id, 1, 2);
    tx.payload = agreed(id, 5, balances(100, 50).state_hash());
    let generalized = FrozenAuth::Generalized { contract: ContractId([8; 32]), auth_fun: [6; 32] };
    let mut state = open(|channel| channel.responder_auth = generalized);
    assert_eq!(apply(&mut state, Protocol::Ceres, tx.clone()), "ga_using_signature_not_allowed");
    // What the account has become since does not matter.
    let mut state = open(|_| {});
    change(&mut state, account(2), |account| account.kind = GENERALIZED);
    assert_eq!(apply(&mut state, Protocol::Ceres, tx), "ok");
}

#[test]
fn an_account_that_is_not_payable_receives_no_spend() {
    let mut state = rich();
    change(&mut state, account(2), |account| account.flags = 1);
    assert_eq!(apply(&mut state, Protocol::Ceres, spend(1, 2, 5, 1)), "account_is_not_payable");
    assert_eq!(apply(&mut state, Protocol::Ceres, spend(2, 3, 5, 1)), "ok");
}

#[test]
fn a_spend_makes_the_account_of_whoever_receives_it() {
    let mut state = rich();
    let mut tx = spend(1, 2, 5, 1);
    tx.recipient_id = Id::Contract(ContractId([8; 32]));
    assert_eq!(apply(&mut state, Protocol::Ceres, tx), "ok");
    assert_eq!(state.trees.account(AccountId([8; 32])), Some(Account::new(Coins(5))));
    assert_eq!(apply(&mut state, Protocol::Ceres, spend(1, 1, 5, 2)), "ok");
    let left = state.trees.account(account(1)).unwrap();
    assert_eq!((left.balance, left.nonce), (Coins(RICH.0 - 2 * FEE.0 - 5), Nonce(2)));
}

#[test]
fn an_id_is_taken_once() {
    let channel = open(|_| {}).trees.channel(create(1).channel_id()).unwrap();
    let mut state = rich();
    state.trees.set_channel(create(1).channel_id(), &channel);
    assert_eq!(apply(&mut state, Protocol::Ceres, create(1)), "channel_exists");
}

/// A proof of the accounts 1 and 2 with one node more in the part of the accounts, listed under `hash`.
fn proof_with(hash: &[u8], first: bool) -> ProofBytes {
    let ProofBytes(bytes) = proof(&balances(100, 50));
    let mut fields = Fields::of_version(&bytes, 60, 1).unwrap();
    let mut accounts = fields.list().unwrap().list().unwrap();
    let root = accounts.bytes().unwrap();
    let mut nodes = accounts.list().unwrap();
    let stray = List::new().bytes(hash).all_bytes([[0x20], [0x01]]);
    let mut all = Vec::new();
    while !nodes.is_empty() {
        let mut node = nodes.list().unwrap();
        let (hash, mut items) = (node.bytes().unwrap(), node.list().unwrap());
        let mut list = List::new();
        while !items.is_empty() {
            list = list.bytes(items.bytes().unwrap());
        }
        all.push(List::new().bytes(hash).list(list));
    }
    all.insert(if first { 0 } else { all.len() }, stray);
    let nodes = all.into_iter().fold(List::new(), List::list);
    let accounts = List::new().list(List::new().bytes(root).list(nodes));
    let object = (0..5).fold(List::object(60, 1).list(accounts), |object, _| object.list(List::new()));
    ProofBytes(object.finish())
}

#[test]
fn a_proof_may_hold_nodes_under_something_that_is_no_hash() {
    let id = create(1).channel_id();
    for hash in [&[0xff; 33][..], &[0xff; 31], &[]] {
        let tx = CloseSoloTx { poi: proof_with(hash, hash.is_empty()), ..close_solo(id, 1, 2) };
        assert_eq!(rules::check_embedded(&tx.clone().into()), Ok(()));
        let mut state = open(|_| {});
        assert_eq!(apply(&mut state, Protocol::Ceres, tx), "ok");
        assert_eq!(state.trees.channel(id).unwrap().initiator_amount, Coins(100));
    }
    // Without the nodes that lead to the accounts it shows nothing.
    let mut alone = StateProof::new(&balances(100, 50)).encode();
    let tx = CloseSoloTx { poi: ProofBytes(alone.clone()), ..close_solo(id, 1, 2) };
    assert_eq!(apply(&mut open(|_| {}), Protocol::Ceres, tx), "wrong_channel_peers");
    // A root of another size: a node does not read the transaction.
    alone.truncate(alone.len() - 6);
    let tx = CloseSoloTx { poi: ProofBytes(alone), ..close_solo(id, 1, 2) };
    assert_eq!(rules::check_embedded(&tx.into()).unwrap_err().atom(), "broken_tx");
}

#[test]
fn a_proof_is_signed_in_the_order_in_which_a_node_writes_it() {
    let id = create(1).channel_id();
    let unsorted = CloseSoloTx { poi: proof_with(&[0xff; 33], true), ..close_solo(id, 1, 2) };
    let sorted = CloseSoloTx { poi: proof_with(&[0xff; 33], false), ..close_solo(id, 1, 2) };
    assert_ne!(unsorted, sorted);
    let bytes = SignedTx::unsigned(unsorted.clone()).encode();
    let read = SignedTx::decode(&bytes).unwrap();
    assert_eq!(read, SignedTx::unsigned(sorted));
    let signed_as_sent = SignedTx::decode(&signed(unsorted, &[1]).encode()).unwrap();
    signed_as_sent.verify(&network(), &[account(1)]).expect_err("signed over other bytes");
}

#[test]
fn channels_of_old_versions_keep_them() {
    let id = create(1).channel_id();
    for auth in [FrozenAuth::Unrecorded, FrozenAuth::Basic] {
        let old = || {
            open(|channel| {
                channel.delegates = Delegates::Shared(vec![account(3)]);
                (channel.initiator_auth, channel.responder_auth) = (auth, auth);
            })
        };
        let version = |state: &ChainState| {
            let bytes = state.trees.channels.get(&id.0).unwrap();
            Fields::of_object(bytes, 58).unwrap().0
        };
        let expected = if auth == FrozenAuth::Basic { 2 } else { 1 };
        let mut state = old();
        assert_eq!(version(&state), expected);
        assert_eq!(apply(&mut state, Protocol::Ceres, deposit(id, 1, 30, 2, 2)), "ok");
        assert_eq!(version(&state), expected);
        let mut tx = close_solo(id, 1, 3);
        tx.payload = agreed(id, 5, balances(100, 50).state_hash());
        assert_eq!(apply(&mut state, Protocol::Ceres, tx), "ok");
        // The one list holds delegates of either party.
        assert_eq!(apply(&mut state, Protocol::Ceres, slash(id, 3, 6, 1)), "ok");
        assert_eq!(version(&state), expected);
        let object = state.trees.channel(id).unwrap();
        assert_eq!((object.round, object.locked_until), (Round(6), Height(25)));
        // Delegates by party have no place in it.
        let object = old().trees.channel(id).unwrap();
        let delegates = SetDelegatesTx {
            channel_id: id,
            from_id: account(1),
            initiator_delegate_ids: Vec::new(),
            responder_delegate_ids: Vec::new(),
            payload: Payload::default(),
            state_hash: object.state_hash,
            round: object.round,
            ttl: Height(0),
            fee: FEE,
            nonce: Nonce(2),
        };
        assert_eq!(apply(&mut old(), Protocol::Ceres, delegates), "crash");
    }
}

#[test]
fn after_its_lock_has_ended_a_channel_is_still_closing_until_somebody_settles() {
    let id = create(1).channel_id();
    let late = || {
        let mut state = open(|_| {});
        assert_eq!(apply(&mut state, Protocol::Ceres, close_solo(id, 1, 2)), "ok");
        let object = state.trees.channel(id).unwrap();
        // The transactions of these tests are at height 20.
        state.trees.set_channel(id, &ChannelObject { locked_until: Height(10), ..object });
        state
    };
    let mut slashed = late();
    assert_eq!(apply(&mut slashed, Protocol::Ceres, slash(id, 2, 6, 1)), "ok");
    assert_eq!(slashed.trees.channel(id).unwrap().locked_until, Height(25), "the lock begins again");
    assert_eq!(apply(&mut slashed, Protocol::Ceres, settle(id, 2, (80, 70), 2)), "channel_not_closed");
    assert_eq!(apply(&mut late(), Protocol::Ceres, close_mutual(id, 1, (80, 60), 3)), "ok");
    assert_eq!(apply(&mut late(), Protocol::Ceres, deposit(id, 1, 30, 2, 3)), "channel_not_active");
    assert_eq!(apply(&mut late(), Protocol::Ceres, settle(id, 2, (100, 50), 1)), "ok");
}

#[test]
fn a_lock_period_of_zero_can_be_settled_at_once() {
    let id = create(1).channel_id();
    let mut state = open(|channel| channel.lock_period = 0);
    assert_eq!(apply(&mut state, Protocol::Ceres, close_solo(id, 1, 2)), "ok");
    assert_eq!(state.trees.channel(id).unwrap().locked_until, Height(20));
    assert_eq!(apply(&mut state, Protocol::Ceres, settle(id, 1, (100, 50), 3)), "ok");
    assert_eq!(state.trees.channel(id), None);
}

#[test]
fn impossible_amounts_are_refused() {
    let most = u128::MAX;
    let id = create(1).channel_id();
    assert_eq!(apply(&mut rich(), Protocol::Ceres, spend(1, 2, most, 1)), "insufficient_funds");
    let mut tx = create(1);
    tx.initiator_amount = Coins(most);
    assert_eq!(apply(&mut rich(), Protocol::Ceres, tx), "insufficient_funds");
    let mut state = open(|_| {});
    assert_eq!(apply(&mut state, Protocol::Ceres, deposit(id, 1, most, 2, 2)), "insufficient_funds");
    assert_eq!(apply(&mut state, Protocol::Ceres, withdraw(id, 1, most, 2, 2)), "not_enough_channel_funds");
    assert_eq!(apply(&mut state, Protocol::Ceres, close_mutual(id, 1, (most, most), 2)), "wrong_amounts");
    change(&mut state, account(2), |account| account.balance = Coins(most));
    assert_eq!(apply(&mut state, Protocol::Ceres, spend(1, 2, 5, 2)), "crash");
    let mut greedy = open(|channel| channel.channel_reserve = Coins(most));
    assert_eq!(apply(&mut greedy, Protocol::Ceres, withdraw(id, 1, 1, 2, 2)), "not_enough_channel_funds");
    let mut patient = open(|channel| channel.lock_period = u64::MAX);
    assert_eq!(apply(&mut patient, Protocol::Ceres, close_solo(id, 1, 2)), "ok");
}

#[test]
fn without_a_machine_what_needs_one_is_refused_by_name() {
    let mut chain = crate::support::chain_with(|config| config.machine = strait_ledger::Machine::default());
    for name in ["force_progress", "ga_attach", "ga_meta2", "paying_for"] {
        let line = format!("obj\t{name}\t");
        let bytes = include_str!("../vectors/node_objects.out").lines().find_map(|text| {
            let digits = text.strip_prefix(&line)?;
            hex::decode(digits).ok()
        });
        let tx = Tx::decode(&bytes.unwrap()).unwrap();
        let refused = chain.submit(signed(tx, &[1])).unwrap_err().atom();
        // What is paid for here is a spend: that needs none.
        assert_eq!(refused, if name == "paying_for" { "signature_check_failed" } else { "unsupported" });
    }
}

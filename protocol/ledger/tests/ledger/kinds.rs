//! Rules that the node's scenarios do not touch: other protocols, generalized accounts, impossible amounts
//! (`docs/protocol/channel_txs` §3, §4, `docs/protocol/signing` §3).

use strait_encoding::{AccountId, Coins, ContractId, Height, Id, KeyBlockHash, Nonce};
use strait_ledger::rules::{self, BlockEnv, ChainState};
use strait_ledger::{
    Account, AccountKind, ChannelObject, Delegates, FrozenAuth, MIN_GAS_PRICE, Protocol, SignedTx, SnapshotSoloTx,
    Tx,
};

use crate::support::{
    FEE, RICH, account, agreed, balances, close_mutual, close_solo, create, deposit, network, signed, slash,
    spend, withdraw,
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
    let mut chain = crate::support::chain();
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

//! Generalized accounts whose contracts are FATE code (`docs/protocol/signing` §3).

use strait_encoding::text::{self, Prefix};
use strait_encoding::{ChannelId, Coins, Height, NetworkId, Nonce};
use strait_ledger::rules::{self, BlockEnv, ChainState};
use strait_ledger::{
    ABI_FATE, Account, AccountKind, CallResult, ContractBytes, GaMetaTx, MetaTtl, Parties, RuleError,
    SignedTx, Tx, auth_tx_hash, authenticate_offchain,
};

use crate::bytecode::{Auth, agreeable, attaching, call, counting, hash_checking, some_hash};
use crate::machine::{Do, GAS_PRICE, World, attach, contract_of};
use crate::support::{account, network, signed, spend};

const AUTH: [u8; 4] = [1, 2, 3, 4];

/// Account 1 is generalized by this code.
fn world(auth: &Auth) -> World {
    let mut world = World::with_fate();
    world.take(&signed(attaching(attach(1, Do::Yes), auth), &[1])).unwrap();
    world
}

fn by(auth_data: ContractBytes, tx: SignedTx) -> SignedTx {
    SignedTx::unsigned(GaMetaTx {
        ga_id: account(1),
        auth_data,
        abi_version: ABI_FATE,
        fee: Coins(200_000_000_000_000),
        gas: 10_000,
        gas_price: GAS_PRICE,
        ttl: MetaTtl(None),
        tx,
    })
}

/// A number below 64 as FATE writes it.
fn small(number: u8) -> [u8; 1] {
    [number << 1]
}

#[test]
fn an_account_is_attached_and_pays_for_its_init() {
    let mut world = World::with_fate();
    let before = world.account(1).balance.0;
    let tx = attaching(attach(1, Do::Yes), &counting(AUTH));
    world.take(&signed(tx.clone(), &[1])).unwrap();
    let AccountKind::Generalized { contract, auth_fun } = world.account(1).kind else { panic!() };
    assert_eq!((contract, auth_fun), (contract_of(1), tx.auth_fun.0));
    let call = rules::call_of(&signed(tx.clone(), &[1]), &world.state.trees).unwrap();
    assert_eq!(call.result, CallResult::Ok(Vec::new()));
    assert!(call.gas_used > 0 && call.gas_used < tx.gas);
    let paid = before - world.account(1).balance.0;
    assert_eq!(paid, tx.fee.0 + u128::from(call.gas_used) * tx.gas_price.0);
    // The register of the code is the register of the store.
    assert_eq!(world.state.trees.store_value(&contract.0, &[0, 1]), Some(&small(1)[..]));
    let again = world.state.trees.account(strait_encoding::AccountId(contract.0)).unwrap();
    assert!(!again.is_payable());
}

#[test]
fn a_contract_that_counts_takes_each_authentication_once() {
    let mut world = world(&counting(AUTH));
    let pay = |number| by(call(AUTH, &[&small(number)]), SignedTx::unsigned(spend(1, 9, 1, 0)));
    world.take(&pay(1)).unwrap();
    assert_eq!(world.shows(&pay(1)), "authentication_failed");
    world.take(&pay(2)).unwrap();
    assert_eq!(world.account(9).balance, Coins(2));
    // What is not a number is no call at all.
    let text = by(call(AUTH, &[&[0x05, b'a']]), SignedTx::unsigned(spend(1, 9, 1, 0)));
    assert_eq!(world.shows(&text), "authentication_failed");
    let none = by(ContractBytes(vec![0x3f]), SignedTx::unsigned(spend(1, 9, 1, 0)));
    assert_eq!(world.shows(&none), "bad_auth_data");
    let other = by(call([9; 4], &[]), SignedTx::unsigned(spend(1, 9, 1, 0)));
    assert_eq!(world.shows(&other), "wrong_auth_function");
}

#[test]
fn a_contract_sees_the_hash_of_what_it_authenticates() {
    let mut world = world(&hash_checking(AUTH));
    let tx = SignedTx::unsigned(spend(1, 9, 1, 0));
    let prices = (Coins(200_000_000_000_000), GAS_PRICE);
    let hash = auth_tx_hash(&network(), world.protocol, prices, tx.tx());
    let other = some_hash(&[7; 32]);
    assert_eq!(world.shows(&by(call(AUTH, &[&other]), tx.clone())), "authentication_failed");
    world.take(&by(call(AUTH, &[&some_hash(&hash)]), tx)).unwrap();
    assert_eq!(world.account(9).balance, Coins(1));
}

#[test]
fn code_that_cannot_authenticate_is_refused_with_the_reason_of_the_reference() {
    let mut world = World::with_fate();
    let good = attaching(attach(1, Do::Yes), &counting(AUTH));
    let mut shows = |change: &dyn Fn(&mut strait_ledger::GaAttachTx)| {
        let mut tx = good.clone();
        change(&mut tx);
        world.shows(&signed(tx, &[1]))
    };
    assert_eq!(shows(&|tx| tx.code.0.truncate(40)), "bad_sophia_code");
    assert_eq!(shows(&|tx| tx.auth_fun.0[0] ^= 1), "bad_function_hash");
    assert_eq!(shows(&|tx| tx.call_data = call(AUTH, &[])), "bad_init_function");
    assert_eq!(shows(&|tx| tx.ct_version.vm = 7), "illegal_vm_version");
    let number = Auth { returns: 0x07, ..counting(AUTH) };
    let number = attaching(attach(1, Do::Yes), &number);
    assert_eq!(shows(&|tx| *tx = number.clone()), "bad_auth_function_return_type");
    assert_eq!(shows(&|_| {}), "ok");
}

/// The session shows what its contract is called with, and that it says yes; how it comes to that, nobody knows.
#[test]
fn a_recorded_session_is_processed_with_real_code() {
    let session: serde_json::Value =
        serde_json::from_str(include_str!("../vectors/generalized_session.json")).unwrap();
    let text = |name: &str| session[name].as_str().unwrap();
    let (initiator, responder) =
        (text("initiator_id").parse().unwrap(), text("responder_id").parse().unwrap());
    let channel: ChannelId = text("channel_id").parse().unwrap();
    let network = NetworkId(text("network_id").to_owned());
    let world = World::with_fate();
    let env: BlockEnv<'_> = world.env(&network);

    let mut state = ChainState::default();
    for id in [initiator, responder] {
        state.trees.set_account(id, &Account::new(Coins(1_000_000_000_000_000_000)));
    }
    let function = [0x6c, 0xf2, 0x57, 0x0b];
    let mut tx = attaching(attach(1, Do::Yes), &agreeable(function));
    (tx.owner_id, tx.nonce, tx.ttl) = (initiator, Nonce(1), Height(0));
    rules::apply_authenticated(&mut state, &SignedTx::unsigned(tx), &env).unwrap();

    let (mut on_chain, mut off_chain) = (0, 0);
    for tx in session["txs"].as_array().unwrap() {
        let bytes = text::decode(Prefix::Transaction, tx.as_str().unwrap()).unwrap();
        let tx = SignedTx::decode(&bytes).unwrap();
        let is_full = tx.authentications() == 2;
        match tx.innermost().tx() {
            Tx::ChannelOffchain(_) if is_full => {
                let object = state.trees.channel(channel).unwrap();
                let parties = Parties { id: channel, object: &object };
                let both = [initiator, responder];
                authenticate_offchain(&tx, parties, &both, &state.trees, &env).unwrap();
                off_chain += 1;
            }
            Tx::ChannelOffchain(_) => {}
            _ if is_full => {
                let before = state.trees.channel(channel);
                rules::apply(&mut state, &tx, &env).unwrap();
                assert_ne!(state.trees.channel(channel), before);
                on_chain += 1;
            }
            _ => {}
        }
    }
    println!("{on_chain} transactions on chain, {off_chain} states off chain");
    assert!(on_chain >= 1 && off_chain >= 3, "{on_chain} on chain, {off_chain} off chain");
}

#[test]
fn states_off_chain_are_authenticated_with_the_frozen_store() {
    let mut world = world(&counting(AUTH));
    let mut create = crate::support::create(0);
    create.initiator_amount = Coins(100);
    let create = by(call(AUTH, &[&small(1)]), SignedTx::unsigned(create));
    let create = crate::machine::co_signed(create, &[2]);
    let id = create.channel_id().unwrap();
    world.take(&create).unwrap();
    let object = world.state.trees.channel(id).unwrap();
    let shows = |world: &World, number| {
        let state = strait_ledger::OffchainTx {
            channel_id: id,
            round: strait_encoding::Round(2),
            state_hash: strait_encoding::StateHash([7; 32]),
        };
        let tx = by(call(AUTH, &[&small(number)]), SignedTx::unsigned(state));
        let tx = crate::machine::co_signed(tx, &[2]);
        let network = network();
        let parties = Parties { id, object: &object };
        let both = [account(1), account(2)];
        authenticate_offchain(&tx, parties, &both, &world.state.trees, &world.env(&network)).map(drop)
    };
    // The copy was made after the authentication of the create transaction, which counted.
    assert_eq!(shows(&world, 2), Ok(()));
    world.take(&by(call(AUTH, &[&small(2)]), SignedTx::unsigned(spend(1, 9, 1, 0)))).unwrap();
    assert_eq!(shows(&world, 2), Ok(()), "the copy does not count on");
    assert_eq!(shows(&world, 3), Err(RuleError::AuthRefused));
}

//! Becoming a generalized account, and authenticating as one (`docs/protocol/signing` §3.1, §3.2).

use strait_encoding::hash::{blake2b, blake2b_of};
use strait_encoding::{AccountId, Coins, Height, Id, Nonce};
use strait_ledger::{
    ABI_AEVM, AccountKind, CallObject, CallResult, Chain, ChainView, ContractBytes, ContractObject,
    CtVersion, FunctionHash, GaMetaTx, Machine, MetaTtl, Protocol, SignedTx, TxLocation, auth_tx_hash, fee,
};

use crate::machine::{
    AUTH, Do, GAS_PRICE, GAS_USED, Scripted, World, attach, auth, auth_fun, by, call_data, contract_of,
};
use crate::support::{FEE, RICH, account, chain_with, network, signed, spend};

/// What a call costs that the fee of `tx` pays for.
fn cost(tx: &SignedTx) -> u128 {
    tx.tx().fee().0 + u128::from(GAS_USED) * GAS_PRICE.0
}

/// Changes the meta transaction.
fn changed(tx: &SignedTx, change: impl FnOnce(&mut GaMetaTx)) -> SignedTx {
    let strait_ledger::Tx::GaMeta(mut meta) = tx.tx().clone() else { panic!("{tx:?}") };
    change(&mut meta);
    SignedTx::unsigned(meta)
}

/// A spend of a generalized account, with nonce 0.
fn spend_of(number: u8, amount: u128) -> SignedTx {
    SignedTx::unsigned(spend(number, 9, amount, 0))
}

#[test]
fn an_account_becomes_generalized() {
    let mut world = World::new();
    let tx = signed(attach(1, Do::Yes), &[1]);
    world.take(&tx).unwrap();
    let (owner, contract) = (world.account(1), contract_of(1));
    assert_eq!(owner.kind, AccountKind::Generalized { contract, auth_fun: auth_fun().0 });
    assert_eq!((owner.nonce, owner.balance.0), (Nonce(1), RICH.0 - cost(&tx)), "unused gas comes back");
    let object = world.state.trees.contract(contract).unwrap();
    let version = CtVersion { vm: 8, abi: 3 };
    assert_eq!(object, ContractObject::new(account(1), version, b"code stored".to_vec(), Coins(0)));
    let house = world.state.trees.account(AccountId(contract.0)).unwrap();
    assert_eq!((house.balance, house.is_payable()), (Coins(0), false));
    let call = CallObject {
        caller: Id::Account(account(1)),
        nonce: Nonce(1),
        height: Height(20),
        contract,
        name: None,
        gas_price: GAS_PRICE,
        gas_used: GAS_USED,
        result: CallResult::Ok(Vec::new()),
        log: Vec::new(),
    };
    let id = strait_encoding::hash::call_id(account(1), 1, contract);
    assert_eq!(world.state.trees.call(&contract.0, &id), Some(call));

    let mut payable = attach(2, Do::Yes);
    payable.code = ContractBytes(b"payable".to_vec());
    world.take(&signed(payable, &[2])).unwrap();
    assert!(world.state.trees.account(AccountId(contract_of(2).0)).unwrap().is_payable());
}

#[test]
fn an_init_that_fails_is_paid_for_and_attaches_nothing() {
    for script in [Do::Fail, Do::TakeBack] {
        let mut world = World::new();
        let tx = signed(attach(1, script), &[1]);
        world.take(&tx).unwrap();
        let owner = world.account(1);
        assert!(owner.is_basic());
        assert_eq!((owner.nonce, owner.balance.0), (Nonce(1), RICH.0 - cost(&tx)));
        assert_eq!(world.state.trees.contract(contract_of(1)), None);
        assert_eq!(world.state.trees.account(AccountId(contract_of(1).0)), None);
        // docs/protocol/contracts §1.2: the value of a revert stays, the text of an error does not.
        let kept =
            if script == Do::Fail { CallResult::Error(Vec::new()) } else { CallResult::Revert(vec![0]) };
        assert_eq!(world.calls().iter().map(|call| &call.result).collect::<Vec<_>>(), [&kept]);
    }
}

#[test]
fn what_cannot_be_attached_is_refused() {
    let refused = |change: &dyn Fn(&mut strait_ledger::GaAttachTx)| {
        let mut tx = attach(1, Do::Yes);
        change(&mut tx);
        World::new().shows(&signed(tx, &[1]))
    };
    let code = |text: &'static [u8]| {
        move |tx: &mut strait_ledger::GaAttachTx| tx.code = ContractBytes(text.to_vec())
    };
    assert_eq!(refused(&code(b"malformed")), "bad_sophia_code");
    assert_eq!(refused(&code(b"outdated")), "illegal_contract_compiler_version");
    assert_eq!(refused(&code(b"number")), "bad_auth_function_return_type");
    assert_eq!(refused(&|tx| tx.auth_fun = FunctionHash([1; 32])), "bad_function_hash");
    let other = call_data(AUTH, Do::Yes, &[]);
    assert_eq!(refused(&|tx| tx.call_data = ContractBytes(other.clone())), "bad_init_function");
    for vm in [5, 6, 7] {
        assert_eq!(refused(&|tx| tx.ct_version.vm = vm), "illegal_vm_version");
    }
    assert_eq!(refused(&|tx| tx.gas_price = Coins(999_999)), "too_low_gas_price");
    assert_eq!(refused(&|tx| tx.gas = u64::MAX), "insufficient_funds");
    assert_eq!(refused(&|tx| tx.fee = Coins(1)), "too_low_fee");
    assert_eq!(refused(&|tx| tx.nonce = Nonce(2)), "invalid_at_protocol");
    assert_eq!(refused(&|tx| tx.nonce = Nonce(0)), "tx_nonce_already_used_for_account");
    assert_eq!(World::new().shows(&signed(attach(1, Do::Yes), &[2])), "signature_check_failed");
    assert_eq!(World::new().shows(&signed(attach(9, Do::Yes), &[9])), "account_not_found");
}

#[test]
fn before_ceres_also_an_account_that_has_been_used_may_attach() {
    let mut world = World { protocol: Protocol::Iris, ..World::new() };
    world.take(&signed(spend(1, 9, 1, 1), &[1])).unwrap();
    let mut tx = attach(1, Do::Yes);
    (tx.nonce, tx.ct_version.vm) = (Nonce(2), 7);
    world.take(&signed(tx.clone(), &[1])).unwrap();
    assert!(!world.account(1).is_basic());
    tx.nonce = Nonce(3);
    assert_eq!(world.shows(&signed(tx, &[1])), "not_a_basic_account");
}

#[test]
fn a_meta_transaction_authenticates_what_it_carries() {
    let mut world = World::generalized(&[1]);
    let before = world.account(1);
    let tx = by(1, auth(Do::Yes, &[]), spend_of(1, 5));
    world.take(&tx).unwrap();
    let after = world.account(1);
    assert_eq!(before.balance.0 - after.balance.0, cost(&tx) + FEE.0 + 5);
    assert_eq!(after.nonce, before.nonce, "a generalized account uses no nonces");
    assert_eq!(world.account(9).balance, Coins(5));
    let strait_ledger::Tx::GaMeta(meta) = tx.tx() else { panic!() };
    // docs/protocol/signing §3.2: under the account, with the hash of authentication and contract.
    let auth_id = blake2b_of(&[&account(1).0, &meta.auth_data.0]);
    let call = world.state.trees.call(&account(1).0, &blake2b_of(&[&auth_id, &contract_of(1).0])).unwrap();
    assert_eq!(call.result, CallResult::Ok(vec![0xff]));
    assert_eq!((call.nonce, call.gas_used, call.contract), (Nonce(0), GAS_USED, contract_of(1)));
}

#[test]
fn what_the_contract_does_not_accept_is_not_on_chain() {
    for script in [Do::No, Do::Fail, Do::TakeBack, Do::Number] {
        let mut world = World::generalized(&[1]);
        assert_eq!(world.shows(&by(1, auth(script, &[]), spend_of(1, 5))), "authentication_failed");
    }
}

#[test]
fn meta_transactions_are_refused_in_the_order_of_the_reference() {
    let tx = by(1, auth(Do::Yes, &[]), spend_of(1, 5));
    let mut world = World::generalized(&[1, 2]);
    let mut poor = world.clone();
    let mut account_1 = poor.account(1);
    account_1.balance = Coins(1);
    poor.state.trees.set_account(account(1), &account_1);
    assert_eq!(poor.shows(&tx), "insufficient_funds");
    assert_eq!(World::new().shows(&tx), "not_a_generalized_account");
    assert_eq!(world.shows(&by(9, auth(Do::Yes, &[]), spend_of(1, 5))), "account_not_found");
    assert_eq!(world.shows(&by(2, auth(Do::Yes, &[]), spend_of(1, 5))), "non_relevant_signature");
    // Relevance comes before the balance.
    let strange = by(1, auth(Do::Yes, &[]), spend_of(2, 5));
    assert_eq!(poor.shows(&strange), "non_relevant_signature");
    assert_eq!(world.shows(&changed(&tx, |meta| meta.abi_version = ABI_AEVM)), "wrong_abi_version");
    let other = ContractBytes(call_data([9; 4], Do::Yes, &[]));
    assert_eq!(world.shows(&changed(&tx, |meta| meta.auth_data = other)), "wrong_auth_function");
    let none = ContractBytes(vec![1, 2, 3]);
    assert_eq!(world.shows(&changed(&tx, |meta| meta.auth_data = none)), "bad_auth_data");
    assert_eq!(world.shows(&changed(&tx, |meta| meta.fee = Coins(1))), "too_low_fee");
    assert_eq!(world.shows(&changed(&tx, |meta| meta.gas_price = Coins(1))), "too_low_gas_price");
    let with_ttl = changed(&tx, |meta| meta.ttl = MetaTtl(Some(Height(0))));
    assert_eq!(world.shows(&with_ttl), "invalid_at_protocol");
    let signature = signed(spend(1, 9, 5, 0), &[1]).signatures()[0];
    assert_eq!(world.shows(&tx.clone().with_signature(signature)), "signature_check_failed");
    assert_eq!(world.shows(&tx), "ok");
}

#[test]
fn an_authentication_counts_once_in_a_generation() {
    let mut world = World::generalized(&[1]);
    let tx = by(1, auth(Do::Yes, &[]), spend_of(1, 5));
    world.take(&tx).unwrap();
    assert_eq!(world.shows(&tx), "auth_call_object_already_exist");
    world.take(&by(1, auth(Do::Yes, &[2]), spend_of(1, 5))).unwrap();
    // A key block forgets the calls: then only the contract can refuse.
    world.state.trees.calls = strait_tree::Tree::new();
    world.take(&tx).unwrap();
    let counted = |count| by(1, auth(Do::Count, &[count]), spend_of(1, 5));
    world.take(&counted(1)).unwrap();
    assert_eq!(world.shows(&counted(1)), "authentication_failed");
    world.take(&counted(2)).unwrap();
}

#[test]
fn an_authentication_of_what_fails_stays_on_chain() {
    let mut world = World::generalized(&[1]);
    let before = world.account(1);
    let failing = [
        SignedTx::unsigned(spend(1, 9, RICH.0, 0)),
        // With a nonce; with a signature; with too small a fee; too late.
        SignedTx::unsigned(spend(1, 9, 5, 2)),
        signed(spend(1, 9, 5, 0), &[1]),
        SignedTx::unsigned(strait_ledger::Tx::from(spend(1, 9, 5, 0)).with_fee(Coins(1))),
    ];
    let mut paid = 0;
    for (number, inner) in (1u8..).zip(failing) {
        let tx = by(1, auth(Do::Yes, &[number]), inner);
        world.take(&tx).unwrap();
        paid += cost(&tx);
        let failed = CallResult::Error(b"inner_transaction_failed".to_vec());
        assert_eq!(world.calls().iter().filter(|call| call.result == failed).count(), usize::from(number));
    }
    assert_eq!(before.balance.0 - world.account(1).balance.0, paid);
    assert_eq!(world.state.trees.account(account(9)), None);
    let mut late = spend(1, 9, 5, 0);
    late.ttl = Height(19);
    // The ttl of what is inside is that of the meta transaction.
    assert_eq!(world.shows(&by(1, auth(Do::Yes, &[9]), SignedTx::unsigned(late))), "ttl_expired");
}

#[test]
fn a_call_that_a_meta_transaction_makes_keeps_no_text_of_an_error() {
    for protocol in [Protocol::Iris, Protocol::Ceres] {
        let mut world = World { protocol, ..World::new() };
        let mut tx = attach(1, Do::Yes);
        tx.ct_version.vm = if protocol == Protocol::Iris { 7 } else { 8 };
        world.take(&signed(tx, &[1])).unwrap();
        let scripts = [Do::Fail, Do::TakeBack];
        let kept = scripts.map(|script| {
            let call = strait_ledger::ContractCallTx {
                caller_id: account(1),
                nonce: Nonce(0),
                contract_id: contract_of(1),
                abi_version: strait_ledger::ABI_FATE,
                fee: Coins(300_000_000_000_000),
                ttl: Height(0),
                amount: Coins(0),
                gas: 1_000,
                gas_price: GAS_PRICE,
                call_data: ContractBytes(call_data([9; 4], script, &[])),
            };
            let tx = by(1, auth(Do::Yes, &[script as u8]), SignedTx::unsigned(call));
            world.take(&tx).unwrap();
            strait_ledger::rules::call_of(&tx, &world.state.trees).unwrap().result
        });
        assert_eq!(kept, [CallResult::Error(Vec::new()), CallResult::Revert(vec![0])]);
    }
}

#[test]
fn the_contract_sees_the_hash_of_what_is_directly_inside() {
    let inner = spend_of(1, 5);
    let hash = blake2b_of(&[network().0.as_bytes(), inner.unsigned_bytes()]);
    let mut iris = World { protocol: Protocol::Iris, ..World::new() };
    let mut tx = attach(1, Do::Yes);
    tx.ct_version.vm = 7;
    iris.take(&signed(tx, &[1])).unwrap();
    iris.take(&by(1, auth(Do::Match, &hash), inner.clone())).unwrap();

    // docs/protocol/signing §3.1, written out: the list [810, 1, fee, gas price, hash].
    let mut covered = vec![0xf1, 0x82, 0x03, 0x2a, 0x01];
    covered.extend([0x86, 0xb5, 0xe6, 0x20, 0xf4, 0x80, 0x00]); // 200,000,000,000,000
    covered.extend([0x84, 0x3b, 0x9a, 0xca, 0x00]); // 1,000,000,000
    covered.push(0xa0);
    covered.extend(hash);
    covered[0] = 0xc0 + 55;
    let body = u8::try_from(covered.len() - 1).unwrap();
    assert_eq!(body, 49);
    covered[0] = 0xc0 + body;
    let ceres_hash = blake2b(&covered);
    let prices = (Coins(200_000_000_000_000), GAS_PRICE);
    assert_eq!(auth_tx_hash(&network(), Protocol::Ceres, prices, inner.tx()), ceres_hash);
    let mut world = World::generalized(&[1]);
    world.take(&by(1, auth(Do::Match, &ceres_hash), inner.clone())).unwrap();
    assert_eq!(world.shows(&by(1, auth(Do::Match, &hash), inner)), "authentication_failed");
}

#[test]
fn the_pool_looks_at_who_authenticates() {
    let mut chain = chain_with(|config| config.machine = Machine::new(Scripted));
    let submit = |chain: &mut Chain, tx: &SignedTx| match chain.submit(tx.clone()) {
        Ok(_) => "ok",
        Err(error) => error.atom(),
    };
    let meta = by(1, auth(Do::Yes, &[]), spend_of(1, 5));
    assert_eq!(submit(&mut chain, &signed(attach(1, Do::Yes), &[1])), "ok");
    chain.mine_micro_block(0).unwrap();
    assert_eq!(chain.next_nonce(account(1)), Nonce(0));
    let signed_spend = signed(spend(1, 9, 5, 2), &[1]);
    assert_eq!(submit(&mut chain, &signed_spend), "generalized_account_cant_sign_non_meta_tx");
    let hungry = changed(&meta, |meta| meta.gas = 50_001);
    assert_eq!(submit(&mut chain, &hungry), "too_much_gas_for_auth_function");
    let nested = by(1, auth(Do::Yes, &[1]), hungry);
    assert_eq!(submit(&mut chain, &nested), "too_much_gas_for_auth_function");
    let with_nonce = by(1, auth(Do::Yes, &[]), SignedTx::unsigned(spend(1, 9, 5, 2)));
    assert_eq!(submit(&mut chain, &with_nonce), "generalized_account_cant_sign_non_meta_tx");
    let cheap = changed(&meta, |meta| meta.gas_price = Coins(999_999_999));
    assert_eq!(submit(&mut chain, &cheap), "too_low_gas_price_for_miner");
    let cheap_inside = strait_ledger::Tx::from(spend(1, 9, 5, 0)).with_fee(Coins(20_000_000_000));
    let cheap_inside = by(1, auth(Do::Yes, &[]), SignedTx::unsigned(cheap_inside));
    assert_eq!(submit(&mut chain, &cheap_inside), "too_low_gas_price_for_miner");

    // Two meta transactions share the nonce 0, and come after the others, the better paying first.
    let dear = by(1, auth(Do::Yes, &[2]), SignedTx::unsigned(spend(1, 9, 6, 0)));
    let dear = changed(&dear, |meta| meta.fee = Coins(meta.fee.0 + 1));
    let plain = signed(spend(2, 9, 5, 1), &[2]);
    for tx in [&meta, &dear, &plain] {
        assert_eq!(submit(&mut chain, tx), "ok");
    }
    assert_eq!(submit(&mut chain, &meta), "already_known");
    let block = chain.mine_micro_block(0).unwrap();
    let order: Vec<_> = block.txs.iter().map(SignedTx::hash).collect();
    assert_eq!(order, [plain.hash(), dear.hash(), meta.hash()]);
    assert!(matches!(chain.locate_tx(&meta.hash()), TxLocation::InBlock { .. }));
    assert_eq!(fee::deep_fee(dear.tx()).0, 200_000_000_000_001 + FEE.0);

    // A chain that is restored, or told of the blocks, comes to the same state.
    let restored = Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap();
    assert_eq!(restored.top(), chain.top());
    let mut told = Chain::new(chain.config().clone());
    for block in (0..=chain.top_height().0).flat_map(|height| chain.generation(Height(height))).skip(1) {
        told.import(block.clone()).unwrap();
    }
    assert_eq!(told.top_state().state_hash(), chain.top_state().state_hash());
}

#[test]
fn nesting_is_bounded() {
    let mut tx = spend_of(1, 5);
    for _ in 0..80 {
        tx = by(1, auth(Do::Yes, &[]), tx);
    }
    let bytes = tx.encode();
    assert_eq!(SignedTx::decode(&bytes).unwrap(), tx);
    assert_eq!((tx.metas().count(), tx.authentications()), (80, 1));
    let deeper = by(1, auth(Do::Yes, &[]), tx).encode();
    let refused = SignedTx::decode(&deeper).unwrap_err().to_string();
    assert!(refused.contains("80"), "{refused}");
}

#[test]
fn who_watches_a_channel_is_told_that_a_transaction_of_it_failed() {
    // Later its block is forgotten; or the block is there, and no state of its time.
    for (kept_blocks, later) in [(40, 150), (400, 110)] {
        tells_what_failed(kept_blocks, later);
    }
}

fn tells_what_failed(kept_blocks: usize, later: usize) {
    let mut chain = chain_with(|config| {
        config.machine = Machine::new(Scripted);
        (config.kept_blocks, config.kept_states) = (kept_blocks, 2);
    });
    let mine = |chain: &mut Chain, txs: &[SignedTx]| {
        for tx in txs {
            chain.submit(tx.clone()).unwrap();
            chain.mine_micro_block(0).unwrap();
        }
        chain.mine_key_block(0);
    };
    mine(&mut chain, &[signed(attach(2, Do::Yes), &[2])]);
    let create = crate::machine::co_signed(
        by(2, auth(Do::Yes, &[]), SignedTx::unsigned(crate::support::create(1))),
        &[1],
    );
    let id = create.channel_id().unwrap();
    let since = chain.top().hash();
    let deposit = |round, nonce, number| {
        let tx = SignedTx::unsigned(crate::support::deposit(id, 1, 5, round, nonce));
        crate::machine::co_signed(by(2, auth(Do::Yes, &[number]), tx), &[1])
    };
    // The second deposit comes with an old round.
    mine(&mut chain, &[create, deposit(2, 2, 1), deposit(2, 3, 2)]);
    let outcomes = |chain: &Chain| {
        let news = chain.news_since(id, &since);
        news.txs.iter().map(|mined| mined.failed).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&chain), [false, false, true]);
    assert_eq!(chain.channel(id).unwrap().round.0, 2);
    let restored = |chain: &Chain| Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap();
    assert_eq!(outcomes(&restored(&chain)), [false, false, true]);
    // Also when the fork that mines them again left them behind, and when states and blocks are forgotten.
    let tip = chain.top().hash();
    chain.fork(&strait_ledger::ForkPlan::new(1), 0).unwrap();
    for chain in [&chain, &restored(&chain)] {
        let news = chain.news_since(id, &tip);
        assert_eq!(news.reverted.iter().map(|mined| mined.failed).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(outcomes(chain), [false, false, true]);
    }
    for _ in 0..later {
        chain.mine_key_block(0);
    }
    let is_known = chain.news_since(id, &since).since != strait_ledger::Since::Unknown;
    assert_eq!((is_known, chain.state_at(&since)), (kept_blocks == 400, None));
    for chain in [&chain, &restored(&chain)] {
        assert_eq!(outcomes(chain), [false, false, true]);
    }
}

#[test]
fn a_chain_tells_who_authenticated() {
    let mut chain = chain_with(|config| config.machine = Machine::new(Scripted));
    chain.submit(signed(attach(2, Do::Yes), &[2])).unwrap();
    chain.mine_micro_block(0).unwrap();
    let create = SignedTx::unsigned(crate::support::create(1));
    let half = by(2, auth(Do::Yes, &[]), create);
    assert_eq!(chain.authenticate_onchain(&half, &[account(2)]).unwrap().signers(), [account(2)]);
    let full = crate::machine::co_signed(half, &[1]);
    let (id, both) = (full.channel_id().unwrap(), [account(1), account(2)]);
    chain.authenticate_onchain(&full, &both).unwrap();
    let state = strait_ledger::OffchainTx {
        channel_id: id,
        round: strait_encoding::Round(2),
        state_hash: strait_encoding::StateHash([7; 32]),
    };
    let state = crate::machine::co_signed(by(2, auth(Do::Yes, &[]), SignedTx::unsigned(state)), &[1]);
    let atom = |chain: &Chain, tx: &SignedTx| match chain.authenticate_offchain(tx, id, &both) {
        Ok(evidence) => {
            assert_eq!(evidence.signers(), both);
            "ok"
        }
        Err(error) => error.atom(),
    };
    assert_eq!(atom(&chain, &state), "channel_does_not_exist");
    let by_key = crate::machine::co_signed(state.innermost().clone(), &[2]);
    assert_eq!(atom(&chain, &by_key), "ok", "without a channel nobody knows better");
    chain.submit(full).unwrap();
    chain.mine_micro_block(0).unwrap();
    assert_eq!(atom(&chain, &state), "ok");
    assert_eq!(atom(&chain, &by_key), "ga_using_signature_not_allowed");
    let hungry = changed(&state, |meta| meta.gas = 50_001);
    assert_eq!(atom(&chain, &hungry), "too_much_gas_for_auth_function");
}

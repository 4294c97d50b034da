//! Contract calls of the client against a real service: what it asks, what it signs, what it does not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpListener;
use std::sync::Arc;

use strait_client::{
    Called, ClientError, Consent, Ended, ForcedGas, NOT_AGREED, Objection, OpenParams, Outcome, Party,
    Program, Role, Signer, Terms, value,
};
use strait_encoding::{AccountId, Coins, ContractId, Height, Round, SecretKey, SignedForm};
use strait_fate::Value;
use strait_ledger::{
    ChainView, ForceProgressTx, OFFCHAIN_GAS, OffchainEnv, Payload, SignedTx, TreesBytes, Tx, Update,
    apply_updates_at, choose_fee,
};
use strait_service::Dev;
use strait_service::config::{Config, HostPort, WindowAddr};

const AMOUNT: Coins = Coins(1_000_000_000_000_000);

struct Bench {
    dev: Arc<Dev>,
    keys: [SecretKey; 2],
    port: u16,
}

impl Bench {
    async fn start() -> Self {
        let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
        let (channel_addr, node_addr) = (any_port(), any_port());
        let config = Config { channel_addr, node_addr, operator_addr: WindowAddr(None), ..Config::default() };
        let dev = Arc::new(Dev::start(&config).await.unwrap());
        let keys = [dev.accounts()[0].key.clone(), dev.accounts()[1].key.clone()];
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        Self { dev, keys, port }
    }

    fn params(&self, role: Role) -> OpenParams {
        let terms = Terms {
            initiator_amount: AMOUNT,
            responder_amount: AMOUNT,
            push_amount: Coins(0),
            channel_reserve: Coins(10),
            lock_period: 5,
        };
        let [initiator, responder] = self.accounts();
        OpenParams::new(role, self.port, Some(initiator), responder, terms).host("127.0.0.1")
    }

    fn accounts(&self) -> [AccountId; 2] {
        self.keys.each_ref().map(SecretKey::account)
    }

    /// A signer that knows the height of the chain.
    fn signer(&self, side: usize, consent: Consent) -> Signer {
        let dev = self.dev.clone();
        let height = move || Height(dev.service().chain().view().top_height().0);
        Signer::new(self.keys[side].clone()).consent(consent).heights(height)
    }

    async fn open(&self, signers: [Signer; 2]) -> [Party; 2] {
        let url = self.dev.channel_url();
        let [ours, theirs] = signers;
        let (initiator, responder) = (self.params(Role::Initiator), self.params(Role::Responder));
        tokio::try_join!(Party::open(&url, &initiator, ours), Party::open(&url, &responder, theirs))
            .unwrap()
            .into()
    }

    async fn open_consenting(&self) -> [Party; 2] {
        self.open([self.signer(0, Consent::anything()), self.signer(1, Consent::anything())]).await
    }
}

fn meter() -> Program {
    Program::from_text(include_str!("../../examples/meter/meter.bytecode")).unwrap()
}

fn tictactoe() -> Program {
    Program::from_text(include_str!("../../examples/tictactoe/tictactoe.bytecode")).unwrap()
}

/// One proposes while the other serves.
async fn with(
    proposing: impl Future<Output = Result<Outcome, ClientError>>,
    other: &mut Party,
) -> Result<Outcome, ClientError> {
    tokio::select! {
        outcome = proposing => outcome,
        ended = other.serve() => panic!("the channel ended: {ended:?}"),
    }
}

/// A meter whose customer is Alice: 10 coins a unit, 5 units at most.
async fn new_meter(alice: &mut Party, bob: &mut Party) -> ContractId {
    let terms = [10_u64, 5, 5].map(|number| value(&number));
    let [price, limit, step] = terms;
    let parties = [value(&alice.account()), value(&bob.account())];
    let [customer, provider] = parties;
    let anchor = value(&[1_u8; 32]);
    let init = meter().call("init", &[customer, provider, price, limit, step, anchor]).unwrap();
    let outcome = with(alice.new_contract(&meter(), &init, Coins(0), &["a meter"]), bob).await.unwrap();
    outcome.contract_of(alice.account()).unwrap()
}

async fn deposit(alice: &mut Party, bob: &mut Party, contract: ContractId, amount: u128) -> Called {
    let call = meter().call("deposit", &[]).unwrap();
    let outcome = with(alice.call_contract(contract, &call, Coins(amount), &[]), bob).await.unwrap();
    assert!(outcome.round().is_some(), "{outcome:?}");
    alice.book().unwrap().called(contract, alice.account()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_is_made_called_looked_at_and_its_calls_forgotten() {
    let bench = Bench::start().await;
    let [mut alice, mut bob] = bench.open_consenting().await;
    let me = alice.account();
    let contract = new_meter(&mut alice, &mut bob).await;

    let state = alice.contract(contract).await.unwrap();
    assert_eq!((state.id, state.owner, state.vm, state.abi, state.deposit), (contract, me, 8, 3, Coins(0)));
    assert!(!state.store.is_empty());

    let call = meter().call("deposit", &[]).unwrap();
    let dry = alice.dry_run(contract, &call, Coins(30)).await.unwrap();
    let called = deposit(&mut alice, &mut bob, contract, 30).await;
    assert_eq!(called.returned::<Coins>(), Ok(Coins(30)));
    assert_eq!(dry, called);
    assert_eq!(called.round, Round(3));
    assert_eq!(alice.contract_call(contract, me, Round(3)).await.unwrap(), called);
    assert_eq!(alice.book().unwrap().contract_balance(contract), Coins(30));
    assert_eq!(alice.book().unwrap().balance(me), Coins(AMOUNT.0 - 30));

    // A call that the contract takes back makes a round all the same.
    let called = deposit(&mut alice, &mut bob, contract, 21).await;
    assert_eq!(called.ended, Ended::Reverted(Value::string("MORE_THAN_THE_LIMIT_COSTS")));
    assert_eq!(alice.book().unwrap().contract_balance(contract), Coins(30));
    assert_eq!(alice.book().unwrap().round(), Round(4));

    // The store is no part of what is forgotten.
    alice.clean_contract_calls().await.unwrap();
    let forgotten = alice.contract_call(contract, me, Round(3)).await;
    assert!(matches!(forgotten, Err(ClientError::Rejected(why)) if why.has(1004)));
    assert_eq!(alice.contract(contract).await.unwrap().owner, me);
    let nobody = alice.contract(ContractId([9; 32])).await;
    assert!(matches!(nobody, Err(ClientError::Rejected(why)) if why.has(100)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_says_why() {
    let bench = Bench::start().await;
    let [mut alice, mut bob] = bench.open_consenting().await;
    let contract = new_meter(&mut alice, &mut bob).await;
    let code = |refused: Result<Outcome, ClientError>, code| match refused {
        Err(ClientError::Rejected(why)) => assert!(why.has(code), "{why}"),
        other => panic!("{other:?}"),
    };
    let init = strait_client::Calldata::call("init", &[]).unwrap();
    code(alice.new_contract(&meter(), &init, Coins(0), &[]).await, 1007);
    let call = meter().call("deposit", &[]).unwrap();
    code(alice.call_contract(contract, &call, AMOUNT, &[]).await, 1001);
    let dry = alice.dry_run(contract, &call, AMOUNT).await;
    assert!(matches!(dry, Err(ClientError::Rejected(why)) if why.has(1001)));
    assert_eq!(alice.book().unwrap().round(), Round(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_was_not_agreed_on_is_declined_and_the_channel_goes_on() {
    let bench = Bench::start().await;
    let [mut alice, mut bob] =
        bench.open([bench.signer(0, Consent::none()), bench.signer(1, Consent::none())]).await;
    let game = tictactoe();
    let arguments = [value(&alice.account()), value(&bob.account()), value(&1_u64), value(&1_u64)];
    let init = game.call("init", &arguments).unwrap();
    let outcome = with(alice.new_contract(&game, &init, Coins(0), &[]), &mut bob).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict { code: NOT_AGREED, .. }), "{outcome:?}");
    assert!(matches!(bob.last_objection(), Some(Objection::NoConsent(_))), "{:?}", bob.last_objection());

    bob.set_consent(Consent::none().to(&game, "init", Coins(0)));
    let outcome = with(alice.new_contract(&game, &init, Coins(0), &[]), &mut bob).await.unwrap();
    assert_eq!(outcome.round(), Some(Round(2)));
    let contract = outcome.contract_of(alice.account()).unwrap();
    let join = game.call("join", &[]).unwrap();
    let outcome = with(alice.call_contract(contract, &join, Coins(1), &[]), &mut bob).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict { code: NOT_AGREED, .. }), "{outcome:?}");
    let outcome = with(alice.pay(Coins(5), &[]), &mut bob).await.unwrap();
    assert_eq!(outcome.round(), Some(Round(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_looks_at_the_height_is_run_at_the_height() {
    let bench = Bench::start().await;
    let blind = Signer::new(bench.keys[1].clone()).consent(Consent::anything());
    let [mut alice, mut bob] = bench.open([bench.signer(0, Consent::anything()), blind]).await;
    let game = tictactoe();
    let arguments = [value(&alice.account()), value(&bob.account()), value(&1_u64), value(&20_u64)];
    let init = game.call("init", &arguments).unwrap();
    let outcome = with(alice.new_contract(&game, &init, Coins(0), &[]), &mut bob).await.unwrap();
    let contract = outcome.contract_of(alice.account()).unwrap();
    let (join, play) = (game.call("join", &[]).unwrap(), game.call("play", &[value(&0_u64)]).unwrap());
    with(alice.call_contract(contract, &join, Coins(1), &[]), &mut bob).await.unwrap();
    with(bob.call_contract(contract, &join, Coins(1), &[]), &mut alice).await.unwrap();
    with(alice.call_contract(contract, &play, Coins(0), &[]), &mut bob).await.unwrap();

    // At height 0 there would be time enough until 20, and Bob knows no other height: what the others sign is not what he
    // comes to. The chain is higher by now.
    let hasty = game.call("claim", &[value(&20_u64)]).unwrap();
    let outcome = with(alice.call_contract(contract, &hasty, Coins(0), &[]), &mut bob).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict { code: 1, .. }), "{outcome:?}");
    let wrong = bob.last_objection();
    assert!(matches!(wrong, Some(Objection::Field { field: "state_hash", .. })), "{wrong:?}");

    // Far ahead, the same comes of it at any height.
    let patient = game.call("claim", &[value(&1_000_000_u64)]).unwrap();
    let outcome = with(alice.call_contract(contract, &patient, Coins(0), &[]), &mut bob).await.unwrap();
    assert!(outcome.round().is_some(), "{outcome:?}");
    let called = alice.book().unwrap().called(contract, alice.account()).unwrap();
    assert!(matches!(called.ended, Ended::Returned(_)), "{called:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_call_is_the_state_of_both_who_go_on_from_there() {
    let bench = Bench::start().await;
    // Bob agrees to a meter and a deposit. That Alice takes it back he has no say in.
    let consent = Consent::none().to(&meter(), "init", Coins(0)).to(&meter(), "deposit", Coins(30));
    let [mut alice, mut bob] =
        bench.open([bench.signer(0, Consent::anything()), bench.signer(1, consent)]).await;
    let contract = new_meter(&mut alice, &mut bob).await;
    deposit(&mut alice, &mut bob, contract, 30).await;

    let refund = meter().call("refund", &[]).unwrap();
    let outcome = with(alice.call_contract(contract, &refund, Coins(0), &[]), &mut bob).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict { code: NOT_AGREED, .. }), "{outcome:?}");

    let mut events = bob.events();
    let seen = async { while events.recv().await.unwrap().data["info"] != "consumed_forced_progress" {} };
    let force = alice.force_progress(contract, &refund, Coins(0), ForcedGas::default());
    let (outcome, served) = tokio::join!(force, bob.serve_until(seen));
    served.unwrap();
    let Outcome::OnChain(tx) = outcome.unwrap() else { panic!("not posted") };
    let Tx::ChannelForceProgress(forced) = tx.tx() else { panic!("{tx:?}") };
    assert_eq!(forced.round, Round(4));
    for party in [&alice, &bob] {
        let book = party.book().unwrap();
        assert_eq!((book.round(), book.state_hash()), (Round(4), forced.state_hash));
        assert_eq!(book.balance(alice.account()), AMOUNT);
        assert_eq!(book.contract_balance(contract), Coins(0));
        assert_eq!(book.called(contract, alice.account()).unwrap().returned(), Ok(Coins(30)));
    }

    let outcome = with(bob.pay(Coins(5), &[]), &mut alice).await.unwrap();
    assert_eq!(outcome.round(), Some(Round(5)));
    assert_eq!(bob.balances(&bench.accounts()).await.unwrap()[0].1, Coins(AMOUNT.0 + 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_after_a_forced_call_finds_it() {
    let bench = Bench::start().await;
    let [mut alice, mut bob] = bench.open_consenting().await;
    let contract = new_meter(&mut alice, &mut bob).await;
    deposit(&mut alice, &mut bob, contract, 30).await;
    let refund = meter().call("refund", &[]).unwrap();
    let force = alice.force_progress(contract, &refund, Coins(0), ForcedGas::default());
    let outcome = with(force, &mut bob).await.unwrap();
    assert!(matches!(outcome, Outcome::OnChain(_)), "{outcome:?}");
    let ids = alice.ids().unwrap();
    alice.disconnect().await.unwrap();

    let (url, params) = (bench.dev.channel_url(), bench.params(Role::Initiator));
    let alice = Party::reconnect(&url, &params, ids, bench.keys[0].clone()).await.unwrap();
    assert_eq!(alice.book().unwrap().round(), Round(4));
    assert!(matches!(alice.latest().unwrap().tx(), Tx::ChannelForceProgress(_)));
    assert_eq!(alice.book().unwrap().balance(alice.account()), AMOUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_forced_on_an_old_state_is_answered_with_the_latest() {
    let bench = Bench::start().await;
    let [mut alice, mut bob] = bench.open_consenting().await;
    let contract = new_meter(&mut alice, &mut bob).await;
    let old = alice.latest().unwrap().clone();
    let old_trees = alice.offchain_state().await.unwrap().trees;
    deposit(&mut alice, &mut bob, contract, 30).await;
    with(bob.pay(Coins(7), &[]), &mut alice).await.unwrap();

    // Bob forces the end of a meter into which nothing was paid yet, and has not paid either.
    let finish = meter().call("finish", &[value(&[0_u8; 32]), value(&0_u64)]).unwrap();
    let update = Update::CallContract {
        caller: bob.account(),
        contract,
        abi_version: 3,
        amount: Coins(0),
        gas: OFFCHAIN_GAS,
        gas_price: 1_000_000_000,
        call_data: finish.bytes().to_vec(),
        call_stack: Vec::new(),
    };
    let view = bench.dev.service().chain().view();
    let env = OffchainEnv { reserve: Coins(10), round: Round(3), protocol: view.protocol() };
    let pinned = view.pinned(None).unwrap();
    let forced = apply_updates_at(&old_trees, std::slice::from_ref(&update), &env, &pinned).unwrap();
    let tx = Tx::from(ForceProgressTx {
        channel_id: alice.channel().unwrap(),
        from_id: bob.account(),
        payload: Payload(old.encode()),
        round: Round(3),
        update,
        state_hash: forced.state_hash(),
        offchain_trees: TreesBytes(old_trees.encode()),
        ttl: Height(0),
        fee: Coins(0),
        nonce: view.next_nonce(bob.account()),
    });
    let tx = SignedTx::unsigned(choose_fee(tx, None, None, view.protocol()).unwrap());
    let signature = bench.keys[1].sign(view.network(), tx.unsigned_bytes(), SignedForm::Hash);

    let mut events = alice.events();
    let answered = async { while events.recv().await.unwrap().data["type"] != "channel_snapshot_solo_tx" {} };
    let submit = bench.dev.service().chain().submit(tx.with_signature(signature));
    let (submitted, served) = tokio::join!(submit, alice.serve_until(answered));
    submitted.unwrap();
    served.unwrap();
    let channel = bench.dev.service().chain().view().channel(alice.channel().unwrap()).unwrap();
    assert_eq!((channel.round, channel.solo_round), (Round(4), Round(0)));
    assert_eq!(channel.state_hash, alice.book().unwrap().state_hash());
    assert_eq!(alice.book().unwrap().round(), Round(4));
}

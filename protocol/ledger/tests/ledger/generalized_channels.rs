//! Channels of generalized accounts: every transaction authenticated by either party or both, and states off chain
//! (`docs/protocol/signing` §3, `docs/protocol/channel_txs` §2).

use strait_encoding::hash::blake2b_of;
use strait_encoding::{ChannelId, Coins, Height, Nonce, Round, StateHash};
use strait_ledger::{
    ChannelObject, ContractBytes, FrozenAuth, OffchainTx, Parties, Payload, RuleError, SetDelegatesTx,
    SignedTx, SnapshotSoloTx, Tx, auth_tx_hash, authenticate_offchain, authenticate_onchain,
};

use crate::machine::{
    AUTH, Do, GAS_PRICE, World, auth, auth_fun, by, call_data, co_signed, contract_of, counters, unsigned,
};
use crate::support::{
    FEE, account, balances, close_mutual, close_solo, create, deposit, network, proof, settle, slash,
    withdraw,
};

/// The parties that are generalized.
const CASES: [&[u8]; 4] = [&[], &[1], &[2], &[1, 2]];

/// A world with a channel in it, and authentications that are all different.
#[derive(Clone)]
struct Life {
    world: World,
    generalized: &'static [u8],
    id: ChannelId,
    used: u8,
}

impl Life {
    /// A channel with enough in it to pay the fee of its end.
    fn new(generalized: &'static [u8]) -> Self {
        let world = World::generalized(generalized);
        let mut life = Self { world, generalized, id: ChannelId([0; 32]), used: 0 };
        let mut tx = create(life.nonce(1));
        tx.initiator_amount = Coins(100 + FEE.0);
        let tx = life.both(tx);
        life.id = tx.channel_id().unwrap();
        life.world.take(&tx).unwrap();
        life
    }

    fn is_generalized(&self, number: u8) -> bool {
        self.generalized.contains(&number)
    }

    fn nonce(&self, number: u8) -> u64 {
        if self.is_generalized(number) { 0 } else { self.world.account(number).nonce.0 + 1 }
    }

    /// `tx` authenticated by these parties as they do.
    fn by(&mut self, parties: &[u8], tx: impl Into<Tx>) -> SignedTx {
        let mut tx = SignedTx::unsigned(tx);
        for party in parties.iter().filter(|party| self.generalized.contains(party)) {
            self.used += 1;
            tx = by(*party, auth(Do::Yes, &[self.used]), tx);
        }
        let basic: Vec<_> = parties.iter().copied().filter(|party| !self.is_generalized(*party)).collect();
        co_signed(tx, &basic)
    }

    fn both(&mut self, tx: impl Into<Tx>) -> SignedTx {
        self.by(&[1, 2], tx)
    }

    fn agreed(&mut self, round: u64, state_hash: StateHash) -> Payload {
        let tx = OffchainTx { channel_id: self.id, round: Round(round), state_hash };
        Payload(self.both(tx).encode())
    }

    fn channel(&self) -> Option<ChannelObject> {
        self.world.state.trees.channel(self.id)
    }

    /// Takes a transaction and expects that it had its effect.
    fn take(&mut self, tx: &SignedTx) {
        let before = self.channel();
        self.world.take(tx).unwrap();
        assert_ne!(self.channel(), before, "{:?}: {:?}", tx.innermost().kind(), self.world.calls());
    }
}

#[test]
fn the_id_and_the_authentication_of_a_channel_follow_from_how_it_was_created() {
    for generalized in CASES {
        let life = Life::new(generalized);
        let channel = life.channel().unwrap();
        let frozen = |number| match life.is_generalized(number) {
            true => FrozenAuth::Generalized { auth_fun: auth_fun().0, contract: contract_of(number) },
            false => FrozenAuth::Basic,
        };
        assert_eq!((channel.initiator_auth, channel.responder_auth), (frozen(1), frozen(2)));
        // docs/protocol/channel_txs §2.
        let initiator_nonce = match life.is_generalized(1) {
            true => blake2b_of(&[&account(1).0, &call_data(AUTH, Do::Yes, &[1])]).to_vec(),
            false => [vec![0; 31], vec![1]].concat(),
        };
        let id = blake2b_of(&[&account(1).0, &initiator_nonce, &account(2).0]);
        assert_eq!(life.id, ChannelId(id));
        // docs/protocol/signing §3.3: the copy stands under the hash of channel and account.
        let copies: Vec<_> =
            generalized.iter().map(|number| blake2b_of(&[&life.id.0, &account(*number).0])).collect();
        for copy in &copies {
            assert!(life.world.state.trees.has_store(copy));
            assert_eq!(counters(&life.world.state.trees)[&copy.to_vec()], 1);
        }
        assert_eq!(counters(&life.world.state.trees).len(), 2 * generalized.len());
        let nonces = [1, 2].map(|number| life.world.account(number).nonce.0);
        // Who attached has used one nonce; a basic initiator another one.
        let expected = [1, u64::from(life.is_generalized(2))];
        assert_eq!(nonces, expected);
    }
}

#[test]
fn every_transaction_of_a_channel_is_authenticated_by_any_kind_of_party() {
    for generalized in CASES {
        let mut life = Life::new(generalized);
        let id = life.id;
        for party in [1, 2] {
            let round = life.channel().unwrap().round.0;
            let tx = deposit(id, party, 30, round + 1, life.nonce(party));
            let tx = life.both(tx);
            life.take(&tx);
            let tx = withdraw(id, party, 10, round + 2, life.nonce(party));
            let tx = life.both(tx);
            life.take(&tx);
            let payload = life.agreed(round + 3, balances(80, 70).state_hash());
            let snapshot = SnapshotSoloTx {
                channel_id: id,
                from_id: account(party),
                payload,
                ttl: Height(0),
                fee: FEE,
                nonce: Nonce(life.nonce(party)),
            };
            let tx = life.by(&[party], snapshot);
            life.take(&tx);
            let channel = life.channel().unwrap();
            let delegates = SetDelegatesTx {
                channel_id: id,
                from_id: account(party),
                initiator_delegate_ids: vec![account(5); usize::from(party)],
                responder_delegate_ids: Vec::new(),
                payload: Payload::default(),
                state_hash: channel.state_hash,
                round: channel.round,
                ttl: Height(0),
                fee: FEE,
                nonce: Nonce(life.nonce(party)),
            };
            let tx = life.both(delegates);
            life.take(&tx);
        }
        closes(life.clone(), [1, 2]);
        closes(life.clone(), [2, 1]);
        for party in [1, 2] {
            let mut life = life.clone();
            let tx = close_mutual(id, party, (60, 50), life.nonce(party));
            let tx = life.both(tx);
            life.take(&tx);
            assert_eq!(life.channel(), None);
        }
    }
}

/// One party closes alone, the other slashes and settles.
fn closes(mut life: Life, [closer, other]: [u8; 2]) {
    let id = life.id;
    let tx = strait_ledger::CloseSoloTx {
        payload: life.agreed(10, balances(100, 50).state_hash()),
        ..close_solo(id, closer, life.nonce(closer))
    };
    let tx = life.by(&[closer], tx);
    life.take(&tx);
    let trees = balances(80, 70);
    let tx = strait_ledger::SlashTx {
        payload: life.agreed(11, trees.state_hash()),
        poi: proof(&trees),
        ..slash(id, other, 11, life.nonce(other))
    };
    let tx = life.by(&[other], tx);
    life.take(&tx);
    assert_eq!(life.channel().unwrap().round, Round(11));
    life.world.height += 5;
    let tx = settle(id, other, (80, 70), life.nonce(other));
    let tx = life.by(&[other], tx);
    life.take(&tx);
    assert_eq!(life.channel(), None);
}

#[test]
fn what_one_party_does_alone_sets_the_nonce_of_a_generalized_account_to_zero() {
    let mut life = Life::new(&[1]);
    assert_eq!(life.world.account(1).nonce, Nonce(1));
    let tx = close_solo(life.id, 1, 0);
    let mut trees = balances(100 + FEE.0, 50);
    let channel = ChannelObject { state_hash: trees.state_hash(), ..life.channel().unwrap() };
    life.world.state.trees.set_channel(life.id, &channel);
    trees.calls = strait_tree::Tree::new();
    let tx = strait_ledger::CloseSoloTx { poi: proof(&trees), ..tx };
    let tx = life.by(&[1], tx);
    life.take(&tx);
    assert_eq!(life.world.account(1).nonce, Nonce(0));
}

#[test]
fn a_co_signer_that_is_generalized_must_use_its_contract() {
    let mut life = Life::new(&[2]);
    let nonce = life.nonce(1);
    let tx = co_signed(unsigned(deposit(life.id, 1, 30, 2, nonce)), &[1, 2]);
    assert_eq!(life.world.shows(&tx), "ga_using_signature_not_allowed");
    // The other way round: a meta transaction of a basic account.
    let tx = by(1, auth(Do::Yes, &[]), co_signed(unsigned(deposit(life.id, 1, 30, 2, nonce)), &[2]));
    assert_eq!(life.world.shows(&tx), "not_a_generalized_account");
    // Half authenticated: the meta transaction stays, the deposit does not happen.
    let before = life.channel();
    let tx = by(2, auth(Do::Yes, &[7]), unsigned(deposit(life.id, 1, 30, 2, nonce)));
    life.world.take(&tx).unwrap();
    assert_eq!(life.channel(), before);
}

/// What an authentication off chain comes to.
fn shows(life: &Life, tx: &SignedTx, signers: &[u8]) -> &'static str {
    let network = network();
    let object = life.channel().unwrap();
    let parties = Parties { id: life.id, object: &object };
    let signers: Vec<_> = signers.iter().map(|number| account(*number)).collect();
    let trees = &life.world.state.trees;
    match authenticate_offchain(tx, parties, &signers, trees, &life.world.env(&network)) {
        Ok(evidence) => {
            assert_eq!(evidence.signers(), signers);
            "ok"
        }
        Err(error) => error.atom(),
    }
}

fn state(life: &Life) -> SignedTx {
    SignedTx::unsigned(OffchainTx { channel_id: life.id, round: Round(2), state_hash: StateHash([7; 32]) })
}

#[test]
fn states_are_authenticated_in_parts_and_in_full() {
    for generalized in CASES {
        let mut life = Life::new(generalized);
        let tx = state(&life).tx().clone();
        for party in [1, 2] {
            let half = life.by(&[party], tx.clone());
            assert_eq!(half.authentications(), 1);
            assert_eq!(shows(&life, &half, &[party]), "ok");
            assert_ne!(shows(&life, &half, &[1, 2]), "ok");
            assert_ne!(shows(&life, &half, &[3 - party]), "ok");
        }
        // The order of meta transactions is free.
        for order in [[1, 2], [2, 1]] {
            let full = life.by(&order, tx.clone());
            assert_eq!(full.authentications(), 2);
            assert_eq!(shows(&life, &full, &[1, 2]), "ok");
            assert_ne!(shows(&life, &full, &[1]), "ok", "more than was expected");
            let read = SignedTx::decode(&full.encode()).unwrap();
            assert_eq!((read.clone(), read.channel_id()), (full, Some(life.id)));
        }
    }
}

#[test]
fn who_authenticates_a_state_otherwise_than_at_the_beginning_is_refused() {
    let life = Life::new(&[1]);
    let tx = state(&life);
    let full = |auth: ContractBytes| co_signed(by(1, auth, tx.clone()), &[2]);
    assert_eq!(shows(&life, &full(auth(Do::Yes, &[])), &[1, 2]), "ok");
    let refused = |script| shows(&life, &full(auth(script, &[])), &[1, 2]);
    assert_eq!(refused(Do::No), "signature_verification_failed_authenticate_false");
    assert_eq!(refused(Do::Number), "signature_verification_failed_authenticate_false");
    assert_eq!(refused(Do::Fail), "signature_verification_failed_contract_error");
    assert_eq!(refused(Do::TakeBack), "signature_verification_failed_contract_error");
    let other = ContractBytes(call_data([9; 4], Do::Yes, &[]));
    assert_eq!(shows(&life, &full(other), &[1, 2]), "wrong_auth_function");
    assert_eq!(shows(&life, &full(ContractBytes(Vec::new())), &[1, 2]), "bad_auth_data");
    let signed = co_signed(tx.clone(), &[1, 2]);
    assert_eq!(shows(&life, &signed, &[1, 2]), "ga_using_signature_not_allowed");
    let meta_of_basic = by(2, auth(Do::Yes, &[]), full(auth(Do::Yes, &[])));
    assert_eq!(shows(&life, &meta_of_basic, &[1, 2]), "meta_tx_for_basic_account");
    let stranger = by(3, auth(Do::Yes, &[]), full(auth(Do::Yes, &[])));
    assert_eq!(shows(&life, &stranger, &[1, 2]), "id_is_not_a_participant");
    let unsigned = by(1, auth(Do::Yes, &[]), tx.clone());
    assert_eq!(shows(&life, &unsigned, &[1, 2]), "signature_check_failed");

    let mut without = life.clone();
    without.world.state.trees.contracts.remove(&contract_of(1).0);
    assert_eq!(
        shows(&without, &full(auth(Do::Yes, &[])), &[1, 2]),
        "signature_verification_failed_no_contract"
    );
    let mut without = life.clone();
    let copy = [&blake2b_of(&[&life.id.0, &account(1).0])[..], &[0x10]].concat();
    without.world.state.trees.contracts.remove(&copy);
    assert_eq!(shows(&without, &full(auth(Do::Yes, &[])), &[1, 2]), "signature_verification_failed_no_state");
}

#[test]
fn states_are_authenticated_with_the_store_of_the_beginning() {
    let mut life = Life::new(&[1]);
    let on_chain =
        |count| by(1, auth(Do::Count, &[count]), SignedTx::unsigned(crate::support::spend(1, 9, 1, 0)));
    life.world.take(&on_chain(1)).unwrap();
    life.world.take(&on_chain(2)).unwrap();
    assert_eq!(counters(&life.world.state.trees)[&contract_of(1).0.to_vec()], 3);
    let off_chain = |count| co_signed(by(1, auth(Do::Count, &[count]), state(&life)), &[2]);
    // The copy still counts 1, and is not changed by being asked.
    assert_eq!(shows(&life, &off_chain(3), &[1, 2]), "signature_verification_failed_authenticate_false");
    assert_eq!(shows(&life, &off_chain(1), &[1, 2]), "ok");
    assert_eq!(shows(&life, &off_chain(1), &[1, 2]), "ok");

    // A basic account that became generalized later goes on signing.
    let mut life = Life::new(&[]);
    let tx = co_signed(state(&life), &[1, 2]);
    life.world.take(&crate::support::signed(crate::machine::attach(2, Do::Yes), &[2])).unwrap();
    assert_eq!(shows(&life, &tx, &[1, 2]), "ok");
    let meta = co_signed(by(2, auth(Do::Yes, &[]), state(&life)), &[1]);
    assert_eq!(shows(&life, &meta, &[1, 2]), "meta_tx_for_basic_account");
}

#[test]
fn off_chain_both_contracts_see_the_innermost_transaction() {
    let life = Life::new(&[1, 2]);
    let tx = state(&life);
    let prices = (Coins(200_000_000_000_000), GAS_PRICE);
    let hash = auth_tx_hash(&network(), life.world.protocol, prices, tx.tx());
    let full = by(2, auth(Do::Match, &hash), by(1, auth(Do::Match, &hash), tx.clone()));
    assert_eq!(shows(&life, &full, &[1, 2]), "ok");
    // On chain the outer one sees the inner meta transaction.
    let mut life = Life::new(&[1, 2]);
    let tx = unsigned(deposit(life.id, 1, 30, 2, 0));
    let first = by(1, auth(Do::Match, &auth_tx_hash(&network(), life.world.protocol, prices, tx.tx())), tx);
    let outer = auth_tx_hash(&network(), life.world.protocol, prices, first.tx());
    let full = by(2, auth(Do::Match, &outer), first);
    let trees = &life.world.state.trees;
    let both = [account(1), account(2)];
    let network = network();
    authenticate_onchain(&full, &both, trees, &life.world.env(&network)).unwrap();
    life.take(&full);
}

#[test]
fn transactions_for_the_chain_are_authenticated_as_accounts_are_now() {
    let life = Life::new(&[2]);
    let network = network();
    let env = life.world.env(&network);
    let check = |tx: &SignedTx, signers: &[u8]| {
        let signers: Vec<_> = signers.iter().map(|number| account(*number)).collect();
        authenticate_onchain(tx, &signers, &life.world.state.trees, &env).map(|evidence| {
            assert_eq!(evidence.signers(), signers);
        })
    };
    let tx = unsigned(deposit(life.id, 1, 30, 2, 2));
    let half = co_signed(tx.clone(), &[1]);
    assert_eq!(check(&half, &[1]), Ok(()));
    let full = by(2, auth(Do::Yes, &[]), half);
    assert_eq!(check(&full, &[1, 2]), Ok(()));
    assert_eq!(check(&full, &[1]), Err(RuleError::NotRelevant { account: account(2) }));
    let refused = check(&by(2, auth(Do::No, &[]), tx.clone()), &[2]);
    assert_eq!(refused, Err(RuleError::AuthRefused));
    let signed = check(&co_signed(tx.clone(), &[1, 2]), &[1, 2]);
    assert_eq!(signed, Err(RuleError::GeneralizedSigned { account: account(2) }));
    let meta = check(&by(1, auth(Do::Yes, &[]), tx.clone()), &[1]);
    assert_eq!(meta, Err(RuleError::MetaOfBasic { account: account(1) }));
    let env = strait_ledger::rules::BlockEnv { machine: None, ..env };
    let without = authenticate_onchain(&full, &[account(1), account(2)], &life.world.state.trees, &env);
    assert!(matches!(without, Err(RuleError::Unsupported { .. })));
}

#[test]
fn the_transactions_of_a_recorded_session_are_read() {
    let session: serde_json::Value =
        serde_json::from_str(include_str!("../vectors/generalized_session.json")).unwrap();
    let text = |name: &str| session[name].as_str().unwrap();
    let (initiator, responder) = (
        text("initiator_id").parse().unwrap(),
        text("responder_id").parse::<strait_encoding::AccountId>().unwrap(),
    );
    let channel: ChannelId = text("channel_id").parse().unwrap();
    let network = strait_encoding::NetworkId(text("network_id").to_owned());
    let (mut metas, mut full) = (0, 0);
    for tx in session["txs"].as_array().unwrap() {
        let tx = tx.as_str().unwrap();
        let bytes = strait_encoding::text::decode(strait_encoding::Prefix::Transaction, tx).unwrap();
        let signed = SignedTx::decode(&bytes).unwrap();
        assert_eq!(signed.to_text(), tx);
        assert!(signed.metas().all(|meta| meta.ga_id == initiator));
        let innermost = signed.innermost();
        match innermost.tx() {
            // Its id follows from the authentication, so it has none without one.
            Tx::ChannelCreate(_) if signed.metas().next().is_none() => {}
            _ => assert_eq!(signed.channel_id(), Some(channel)),
        }
        metas += signed.metas().count();
        // The responder signs the innermost transaction.
        if !innermost.signatures().is_empty() {
            innermost.verify(&network, &[responder]).unwrap();
            full += usize::from(signed.authentications() == 2);
        }
    }
    assert!(metas >= 8 && full >= 4, "{metas} meta transactions, {full} by both");
}

/// The nonce of a generalized account is used by nothing, and the id of the channel comes from its authentication: what a
/// responder signed once is good for as many channels as the initiator likes, each with other authentication data.
#[test]
fn one_signature_of_a_responder_is_good_for_many_channels_of_a_generalized_initiator() {
    let mut world = World::generalized(&[1]);
    let before = world.account(2).balance.0;
    let signed = co_signed(unsigned(create(0)), &[2]);
    let mut ids = Vec::new();
    for data in [1, 2, 3] {
        let tx = by(1, auth(Do::Yes, &[data]), signed.clone());
        world.take(&tx).unwrap();
        ids.extend(tx.channel_id().filter(|id| world.state.trees.channel(*id).is_some()));
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(before - world.account(2).balance.0, 3 * create(0).responder_amount.0);
}

//! What is signed of forced calls, and what is not.

use strait_encoding::{Height, NetworkId};
use strait_ledger::{OFFCHAIN_GAS, OffchainTx, TreesBytes};

use super::*;
use crate::{Calldata, Program, Terms, value};

const ALICE: AccountId = AccountId([1; 32]);
const BOB: AccountId = AccountId([2; 32]);
const CHANNEL: ChannelId = ChannelId([3; 32]);
const PRICE: u128 = 2_000_000_000;

fn runner() -> Runner {
    Runner::new(NetworkId("ae_dev".to_owned()))
}

fn applied(trees: &Trees, update: Update, round: u64) -> Trees {
    let env = OffchainEnv { reserve: Coins(1), round: Round(round), protocol: Protocol::Ceres };
    runner().apply(trees, &[update], &env, |_| true).unwrap()
}

fn agreed(round: u64, trees: &Trees) -> SignedTx {
    SignedTx::unsigned(OffchainTx {
        channel_id: CHANNEL,
        round: Round(round),
        state_hash: trees.state_hash(),
    })
}

fn call(contract: ContractId, function: &str, amount: u128, gas_price: u128) -> Update {
    Update::CallContract {
        caller: ALICE,
        contract,
        abi_version: 3,
        amount: Coins(amount),
        gas: OFFCHAIN_GAS,
        gas_price,
        call_data: Calldata::call(function, &[]).unwrap().bytes().to_vec(),
        call_stack: Vec::new(),
    }
}

/// A channel in which Alice has paid 30 into a meter, and may force the refund.
struct Forced {
    book: Book,
    older: Trees,
    asked: Update,
    tx: ForceProgressTx,
}

impl Forced {
    fn new() -> Self {
        let meter = Program::from_text(include_str!("../../../examples/meter/meter.bytecode")).unwrap();
        let terms = [10_u64, 5, 5].map(|number| value(&number));
        let [price, limit, step] = terms;
        let init = meter
            .call("init", &[value(&ALICE), value(&BOB), price, limit, step, value(&[1_u8; 32])])
            .unwrap();
        let new = Update::NewContract {
            owner: ALICE,
            ct_version: meter.version().pack(),
            code: meter.bytes().to_vec(),
            deposit: Coins(0),
            call_data: init.bytes().to_vec(),
        };
        let older = applied(&initial_trees(ALICE, BOB, Coins(1_000), Coins(1_000)), new, 2);
        let contract = strait_encoding::hash::contract_id(ALICE, 2);
        let trees = applied(&older, call(contract, "deposit", 30, 1), 3);
        let asked = call(contract, "refund", 0, PRICE);
        let next = applied(&trees, asked.clone(), 4);
        let tx = ForceProgressTx {
            channel_id: CHANNEL,
            from_id: ALICE,
            payload: Payload(agreed(3, &trees).encode()),
            round: Round(4),
            update: asked.clone(),
            state_hash: next.state_hash(),
            offchain_trees: TreesBytes(trees.encode()),
            ttl: Height(0),
            fee: Coins(1_000_000_000_000_000),
            nonce: Nonce(5),
        };
        Self { book: book(3, trees), older, asked, tx }
    }

    fn review(&self, tx: ForceProgressTx) -> Result<Review, Objection> {
        let proposal = Proposal::Force(self.asked.clone());
        self.book.review(Ask::Solo, &Tx::from(tx), &[], Some(&proposal))
    }

    /// The field that is objected to in the transaction with a change.
    fn field(&self, change: impl FnOnce(&mut ForceProgressTx)) -> &'static str {
        let mut tx = self.tx.clone();
        change(&mut tx);
        match self.review(tx).err().expect("it is signed") {
            Objection::Field { field, .. } => field,
            other => panic!("{other}"),
        }
    }
}

fn book(round: u64, trees: Trees) -> Book {
    let terms = Terms {
        initiator_amount: Coins(1_000),
        responder_amount: Coins(1_000),
        push_amount: Coins(0),
        channel_reserve: Coins(1),
        lock_period: 5,
    };
    let params = OpenParams::new(Role::Initiator, 3_114, Some(ALICE), BOB, terms);
    let latest = agreed(round, &trees);
    Book::restore(CHANNEL, latest.tx(), trees, &params, ALICE, (Protocol::Ceres, runner())).unwrap()
}

#[test]
fn a_forced_call_that_was_asked_for_is_signed() {
    let forced = Forced::new();
    let Ok(review) = forced.review(forced.tx.clone()) else { panic!("nothing is wrong with it") };
    assert_eq!(review.round, Round(4));
    assert_eq!(review.trees.account(ALICE).unwrap().balance, Coins(1_000));
    // What the chain knows need not be shown to it.
    assert!(forced.review(ForceProgressTx { payload: Payload(Vec::new()), ..forced.tx.clone() }).is_ok());
}

#[test]
fn a_forced_call_with_anything_else_in_it_is_not() {
    let forced = Forced::new();
    let older = &forced.older;
    assert_eq!(forced.field(|tx| tx.channel_id = ChannelId([9; 32])), "channel_id");
    assert_eq!(forced.field(|tx| tx.from_id = BOB), "from_id");
    assert_eq!(forced.field(|tx| tx.round = Round(5)), "round");
    assert_eq!(forced.field(|tx| tx.state_hash = StateHash([9; 32])), "state_hash");
    assert_eq!(forced.field(|tx| tx.payload = Payload(agreed(2, older).encode())), "round");
    assert_eq!(forced.field(|tx| tx.payload = Payload(agreed(3, older).encode())), "state_hash");
    let shown = TreesBytes(older.encode());
    assert_eq!(forced.field(|tx| tx.offchain_trees = shown), "the hash of offchain_trees");
    let dearer = |tx: &mut ForceProgressTx| {
        if let Update::CallContract { gas_price, .. } = &mut tx.update {
            *gas_price += 1;
        }
    };
    assert_eq!(forced.field(dearer), "gas_price");

    let mut more = forced.tx.clone();
    if let Update::CallContract { gas, .. } = &mut more.update {
        *gas += 1;
    }
    assert_eq!(forced.review(more).err(), Some(Objection::OtherUpdates));
    let fee = ForceProgressTx { fee: Coins(u128::MAX), ..forced.tx.clone() };
    assert!(matches!(forced.review(fee).err(), Some(Objection::Fee { .. })));
    let no_trees = ForceProgressTx { offchain_trees: TreesBytes(vec![0xc0]), ..forced.tx.clone() };
    assert!(matches!(forced.review(no_trees).err(), Some(Objection::Trees(_))));
}

#[test]
fn a_forced_call_that_nobody_asked_for_is_not_signed() {
    let Forced { book, tx, .. } = Forced::new();
    let close = Proposal::Solo(TxKind::ChannelForceProgress);
    for proposal in [None, Some(&close), Some(&Proposal::Shutdown)] {
        let refused = book.review(Ask::Solo, &Tx::from(tx.clone()), &[], proposal).err();
        assert_eq!(refused, Some(Objection::Unasked(Ask::Solo)));
    }
}

#[test]
fn what_a_peer_forced_must_be_the_next_round_too() {
    let forced = Forced::new();
    assert!(forced.book.review_forced(&forced.tx).is_ok());
    let stranger = ForceProgressTx { from_id: BOB, ..forced.tx.clone() };
    let refused = forced.book.review_forced(&stranger).err();
    assert!(matches!(refused, Some(Objection::Field { field: "caller_id", .. })), "{refused:?}");
    let no_call = ForceProgressTx { update: Update::Meta { data: Vec::new() }, ..forced.tx };
    assert_eq!(forced.book.review_forced(&no_call).err(), Some(Objection::ForeignUpdates(Ask::Solo)));
}

//! Coins neither come nor go, whatever is sent.

use proptest::prelude::*;
use strait_encoding::{ChannelId, Coins};
use strait_ledger::rules::LOCKED_COINS;
use strait_ledger::{Account, Chain, ChainView, ChannelObject, SignedTx};

use crate::support::{
    FEE, RICH, account, agreed, balances, chain, close_mutual, close_solo, create, deposit, proof, settle,
    signed, slash, spend, withdraw,
};

/// Something that a careless or malicious user sends, between accounts 1 and 2 or their channel.
#[derive(Clone, Debug)]
enum Sent {
    Spend { from: u8, to: u8, amount: u64 },
    Create { initiator: u64, responder: u64 },
    Deposit { from: u8, amount: u64 },
    Withdraw { to: u8, amount: u64 },
    CloseMutual { from: u8, initiator: u64, responder: u64 },
    CloseSolo { from: u8 },
    CloseSoloAgreed { from: u8, initiator: u64, responder: u64 },
    Slash { from: u8 },
    Settle { from: u8 },
    KeyBlocks { count: u8 },
}

fn sent() -> impl Strategy<Value = Sent> {
    // Amounts around what a channel needs to pay a fee, and small ones.
    let amount = || prop_oneof![0..200u64, (FEE.0 as u64)..(5 * FEE.0 as u64)];
    let party = || 1..=2u8;
    prop_oneof![
        (1..=4u8, 1..=6u8, amount()).prop_map(|(from, to, amount)| Sent::Spend { from, to, amount }),
        (amount(), amount()).prop_map(|(initiator, responder)| Sent::Create { initiator, responder }),
        (party(), amount()).prop_map(|(from, amount)| Sent::Deposit { from, amount }),
        (party(), amount()).prop_map(|(to, amount)| Sent::Withdraw { to, amount }),
        (party(), amount(), amount()).prop_map(|(from, initiator, responder)| Sent::CloseMutual {
            from,
            initiator,
            responder
        }),
        party().prop_map(|from| Sent::CloseSolo { from }),
        (party(), 0..200u64, 0..200u64).prop_map(|(from, initiator, responder)| Sent::CloseSoloAgreed {
            from,
            initiator,
            responder
        }),
        (1..=4u8).prop_map(|from| Sent::Slash { from }),
        party().prop_map(|from| Sent::Settle { from }),
        (1..=6u8).prop_map(|count| Sent::KeyBlocks { count }),
    ]
}

/// The chain and the last channel that somebody tried to open.
struct World {
    chain: Chain,
    channel: ChannelId,
}

impl World {
    fn send(&mut self, sent: Sent) {
        let nonce = |number| self.chain.next_nonce(account(number)).0;
        let (id, object) = (self.channel, self.chain.channel(self.channel));
        let round = object.as_ref().map_or(1, |object: &ChannelObject| object.round.0) + 1;
        let tx: SignedTx = match sent {
            Sent::Spend { from, to, amount } => signed(spend(from, to, amount.into(), nonce(from)), &[from]),
            Sent::Create { initiator, responder } => {
                let mut tx = create(nonce(1));
                (tx.initiator_amount, tx.responder_amount) =
                    (Coins(initiator.into()), Coins(responder.into()));
                if object.is_none() {
                    self.channel = tx.channel_id();
                }
                signed(tx, &[1, 2])
            }
            Sent::Deposit { from, amount } => {
                signed(deposit(id, from, amount.into(), round, nonce(from)), &[1, 2])
            }
            Sent::Withdraw { to, amount } => {
                signed(withdraw(id, to, amount.into(), round, nonce(to)), &[1, 2])
            }
            Sent::CloseMutual { from, initiator, responder } => {
                let split = (initiator.into(), responder.into());
                signed(close_mutual(id, from, split, nonce(from)), &[1, 2])
            }
            Sent::CloseSolo { from } => signed(close_solo(id, from, nonce(from)), &[from]),
            Sent::CloseSoloAgreed { from, initiator, responder } => {
                let trees = balances(initiator.into(), responder.into());
                let mut tx = close_solo(id, from, nonce(from));
                (tx.payload, tx.poi) = (agreed(id, round, trees.state_hash()), proof(&trees));
                signed(tx, &[from])
            }
            Sent::Slash { from } => signed(slash(id, from, round, nonce(from)), &[from]),
            Sent::Settle { from } => {
                let split =
                    object.map_or((0, 0), |object| (object.initiator_amount.0, object.responder_amount.0));
                signed(settle(id, from, split, nonce(from)), &[from])
            }
            Sent::KeyBlocks { count } => {
                for _ in 0..count {
                    self.chain.mine_key_block(0);
                }
                return;
            }
        };
        // Much of it is refused, here or when a block is built.
        let _ = self.chain.submit(tx);
        self.chain.mine_micro_block(0);
    }

    fn coins(&self) -> u128 {
        let trees = self.chain.top_state();
        let accounts = trees.accounts.iter().map(|(_, bytes)| Account::decode(bytes).unwrap().balance.0);
        let channels =
            trees.channels.iter().map(|(_, bytes)| ChannelObject::decode(bytes).unwrap().channel_amount.0);
        accounts.chain(channels).sum::<u128>() + self.chain.fees_collected().0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn coins_are_conserved(all in prop::collection::vec(sent(), 1..40)) {
        let mut world = World { chain: chain(), channel: create(1).channel_id() };
        for sent in all {
            world.send(sent);
            prop_assert_eq!(world.coins(), 4 * RICH.0);
            let header = &world.chain.top().header;
            prop_assert_eq!(header.state_hash.0, world.chain.top_state().state_hash().0);
        }
    }
}

/// The random lives above must not all be refused: one life that touches every way in which coins move.
#[test]
fn coins_are_conserved_through_a_whole_life() {
    let mut world = World { chain: chain(), channel: create(1).channel_id() };
    let life = [
        Sent::Spend { from: 3, to: 6, amount: 100 },
        Sent::Create { initiator: 100, responder: 50 },
        Sent::Deposit { from: 2, amount: 1_000 },
        Sent::Withdraw { to: 1, amount: 500 },
        Sent::CloseSoloAgreed { from: 1, initiator: 100, responder: 50 },
        Sent::Slash { from: 2 },
        Sent::KeyBlocks { count: 5 },
        Sent::Settle { from: 2 },
    ];
    for sent in life {
        let before = world.chain.top().hash();
        let name = format!("{sent:?}");
        world.send(sent);
        assert_ne!(world.chain.top().hash(), before, "{name} is taken");
        assert_eq!(world.coins(), 4 * RICH.0, "{name}");
    }
    assert_eq!(world.chain.channel(world.channel), None);
    // 100 + 50 + 1000 - 500 came to 650; the slash proved 80 and 70.
    assert_eq!(world.chain.account(LOCKED_COINS).map(|locked| locked.balance), Some(Coins(500)));
    assert_eq!(world.chain.fees_collected(), Coins(7 * FEE.0));
}

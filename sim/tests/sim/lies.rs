//! How to lie: true messages with something changed, signed again by whoever sends them.

use strait_channel::{Message, Role};
use strait_encoding::{AccountId, ChannelId, Coins, Height, Nonce, Round, StateHash};
use strait_ledger::{CloseMutualTx, CreateTx, DepositTx, OffchainTx, SignedTx, Tx, WithdrawTx};
use strait_sim::{Ending, Signer, World};

use crate::support::{Case, told};

/// A stranger to the channel.
pub const NOBODY: AccountId = AccountId([9; 32]);

/// A world in which `liar` sends what the test wants, and nothing else.
pub fn with_liar(mut world: World, liar: Role) -> World {
    world.party_mut(liar).signer.enforcing = false;
    world.held = Some(liar);
    world
}

/// The last message of a side of this kind.
pub fn last(world: &World, from: Role, name: &str) -> Message {
    let found = world.wire.iter().rev().find(|sent| sent.from == from && sent.message.name() == name);
    found.unwrap_or_else(|| panic!("no {name} of the {from}: {}", world.describe())).message.clone()
}

/// The transaction in a message.
pub fn carried(message: &Message) -> SignedTx {
    let tx = message.tx().and_then(|tx| SignedTx::decode(tx).ok());
    tx.unwrap_or_else(|| panic!("{message:?} carries no transaction"))
}

/// `message` with its transaction changed and signed again by `signer`.
pub fn forged(message: &Message, signer: &Signer, change: impl FnOnce(&mut Tx)) -> Message {
    let mut tx = carried(message).tx().clone();
    change(&mut tx);
    with_tx(message, signer.add_to(&SignedTx::unsigned(tx)).encode())
}

/// `message` with other bytes for its transaction.
pub fn with_tx(message: &Message, bytes: Vec<u8>) -> Message {
    let mut message = message.clone();
    match &mut message {
        Message::ChannelReestablish { tx, .. }
        | Message::ChannelReestAck { tx, .. }
        | Message::FundingCreated { tx, .. }
        | Message::FundingSigned { tx, .. }
        | Message::Update { tx, .. }
        | Message::UpdateAck { tx, .. }
        | Message::DepositCreated { tx, .. }
        | Message::DepositSigned { tx, .. }
        | Message::WithdrawCreated { tx, .. }
        | Message::WithdrawSigned { tx, .. }
        | Message::Shutdown { tx, .. }
        | Message::ShutdownAck { tx, .. } => *tx = bytes,
        _ => panic!("{message:?} carries no transaction"),
    }
    message
}

/// The transaction bytes that are wrong whatever the message.
pub fn broken_bytes(message: &Message, signer: &Signer) -> Vec<(String, Message)> {
    let tx = carried(message);
    let bytes = tx.encode();
    let unsigned = SignedTx::unsigned(tx.tx().clone());
    let stranger = Signer::new([3; 32], strait_encoding::NetworkId("ae_dev".to_owned()));
    let other_network = Signer::new([1; 32], strait_encoding::NetworkId("ae_uat".to_owned()));
    let all = [
        ("no bytes", Vec::new()),
        ("noise", vec![0xf8; 200]),
        ("half of it", bytes[..bytes.len() / 2].to_vec()),
        ("one byte more", [bytes.as_slice(), &[0]].concat()),
        ("no signature", unsigned.encode()),
        ("a stranger's signature", stranger.add_to(&unsigned).encode()),
        ("a stranger's signature beside its own", stranger.add_to(&signer.add_to(&unsigned)).encode()),
        ("a signature for another network", other_network.add_to(&unsigned).encode()),
        ("only its own signature", signer.add_to(&unsigned).encode()),
    ];
    all.into_iter().map(|(name, bytes)| (name.to_owned(), with_tx(message, bytes))).collect()
}

/// Sends a lie to the victim, and looks at what became of it.
pub fn tell_lie(world: &World, liar: Role, name: &str, lie: &Message) {
    let victim = liar.other();
    let _case = Case(format!("{name} to the {victim}: {lie:?}"));
    let mut world = world.clone();
    let agreed = world.party(victim).process.as_ref().and_then(|channel| channel.agreed_tx().cloned());
    let asked = signing_requests(&world, victim);
    let submitted = world.submitted.len();
    world.inject(liar, lie);
    world.run_for(1_000);
    assert_eq!(signing_requests(&world, victim), asked, "asked to sign a lie: {}", world.describe());
    let after = world.party(victim).process.as_ref().and_then(|channel| channel.agreed_tx().cloned());
    assert!(
        after == agreed || world.party(victim).forgotten,
        "the agreed state changed: {}",
        world.describe()
    );
    assert_eq!(world.submitted.len(), submitted, "handed to the chain: {:?}", world.submitted.last());
}

pub fn signing_requests(world: &World, role: Role) -> usize {
    told(world, role).iter().filter(|told| told.starts_with("sign.")).count()
}

/// Both forget the lies, and go on.
pub fn make_up(world: &World, liar: Role, lie: &Message) {
    let mut world = world.clone();
    world.inject(liar, lie);
    world.run_for(1_000);
    let ending = world.recover();
    assert!(matches!(ending, Ending::Agreed { .. } | Ending::Closed), "{ending:?}: {}", world.describe());
    if let Ending::Agreed { .. } = ending {
        world.party_mut(liar).signer.enforcing = true;
        world.party_mut(liar).signer.all_refused();
        world.transfer_well(Role::Initiator, 3);
        world.transfer_well(Role::Responder, 4);
    }
}

pub fn set_offchain(change: impl FnOnce(&mut OffchainTx)) -> impl FnOnce(&mut Tx) {
    |tx| {
        if let Tx::ChannelOffchain(tx) = tx {
            change(tx);
        }
    }
}

pub fn set_close(change: impl FnOnce(&mut CloseMutualTx)) -> impl FnOnce(&mut Tx) {
    |tx| {
        if let Tx::ChannelCloseMutual(tx) = tx {
            change(tx);
        }
    }
}

/// A round of either kind that moves coins into the channel or out of it, as far as both kinds are alike.
pub struct FundsFields<'a> {
    pub channel_id: &'a mut ChannelId,
    pub party: &'a mut AccountId,
    pub amount: &'a mut Coins,
    pub state_hash: &'a mut StateHash,
    pub round: &'a mut Round,
    pub nonce: &'a mut Nonce,
    pub fee: &'a mut Coins,
    pub ttl: &'a mut Height,
}

pub fn set_funds(change: impl FnOnce(FundsFields<'_>)) -> impl FnOnce(&mut Tx) {
    |tx| match tx {
        Tx::ChannelDeposit(DepositTx { channel_id, from_id, amount, ttl, fee, state_hash, round, nonce }) => {
            change(FundsFields { channel_id, party: from_id, amount, state_hash, round, nonce, fee, ttl });
        }
        Tx::ChannelWithdraw(WithdrawTx { channel_id, to_id, amount, ttl, fee, state_hash, round, nonce }) => {
            change(FundsFields { channel_id, party: to_id, amount, state_hash, round, nonce, fee, ttl });
        }
        other => panic!("{other:?} moves no coins"),
    }
}

pub fn set_create(change: impl FnOnce(&mut CreateTx)) -> impl FnOnce(&mut Tx) {
    |tx| {
        if let Tx::ChannelCreate(tx) = tx {
            change(tx);
        }
    }
}

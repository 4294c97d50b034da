//! What a broken or lying client hands over instead of the signature that it was asked for.

use strait_channel::Role;
use strait_encoding::{ChannelId, Coins, Round, SignedForm, StateHash};
use strait_ledger::{SignedTx, Tx};

use crate::authority::MetaLie;
use crate::setup::Setup;
use crate::signer::Signer;

/// What comes instead of the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// The own signature under another state, another split, or another proof.
    OtherTx,
    /// The own signature under a transaction of another channel.
    OtherChannel,
    /// The own signature under the round before, or under another nonce where there is no round.
    OlderRound,
    /// A stranger's signature alone, beside those that were there.
    WrongKey,
    /// What was there, with nothing added.
    Unsigned,
    /// The own signature and a stranger's.
    Stranger,
    /// The own signature and the peer's.
    Both,
    /// A meta transaction with something wrong, or what is none.
    Meta(MetaLie),
}

impl Forgery {
    /// All that anybody can do; meta transactions are for generalized accounts.
    pub const ALL: [Self; 7] = [
        Self::OtherTx,
        Self::OtherChannel,
        Self::OlderRound,
        Self::WrongKey,
        Self::Unsigned,
        Self::Stranger,
        Self::Both,
    ];

    /// What a client with this key, of this role, hands over instead of its signature under `tx`.
    pub fn of(self, tx: &SignedTx, me: &Signer, role: Role) -> SignedTx {
        let stranger = |tx: &SignedTx| {
            let key = Setup::stranger();
            let shown = tx.innermost().unsigned_bytes();
            tx.clone().with_signature_inside(key.sign(&Setup::network(), shown, SignedForm::Hash))
        };
        match self {
            Self::OtherTx => me.add_to(&changed(tx, other_state)),
            Self::OtherChannel => me.add_to(&changed(tx, other_channel)),
            Self::OlderRound => me.add_to(&changed(tx, older_round)),
            Self::WrongKey => stranger(tx),
            Self::Unsigned => tx.clone(),
            Self::Stranger => me.add_to(&stranger(tx)),
            Self::Both => {
                let peer = Signer::new(Setup::seed(role.other()), Setup::network());
                peer.add_to(&me.add_to(tx))
            }
            Self::Meta(lie) => meta(lie, tx, me),
        }
    }
}

fn meta(lie: MetaLie, tx: &SignedTx, me: &Signer) -> SignedTx {
    let stranger = Signer::new(Setup::STRANGER, Setup::network()).generalized();
    match lie {
        MetaLie::Unwrapped => me.add_key(tx),
        MetaLie::Strangers => stranger.add_to(tx),
        MetaLie::StrangersToo => stranger.add_to(&me.add_to(tx)),
        MetaLie::Twice => me.add_to(&me.add_to(tx)),
        MetaLie::SignedToo => me.add_key(&me.add_to(tx)),
        lie => me.wrap_with(tx, lie),
    }
}

/// The transaction, unsigned, with something changed.
pub(crate) fn changed(tx: &SignedTx, change: fn(&mut Tx)) -> SignedTx {
    let mut tx = tx.body().clone();
    change(&mut tx);
    SignedTx::unsigned(tx)
}

fn other_state(tx: &mut Tx) {
    let other = StateHash([7; 32]);
    match tx {
        Tx::ChannelCreate(tx) => tx.state_hash = other,
        Tx::ChannelOffchain(tx) => tx.state_hash = other,
        Tx::ChannelDeposit(tx) => tx.state_hash = other,
        Tx::ChannelWithdraw(tx) => tx.state_hash = other,
        Tx::ChannelCloseMutual(tx) => {
            move_a_coin(&mut tx.initiator_amount_final, &mut tx.responder_amount_final)
        }
        Tx::ChannelSettle(tx) => move_a_coin(&mut tx.initiator_amount_final, &mut tx.responder_amount_final),
        Tx::ChannelCloseSolo(tx) => tx.poi.0.clear(),
        Tx::ChannelSlash(tx) => tx.poi.0.clear(),
        Tx::ChannelSnapshotSolo(tx) => tx.payload.0.clear(),
        Tx::ChannelForceProgress(tx) => tx.state_hash = other,
        other => panic!("nobody is asked to sign {other:?}"),
    }
}

fn move_a_coin(one: &mut Coins, other: &mut Coins) {
    (one.0, other.0) = (one.0 + 1, other.0 - 1);
}

fn other_channel(tx: &mut Tx) {
    let other = ChannelId([7; 32]);
    match tx {
        Tx::ChannelCreate(tx) => tx.nonce = tx.nonce.next(),
        Tx::ChannelOffchain(tx) => tx.channel_id = other,
        Tx::ChannelDeposit(tx) => tx.channel_id = other,
        Tx::ChannelWithdraw(tx) => tx.channel_id = other,
        Tx::ChannelCloseMutual(tx) => tx.channel_id = other,
        Tx::ChannelSettle(tx) => tx.channel_id = other,
        Tx::ChannelCloseSolo(tx) => tx.channel_id = other,
        Tx::ChannelSlash(tx) => tx.channel_id = other,
        Tx::ChannelSnapshotSolo(tx) => tx.channel_id = other,
        Tx::ChannelForceProgress(tx) => tx.channel_id = other,
        other => panic!("nobody is asked to sign {other:?}"),
    }
}

fn older_round(tx: &mut Tx) {
    match tx {
        Tx::ChannelCreate(tx) => tx.lock_period += 1,
        Tx::ChannelOffchain(tx) => tx.round = Round(tx.round.0 - 1),
        Tx::ChannelDeposit(tx) => tx.round = Round(tx.round.0 - 1),
        Tx::ChannelWithdraw(tx) => tx.round = Round(tx.round.0 - 1),
        Tx::ChannelCloseMutual(tx) => tx.nonce = tx.nonce.next(),
        Tx::ChannelSettle(tx) => tx.nonce = tx.nonce.next(),
        Tx::ChannelCloseSolo(tx) => tx.nonce = tx.nonce.next(),
        Tx::ChannelSlash(tx) => tx.nonce = tx.nonce.next(),
        Tx::ChannelSnapshotSolo(tx) => tx.nonce = tx.nonce.next(),
        Tx::ChannelForceProgress(tx) => tx.round = Round(tx.round.0 - 1),
        other => panic!("nobody is asked to sign {other:?}"),
    }
}

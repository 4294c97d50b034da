//! What a program sees of the transaction that it authenticates.

use strait_encoding::{AccountId, Id};
use strait_fate::{Authentication, TransactionBody};

use crate::{Authenticating, Tx};

const CREATE: u8 = 10;
const DEPOSIT: u8 = 11;
const WITHDRAW: u8 = 12;
const FORCE_PROGRESS: u8 = 13;
const CLOSE_MUTUAL: u8 = 14;
const CLOSE_SOLO: u8 = 15;
const SLASH: u8 = 16;
const SETTLE: u8 = 17;
const SNAPSHOT_SOLO: u8 = 18;
/// The kind without fields that stands for what programs cannot see.
const ATTACH: u8 = 21;

/// The transaction that `account` is to authenticate, taken out of those around it. Off chain a program sees its hash alone.
pub(super) fn shown(auth: &Authenticating<'_>, account: AccountId) -> Authentication {
    let (mut payer, mut metas) = (None, Vec::new());
    let mut innermost = auth.tx;
    while let Some(around) = innermost {
        match around {
            Tx::GaMeta(meta) => metas.push((meta.ga_id, meta.fee)),
            Tx::PayingFor(paying) => payer = Some((paying.payer_id, paying.fee)),
            _ => {}
        }
        match around.inside() {
            Some(inside) => innermost = Some(inside),
            None => break,
        }
    }
    Authentication {
        hash: auth.tx_hash,
        actor: innermost.and_then(Tx::origin).unwrap_or(account),
        fee: innermost.map(Tx::fee).unwrap_or_default(),
        ttl: innermost.map(Tx::ttl).unwrap_or_default(),
        payer,
        metas,
        body: innermost.map_or(TransactionBody::Plain(ATTACH), body),
    }
}

fn body(tx: &Tx) -> TransactionBody {
    match tx {
        Tx::Spend(tx) => TransactionBody::Spend {
            recipient: key(tx.recipient_id),
            amount: tx.amount,
            payload: tx.payload.0.clone(),
        },
        Tx::ContractCreate(tx) => TransactionBody::ContractCreate(tx.amount),
        Tx::ContractCall(tx) => TransactionBody::ContractCall(tx.contract_id.0, tx.amount),
        Tx::ChannelCreate(tx) => TransactionBody::Channel(CREATE, tx.responder_id.0),
        Tx::ChannelDeposit(tx) => TransactionBody::ChannelAmount(DEPOSIT, tx.channel_id.0, tx.amount),
        Tx::ChannelWithdraw(tx) => TransactionBody::ChannelAmount(WITHDRAW, tx.channel_id.0, tx.amount),
        Tx::ChannelForceProgress(tx) => TransactionBody::Channel(FORCE_PROGRESS, tx.channel_id.0),
        Tx::ChannelCloseMutual(tx) => TransactionBody::Channel(CLOSE_MUTUAL, tx.channel_id.0),
        Tx::ChannelCloseSolo(tx) => TransactionBody::Channel(CLOSE_SOLO, tx.channel_id.0),
        Tx::ChannelSlash(tx) => TransactionBody::Channel(SLASH, tx.channel_id.0),
        Tx::ChannelSettle(tx) => TransactionBody::Channel(SETTLE, tx.channel_id.0),
        Tx::ChannelSnapshotSolo(tx) => TransactionBody::Channel(SNAPSHOT_SOLO, tx.channel_id.0),
        Tx::GaAttach(_)
        | Tx::GaMeta(_)
        | Tx::PayingFor(_)
        | Tx::ChannelSetDelegates(_)
        | Tx::ChannelOffchain(_) => TransactionBody::Plain(ATTACH),
    }
}

fn key(id: Id) -> [u8; 32] {
    match id {
        Id::Account(id) => id.0,
        Id::Contract(id) => id.0,
        Id::Channel(id) => id.0,
        Id::Name(key) | Id::Commitment(key) | Id::Oracle(key) => key,
    }
}

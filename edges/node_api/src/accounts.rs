//! Accounts and channels.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strait_encoding::text::Prefix;
use strait_encoding::{AccountId, ChannelId, Nonce};
use strait_ledger::{Account, AccountKind, ChainView, SignedTx};

use crate::answer::{Answer, Fault};
use crate::ask::Ask;
use crate::transactions;

/// `/accounts/{pubkey}`: a contract has an account, too.
pub(crate) fn account(ask: &Ask<'_>) -> Answer {
    let id = AccountId(ask.public_key(&[Prefix::Account, Prefix::Contract])?);
    existing(ask, id).map(|account| to_json(id, &account))
}

/// `/accounts/{pubkey}/next-nonce`: by default one more than any known, or with `strategy=continuity` the first that is
/// missing.
pub(crate) fn next_nonce(ask: &Ask<'_>) -> Answer {
    let id = AccountId(ask.public_key(&[Prefix::Account])?);
    let is_continuous = match ask.query("strategy") {
        None | Some("max") => false,
        Some("continuity") => true,
        Some(other) => {
            return Err(Fault::validation("strategy", json!({ "error": "not_in_enum", "data": other })));
        }
    };
    let account = existing(ask, id).map_err(|fault| fault.code("account_not_found"))?;
    let next = if is_continuous && account.is_basic() {
        first_missing(account.nonce, pending_of(ask, id))
    } else {
        ask.chain.next_nonce(id)
    };
    Ok(json!({ "next_nonce": next }))
}

/// `/accounts/{pubkey}/transactions/pending`, in the order of their nonces.
pub(crate) fn pending(ask: &Ask<'_>) -> Answer {
    let id = AccountId(ask.public_key(&[Prefix::Account])?);
    existing(ask, id)?;
    let mut txs: Vec<_> = pending_of(ask, id).collect();
    txs.sort_by_key(|tx| tx.tx().nonce());
    let txs: Value = txs.into_iter().map(|tx| transactions::to_json(tx, None)).collect();
    Ok(json!({ "transactions": txs }))
}

/// `/channels/{pubkey}`.
pub(crate) fn channel(ask: &Ask<'_>) -> Answer {
    let id = ChannelId(ask.public_key(&[Prefix::Channel])?);
    let object = ask.chain.channel(id);
    let object = object.ok_or_else(|| Fault::not_found("Channel not found").code("not_found"))?;
    Ok(object.to_json(id))
}

fn existing(ask: &Ask<'_>, id: AccountId) -> Result<Account, Fault> {
    ask.chain.account(id).ok_or_else(|| Fault::not_found("Account not found"))
}

fn to_json(id: AccountId, account: &Account) -> Value {
    let mut json = json!({
        "id": id.to_string(),
        "balance": account.balance,
        "nonce": account.nonce,
        "payable": account.is_payable(),
        "kind": "basic",
    });
    if let AccountKind::Generalized { contract, .. } = account.kind {
        json["kind"] = "generalized".into();
        json["contract_id"] = contract.to_string().into();
    }
    json
}

fn pending_of<'a>(ask: &'a Ask<'_>, id: AccountId) -> impl Iterator<Item = &'a SignedTx> {
    ask.chain.pending().filter(move |tx| tx.tx().origin() == Some(id))
}

fn first_missing<'a>(used: Nonce, pending: impl Iterator<Item = &'a SignedTx>) -> Nonce {
    let known: BTreeSet<_> = pending.map(|tx| tx.tx().nonce()).collect();
    let mut next = used.next();
    while known.contains(&next) && next != next.next() {
        next = next.next();
    }
    next
}

//! Accounts and channels.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use strait_encoding::text::Prefix;
use strait_encoding::{AccountId, BlockHash, ChannelId, ContractId, Nonce};
use strait_fate::{Code, Container};
use strait_ledger::{Account, AccountKind, Chain, ChainView, SignedTx, Trees};

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32};
use crate::param::{ACCOUNT, BLOCK_HASH, CHANNEL, STRATEGY};
use crate::transactions;

/// A contract has an account, too.
const OWNERS: [Prefix; 2] = [Prefix::Account, Prefix::Contract];

/// `/accounts/{pubkey}`.
pub(crate) fn account(ask: &Ask<'_>) -> Answer {
    let id = AccountId(ask.public_key(&ACCOUNT, &OWNERS)?);
    existing(ask, id).map(|account| to_json(ask.chain, id, &account))
}

/// `/accounts/{pubkey}/height/{height}`: as it was after the key block.
pub(crate) fn at_height(ask: &Ask<'_>) -> Answer {
    let height = ask.height()?;
    let id = AccountId(ask.public_key(&ACCOUNT, &OWNERS)?);
    if height > ask.chain.top_height() {
        return Err(Fault::not_found("Height not available").code("chain_too_short"));
    }
    let block = ask.chain.key_block_at(height).map(BlockHash::from);
    match block.and_then(|hash| ask.chain.state_at(&hash)) {
        Some(trees) => in_state(ask.chain, trees, id),
        None => {
            let reason = "State data at the requested height has been garbage-collected";
            Err(Fault::new(StatusCode::GONE, reason).code("garbage_collected"))
        }
    }
}

/// `/accounts/{pubkey}/hash/{hash}`: as it was after the block.
pub(crate) fn at_hash(ask: &Ask<'_>) -> Answer {
    let id = AccountId(ask.public_key(&ACCOUNT, &OWNERS)?);
    let hash = bytes32(ask.in_path(&BLOCK_HASH), &[Prefix::KeyBlock, Prefix::MicroBlock])
        .map_err(|code| Fault::bad_request(&format!("Illegal hash: {code}")))?;
    match ask.chain.state_at(&BlockHash::new(hash)) {
        Some(trees) => in_state(ask.chain, trees, id),
        None => Err(Fault::not_found("Hash not available").code("no_state_trees")),
    }
}

/// `/accounts/{pubkey}/next-nonce`: by default one more than any known, or with `strategy=continuity` the first that is
/// missing.
pub(crate) fn next_nonce(ask: &Ask<'_>) -> Answer {
    let is_continuous = ask.choice(&STRATEGY)? == "continuity";
    let id = AccountId(ask.public_key(&ACCOUNT, &[Prefix::Account])?);
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
    let id = AccountId(ask.public_key(&ACCOUNT, &[Prefix::Account])?);
    existing(ask, id)?;
    let mut txs: Vec<_> = pending_of(ask, id).collect();
    txs.sort_by_key(|tx| tx.tx().nonce());
    let txs: Value = txs.into_iter().map(|tx| transactions::to_json(tx, None)).collect();
    Ok(json!({ "transactions": txs }))
}

/// `/channels/{pubkey}`.
pub(crate) fn channel(ask: &Ask<'_>) -> Answer {
    let id = ChannelId(ask.public_key(&CHANNEL, &[Prefix::Channel])?);
    let object = ask.chain.channel(id);
    let object = object.ok_or_else(|| Fault::not_found("Channel not found").code("not_found"))?;
    Ok(object.to_json(id))
}

fn existing(ask: &Ask<'_>, id: AccountId) -> Result<Account, Fault> {
    ask.chain.account(id).ok_or_else(none)
}

fn in_state(chain: &Chain, trees: &Trees, id: AccountId) -> Answer {
    trees.account(id).map(|account| to_json(chain, id, &account)).ok_or_else(none)
}

fn none() -> Fault {
    Fault::not_found("Account not found")
}

fn to_json(chain: &Chain, id: AccountId, account: &Account) -> Value {
    let mut json = json!({
        "id": id.to_string(),
        "balance": account.balance,
        "nonce": account.nonce,
        "payable": account.is_payable(),
        "kind": "basic",
    });
    if let AccountKind::Generalized { contract, auth_fun } = account.kind {
        json["kind"] = "generalized".into();
        json["contract_id"] = contract.to_string().into();
        if let Some(name) = function_name(chain, contract, auth_fun) {
            json["auth_fun"] = name.into();
        }
    }
    json
}

/// The name that the code of a contract gives to a function of which only the hash is known.
fn function_name(chain: &Chain, contract: ContractId, hash: [u8; 32]) -> Option<String> {
    let trees = chain.top_state();
    let code = trees.code(&trees.contract(contract)?)?;
    let code = Code::decode(&Container::decode(&code).ok()?.byte_code).ok()?;
    // FATE knows functions by the first bytes of the hash.
    code.name_of(*hash.first_chunk()?)
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

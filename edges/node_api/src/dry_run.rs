//! What transactions would come to, for those who ask before they sign (`docs/protocol/chain_service` §4).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, BlockHash, Coins, ContractId, Height, Nonce, TxHash};
use strait_ledger::{
    ABI_AEVM, CallObject, Chain, ChainView, ContractBytes, ContractCallTx, DryRun, DryRunError, RuleError,
    Tx, TxKind, TxLocation, fee,
};

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32, text_fault};

/// The gas that all transactions of a request may count.
const GAS_LIMIT: u128 = 6_000_000;

/// How long a request may take: the distance of micro blocks in the reference.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Who calls where nobody is named, and what it owns.
const NOBODY: AccountId = {
    let mut key = [0; 32];
    key[31] = 1;
    AccountId(key)
};
const OWNED_BY_NOBODY: Coins = Coins(1_000_000_000_000_000_000_000);

/// What a call that is described, not built, is taken to be where nothing is said.
const CALL_GAS: u64 = 1_000_000;
const CALL_NONCE: u64 = 1;
const CALL_FEE: Coins = Coins(1_000_000_000_000);
const CALL_GAS_PRICE: Coins = Coins(1_000_000);

/// `/dry-run` and `/debug/transactions/dry-run`. The body has the shape of `DryRunInput`.
pub(crate) fn dry_run(ask: &Ask<'_>, body: &Value) -> Answer {
    let items = list(&body["txs"]);
    let gas = items.iter().fold(0_u128, |sum, item| sum.saturating_add(gas_of(item, ask.chain)));
    if gas > GAS_LIMIT {
        return Err(Fault::over_the_gas_limit());
    }
    let dry_run = behind(ask.chain, &body["top"])?;
    let items = items.iter().map(|item| Item::read(item, ask.chain)).collect::<Result<Vec<_>, _>>()?;
    let gifts = list(&body["accounts"]).iter().map(gift).collect::<Result<Vec<_>, _>>()?;
    let mut answer = json!({ "results": run(dry_run, &gifts, &items, Instant::now() + TIME_LIMIT)? });
    if body["tx_events"] == true {
        // What happens inside of calls is not recorded.
        answer["tx_events"] = json!([]);
    }
    Ok(answer)
}

/// A transaction to try.
struct Item {
    tx: Tx,
    /// Whether the ones after it find what it did.
    is_kept: bool,
}

impl Item {
    fn read(item: &Value, chain: &Chain) -> Result<Self, Fault> {
        if let Some(hash) = item["tx_hash"].as_str() {
            return Ok(Self { tx: waiting(hash, chain)?, is_kept: true });
        }
        if let Some(encoded) = item["tx"].as_str() {
            return Ok(Self { tx: built(encoded)?, is_kept: true });
        }
        match item.get("call_req") {
            Some(call) => described(call),
            None => Err(refused("one of tx, tx_hash and call_req must be there")),
        }
    }
}

/// What it counts towards the limit; nothing where it is not understood, which is said later.
fn gas_of(item: &Value, chain: &Chain) -> u128 {
    let protocol = chain.protocol();
    let of_tx = |tx: Tx| u128::from(fee::block_gas(&tx, protocol));
    if let Some(encoded) = item["tx"].as_str() {
        return built(encoded).map_or(0, of_tx);
    }
    if let Some(hash) = item["tx_hash"].as_str() {
        return waiting(hash, chain).map_or(0, of_tx);
    }
    item.get("call_req").map_or(0, |call| number(&call["gas"]).unwrap_or(CALL_GAS.into()))
}

/// Begins right behind a block.
fn behind<'a>(chain: &'a Chain, top: &Value) -> Result<DryRun<'a>, Fault> {
    let block =
        top.as_str().map(|top| bytes32(top, &[Prefix::MicroBlock, Prefix::KeyBlock]).map(BlockHash::new));
    let block = block.transpose().map_err(|_| refused("top should be micro block hash or key block hash"))?;
    if block.is_some_and(|hash| chain.block(&hash).is_none()) {
        return Err(refused("Invalid hash provided"));
    }
    let collected = || refused("Block state of given hash was garbage collected");
    chain.dry_run(block.as_ref()).ok_or_else(collected)
}

/// A transaction of the pool.
fn waiting(hash: &str, chain: &Chain) -> Result<Tx, Fault> {
    let hash = bytes32(hash, &[Prefix::TxHash]).map_err(refused)?;
    match chain.tx(&TxHash(hash)) {
        Some((signed, TxLocation::Pool)) => Ok(signed.tx().clone()),
        _ => Err(refused("Transaction not found in mempool")),
    }
}

/// A transaction without signatures.
fn built(encoded: &str) -> Result<Tx, Fault> {
    let bytes = text::decode(Prefix::Transaction, encoded).map_err(|_| refused(text_fault(encoded)))?;
    let tx = Tx::decode(&bytes).map_err(|_| refused("malformed transaction"))?;
    match tx.kind() {
        kind @ (TxKind::PayingFor | TxKind::GaMeta | TxKind::ChannelOffchain) => {
            Err(refused(&format!("Unsupported transaction type {}", kind.event_name())))
        }
        _ => Ok(tx),
    }
}

/// A call that is described.
fn described(call: &Value) -> Result<Item, Fault> {
    let unfit = |name: &str| refused(&format!("Internal error bad_dry_run_call_request: {name}"));
    let text_of = |name: &str| call[name].as_str().unwrap_or_default();
    let number = |name: &str, usual: u64| match call.get(name) {
        None => Ok(usual),
        Some(found) => number(found).and_then(|found| found.try_into().ok()).ok_or_else(|| unfit(name)),
    };
    let context = &call["context"];
    if context.get("tx").is_some() || context.get("tx_hash").is_some() {
        return Err(refused("a call cannot be given something to authenticate here"));
    }
    let caller_id = match call["caller"].as_str() {
        None => NOBODY,
        Some(caller) => AccountId(bytes32(caller, &[Prefix::Account]).map_err(|_| unfit("caller"))?),
    };
    let contract = bytes32(text_of("contract"), &[Prefix::Contract]).map_err(|_| unfit("contract"))?;
    let call_data =
        text::decode(Prefix::ContractBytes, text_of("calldata")).map_err(|_| unfit("calldata"))?;
    let amount = call.get("amount").map_or(Some(0), self::number);
    let tx = ContractCallTx {
        caller_id,
        nonce: Nonce(number("nonce", CALL_NONCE)?),
        contract_id: ContractId(contract),
        abi_version: number("abi_version", ABI_AEVM)?,
        fee: CALL_FEE,
        ttl: Height(0),
        amount: amount.map(Coins).ok_or_else(|| unfit("amount"))?,
        gas: number("gas", CALL_GAS)?,
        gas_price: CALL_GAS_PRICE,
        call_data: ContractBytes(call_data),
    };
    Ok(Item { tx: tx.into(), is_kept: context["stateful"] == true })
}

/// Coins that somebody is to have more.
fn gift(account: &Value) -> Result<(AccountId, Coins), Fault> {
    let key = account["pub_key"].as_str().unwrap_or_default();
    let key = bytes32(key, &[Prefix::Account]).map_err(refused)?;
    let amount = number(&account["amount"]).ok_or_else(|| refused("an amount exceeds 128 bits"))?;
    Ok((AccountId(key), Coins(amount)))
}

/// What comes of each, on the state that the ones before it left.
fn run(
    mut dry_run: DryRun<'_>,
    gifts: &[(AccountId, Coins)],
    items: &[Item],
    until: Instant,
) -> Result<Vec<Value>, Fault> {
    for (account, coins) in [(NOBODY, OWNED_BY_NOBODY)].iter().chain(gifts) {
        let given = dry_run.give(*account, *coins);
        given.map_err(|_| refused("an amount exceeds 128 bits"))?;
    }
    let time_left = || until.saturating_duration_since(Instant::now());
    let attempt = |Item { tx, is_kept }: &Item| {
        let outcome = match is_kept {
            true => dry_run.attempt(tx, &time_left),
            false => dry_run.clone().attempt(tx, &time_left),
        };
        match outcome {
            Ok(call) => Ok(to_json(tx.kind(), Ok(call))),
            Err(DryRunError::Rule(error)) => Ok(to_json(tx.kind(), Err(error))),
            Err(DryRunError::TimeUp) => Err(refused("dry-run exceeded time limit")),
        }
    };
    items.iter().map(attempt).collect()
}

fn to_json(kind: TxKind, outcome: Result<Option<CallObject>, RuleError>) -> Value {
    // Two have their full name.
    let name = match kind {
        TxKind::PayingFor | TxKind::GaMeta => kind.event_name(),
        _ => kind.event_name().trim_end_matches("_tx"),
    };
    let shows_call = matches!(kind, TxKind::ContractCreate | TxKind::ContractCall | TxKind::GaAttach);
    match outcome {
        Ok(Some(call)) if shows_call => json!({ "type": name, "result": "ok", "call_obj": call.to_json() }),
        Ok(_) => json!({ "type": name, "result": "ok" }),
        Err(error) => {
            let reason = format!("Internal error:\n  {}\n", error.atom());
            json!({ "type": name, "result": "error", "reason": reason })
        }
    }
}

fn refused(why: &str) -> Fault {
    Fault::bad_request(&format!("Bad request: {why}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// An integer, also one that is written as a string.
fn number(value: &Value) -> Option<u128> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_number()?.as_u128(),
    }
}

#[cfg(test)]
mod tests {
    use strait_encoding::NetworkId;
    use strait_ledger::ChainConfig;

    use super::*;

    #[test]
    fn nothing_is_begun_when_the_time_is_up() {
        let chain = Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), [].into()));
        let dry_run = || chain.dry_run(None).unwrap();
        let call = json!({
            "contract": ContractId([1; 32]).to_string(),
            "calldata": text::encode(Prefix::ContractBytes, &[]),
        });
        let item = described(&call).unwrap();
        let fault = run(dry_run(), &[], &[item], Instant::now()).unwrap_err();
        assert_eq!(fault.body(), &json!({ "reason": "Bad request: dry-run exceeded time limit" }));
        assert_eq!(run(dry_run(), &[], &[], Instant::now()).unwrap(), Vec::<Value>::new());
    }
}

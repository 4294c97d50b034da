//! The methods: one table from name to what is asked (`docs/protocol/ws_api` §5). The replies to signing requests are not in it:
//! their names stand in [`FLOWS`](strait_channel::FLOWS).
//!
//! Where the reference fixes an order of checks it is kept: required parameters, numbers, encodings, and only then values.

use std::borrow::Cow;

use serde_json::value::RawValue;
use strait_channel::{Contract, Flow, Forcing, Request, Side, TxOptions};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{BlockHash, Coins, Nonce, Round, TxHash};
use strait_ledger::{OFFCHAIN_GAS, SignedTx};

use crate::desk::{Ask, HistoryFilter, HistoryKind};
use crate::errors::{
    BROKEN_ACCOUNT, BROKEN_TX, INSUFFICIENT_BALANCE, INVALID_ABORT_CODE, INVALID_META, Known,
    NEGATIVE_AMOUNT, Rejection,
};
use crate::int::Int;
use crate::params::{
    Params, account, contract, contract_bytes, every, int, lenient_int, list, string, wrong,
};
use crate::query::MAX_LOG_KEEP;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A sign of life; the socket answers it alone.
    Ping,
    /// Something that the service answers.
    Ask(Ask),
}

/// Reads the parameters of a method, given its name.
type Read = fn(&'static str, &Params<'_>) -> Result<Call, Rejection>;

/// The table; the busiest first.
#[rustfmt::skip]
const METHODS: [(&str, Read); 23] = [
    ("channels.update.new",             transfer),
    ("channels.system",                 system),
    ("channels.get.balances",           balances),
    ("channels.message",                message),
    ("channels.get.offchain_state",     offchain_state),
    ("channels.get.poi",                proof),
    ("channels.history.fetch",          history),
    ("channels.clean_contract_calls",   |_, _| channel(Request::CleanCalls)),
    ("channels.leave",                  |_, _| channel(Request::Leave)),
    ("channels.shutdown",               |_, params| channel(Request::Shutdown(tx_options(params)?))),
    ("channels.update.new_contract",    new_contract),
    ("channels.update.call_contract",   call_contract),
    ("channels.dry_run.call_contract",  dry_run_call),
    ("channels.get.contract_call",      contract_call),
    ("channels.get.contract",           contract_state),
    ("channels.deposit",                deposit),
    ("channels.withdraw",               withdraw),
    ("channels.close_solo",             |_, params| solo(Flow::CloseSolo, params)),
    ("channels.slash",                  |_, params| solo(Flow::Slash, params)),
    ("channels.settle",                 |_, params| solo(Flow::Settle, params)),
    ("channels.snapshot_solo",          |_, params| solo(Flow::SnapshotSolo, params)),
    ("channels.force_progress",         force_progress),
    ("channels.assume_minimum_depth",   assume_minimum_depth),
];

/// Reads the parameters of the method `name`.
///
/// # Errors
/// No such method, or parameters that are missing or wrong: the client's fault.
pub(crate) fn read(name: &str, params: &Params<'_>) -> Result<Call, Rejection> {
    if let Some((method, read)) = METHODS.iter().find(|(method, _)| *method == name) {
        return read(method, params);
    }
    match name.strip_prefix("channels.").and_then(Flow::of_reply) {
        Some((flow, side)) => signing_reply(flow, side, params),
        None => {
            let name: String = name.chars().take(64).collect();
            Err(Rejection::method_not_found(format!("there is no method {name}")))
        }
    }
}

fn channel(request: Request) -> Result<Call, Rejection> {
    Ok(Call::Ask(Ask::Channel(request)))
}

fn transfer(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [from, to, amount] = params.required(["from", "to", "amount"])?;
    let amount = int(amount)?;
    let (from, to) = (account(from)?, account(to)?);
    let pin = block_hash(params)?;
    let meta = meta(params)?;
    channel(Request::Transfer { from, to, amount: affordable(amount)?, pin, meta })
}

fn signing_reply(flow: Flow, side: Side, params: &Params<'_>) -> Result<Call, Rejection> {
    match (params.optional("signed_tx")?, params.optional("error")?) {
        (Some(tx), None) => channel(Request::Signed { flow, side, tx: signed_tx(tx)? }),
        (None, Some(code)) => channel(Request::Declined { flow, side, code: abort_code(code)? }),
        (None, None) => Err(Rejection::method_not_found("params.signed_tx and params.error are missing")),
        (Some(_), Some(_)) => {
            Err(Rejection::invalid_params("params: expected signed_tx or error, found both"))
        }
    }
}

fn system(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [action] = params.required(["action"])?;
    match string(action).as_deref() {
        Some("ping") => Ok(Call::Ping),
        Some("stop") => channel(Request::Stop),
        _ => Err(Rejection::method_not_found(wrong("action", "ping or stop", action))),
    }
}

fn balances(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [accounts] = params.required(["accounts"])?;
    channel(Request::Balances(every("accounts", accounts, account)??))
}

fn message(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [to, info] = params.required(["to", "info"])?;
    let to = account(to)?;
    let from = match params.optional("from")? {
        Some(from) => Some(account(from).map_err(|_| Rejection::internal(wrong("from", "ak_…", from)))?),
        None => None,
    };
    let info = string(info).ok_or_else(|| Rejection::invalid_request(wrong("info", "a string", info)))?;
    channel(Request::Message { to, from, info: info.into_owned() })
}

fn offchain_state(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    if !params.is_there() {
        return Err(Rejection::method_not_found("params is missing: expected an object"));
    }
    channel(Request::OffchainState)
}

fn proof(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let accounts = match params.optional("accounts")? {
        Some(accounts) => every("accounts", accounts, account)?,
        None => Ok(Vec::new()),
    };
    let contracts = match params.optional("contracts")? {
        Some(contracts) => every("contracts", contracts, contract)?,
        None => Ok(Vec::new()),
    };
    let (accounts, contracts) = both(accounts, contracts)?;
    channel(Request::Proof { accounts, contracts })
}

fn history(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let newest = match params.optional_int("n", u128::MAX)? {
        Some(newest) => usize::try_from(newest).unwrap_or(MAX_LOG_KEEP).min(MAX_LOG_KEEP),
        None => 10,
    };
    let kinds = chosen(params, "type", &HISTORY_KINDS)?;
    let tags = chosen(params, "tag", &HISTORY_TAGS)?;
    Ok(Call::Ask(Ask::History(HistoryFilter { newest, kinds, tags })))
}

const HISTORY_KINDS: [(&str, HistoryKind); 4] = [
    ("rpt", HistoryKind::Report),
    ("rcv", HistoryKind::Receive),
    ("snd", HistoryKind::Send),
    ("req", HistoryKind::Request),
];

const HISTORY_TAGS: [(&str, &str); 7] = [
    ("info", "info"),
    ("on_chain_tx", "on_chain_tx"),
    ("conflict", "conflict"),
    ("update", "update"),
    ("leave", "leave"),
    ("error", "error"),
    ("debug", "debug"),
];

/// The values of an array of names, each in the table.
fn chosen<T: Copy>(
    params: &Params<'_>,
    name: &'static str,
    table: &[(&str, T)],
) -> Result<Option<Vec<T>>, Rejection> {
    let Some(value) = params.optional(name)? else { return Ok(None) };
    let found = list(value).and_then(|values| {
        let known = |value: &RawValue| {
            let text = string(value)?;
            table.iter().find(|(known, _)| *known == text).map(|(_, choice)| *choice)
        };
        values.into_iter().map(known).collect::<Option<Vec<T>>>()
    });
    found.map(Some).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
        Rejection::internal(wrong(name, &format!("an array of {}", names.join(", ")), value))
    })
}

fn new_contract(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [vm, abi, deposit, code, call_data] =
        params.required(["vm_version", "abi_version", "deposit", "code", "call_data"])?;
    let (vm, abi, deposit) = (version("vm_version", vm)?, version("abi_version", abi)?, int(deposit)?);
    let (code, call_data) = (contract_bytes(code)?, contract_bytes(call_data)?);
    let (pin, meta) = (block_hash(params)?, meta(params)?);
    let contract = Contract::New { vm, abi, deposit: affordable(deposit)?, code, call_data };
    channel(Request::Contract { contract, pin, meta })
}

fn call_contract(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let (contract, pin) = call_of(params)?;
    channel(Request::Contract { contract, pin, meta: meta(params)? })
}

fn dry_run_call(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let (call, pin) = call_of(params)?;
    meta(params)?;
    channel(Request::DryRun { call, pin })
}

fn call_of(params: &Params<'_>) -> Result<(Contract, Option<BlockHash>), Rejection> {
    let [callee, abi, amount, call_data] =
        params.required(["contract_id", "abi_version", "amount", "call_data"])?;
    let (abi, amount) = (version("abi_version", abi)?, int(amount)?);
    let (contract, call_data) = both(contract(callee), contract_bytes(call_data))?;
    let pin = block_hash(params)?;
    Ok((Contract::Call { contract, abi, amount: affordable(amount)?, call_data }, pin))
}

/// The number of a virtual machine or of a call convention: two bytes.
fn version(name: &'static str, value: &RawValue) -> Result<u64, Rejection> {
    match int(value)? {
        Int::Fits(number) if number <= u16::MAX.into() => Ok(number as u64),
        _ => Err(Rejection::invalid_params(wrong(name, "an integer from 0 to 65535", value))),
    }
}

fn contract_call(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [callee, caller, raw_round] = params.required(["contract_id", "caller_id", "round"])?;
    let round = int(raw_round)?;
    let (caller, contract) = both(account(caller), contract(callee))?;
    match round.as_u64() {
        Some(round) if round > 0 => channel(Request::ContractCall { contract, caller, round: Round(round) }),
        _ => Err(Rejection::invalid_params(wrong("round", "an integer above 0", raw_round))),
    }
}

fn contract_state(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [pubkey] = params.required(["pubkey"])?;
    channel(Request::ContractState(contract(pubkey)?))
}

fn deposit(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [raw_amount] = params.required(["amount"])?;
    let amount = int(raw_amount)?;
    let (pin, options, meta) = (block_hash(params)?, tx_options(params)?, meta(params)?);
    match amount {
        Int::Negative => Err(NEGATIVE_AMOUNT.into()),
        Int::Fits(0) => Err(Rejection::internal(wrong("amount", "an integer above 0", raw_amount))),
        Int::TooLarge => Err(Rejection::invalid_params(wrong("amount", "at most 2^128 - 1", raw_amount))),
        Int::Fits(amount) => {
            channel(Request::Funds { flow: Flow::Deposit, amount: Coins(amount), pin, options, meta })
        }
    }
}

fn withdraw(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [raw_amount] = params.required(["amount"])?;
    let amount = int(raw_amount)?;
    let (pin, options, meta) = (block_hash(params)?, tx_options(params)?, meta(params)?);
    match affordable(amount)? {
        Coins::ZERO => Err(Rejection::internal(wrong("amount", "an integer above 0", raw_amount))),
        amount => channel(Request::Funds { flow: Flow::Withdraw, amount, pin, options, meta }),
    }
}

fn solo(flow: Flow, params: &Params<'_>) -> Result<Call, Rejection> {
    channel(Request::Solo(flow, tx_options(params)?))
}

/// Every broken encoding is reported as a broken account here, and a fee is not looked at, as in the reference.
fn force_progress(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [callee, abi, amount, call_data, gas_price] =
        params.required(["contract_id", "abi_version", "amount", "call_data", "gas_price"])?;
    let (abi, raw_amount) = (version("abi_version", abi)?, int(amount)?);
    let gas_price = limited::<u128>("gas_price", gas_price)?;
    let gas = params.optional("gas")?.map(|gas| limited("gas", gas)).transpose()?;
    let contract = contract(callee).map_err(|_| BROKEN_ACCOUNT)?;
    let call_data = contract_bytes(call_data).map_err(|_| BROKEN_ACCOUNT)?;
    let nonce = nonce(params)?;
    channel(Request::ForceProgress(Forcing {
        contract,
        abi,
        amount: affordable(raw_amount)?,
        call_data,
        gas: gas.unwrap_or(OFFCHAIN_GAS),
        gas_price: Coins(gas_price),
        options: TxOptions { nonce, ..TxOptions::default() },
    }))
}

/// A number of this width.
fn limited<T: TryFrom<u128>>(name: &'static str, value: &RawValue) -> Result<T, Rejection> {
    let width = 8 * size_of::<T>();
    let fits = match int(value)? {
        Int::Fits(number) => T::try_from(number).ok(),
        Int::Negative | Int::TooLarge => None,
    };
    fits.ok_or_else(|| {
        Rejection::invalid_params(wrong(name, &format!("an integer from 0 to 2^{width} - 1"), value))
    })
}

fn assume_minimum_depth(_: &'static str, params: &Params<'_>) -> Result<Call, Rejection> {
    let [tx_hash] = params.required(["tx_hash"])?;
    match string(tx_hash).and_then(|text| text.parse::<TxHash>().ok()) {
        Some(tx_hash) => channel(Request::AssumeMinimumDepth(tx_hash)),
        None => Err(Rejection::invalid_params(wrong("tx_hash", "th_…", tx_hash))),
    }
}

/// An amount that somebody in the channel pays: what no channel can hold is more than anybody has.
fn affordable(amount: Int) -> Result<Coins, Known> {
    match amount {
        Int::Negative => Err(NEGATIVE_AMOUNT),
        Int::Fits(amount) => Ok(Coins(amount)),
        Int::TooLarge => Err(INSUFFICIENT_BALANCE),
    }
}

/// Two encodings, of which an error lists both if both are broken.
fn both<A, B>(first: Result<A, Known>, second: Result<B, Known>) -> Result<(A, B), Rejection> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(first), Err(second)) => Err(Rejection::rejected(vec![first.into(), second.into()])),
        (Err(broken), Ok(_)) | (Ok(_), Err(broken)) => Err(broken.into()),
    }
}

fn block_hash(params: &Params<'_>) -> Result<Option<BlockHash>, Rejection> {
    let Some(value) = params.optional("block_hash")? else { return Ok(None) };
    match string(value).and_then(|text| BlockHash::parse(&text).ok()) {
        Some(hash) => Ok(Some(hash)),
        None => Err(Rejection::internal(wrong("block_hash", "kh_… or mh_…", value))),
    }
}

fn meta(params: &Params<'_>) -> Result<Vec<String>, Rejection> {
    let Some(value) = params.optional("meta")? else { return Ok(Vec::new()) };
    let texts = list(value).and_then(|values| {
        values.into_iter().map(|value| string(value).map(Cow::into_owned)).collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| INVALID_META.into())
}

fn tx_options(params: &Params<'_>) -> Result<TxOptions, Rejection> {
    Ok(TxOptions {
        fee: params.optional_int("fee", u128::MAX)?.map(Coins),
        gas_price: params.optional_int("gas_price", u128::MAX)?.map(Coins),
        nonce: nonce(params)?,
    })
}

fn nonce(params: &Params<'_>) -> Result<Option<Nonce>, Rejection> {
    let nonce = params.optional_int("nonce", u64::MAX.into())?;
    Ok(nonce.and_then(|nonce| u64::try_from(nonce).ok()).map(Nonce))
}

fn signed_tx(value: &RawValue) -> Result<SignedTx, Known> {
    let text = string(value).ok_or(BROKEN_TX)?;
    let bytes = text::decode(Prefix::Transaction, &text).map_err(|_| BROKEN_TX)?;
    SignedTx::decode(&bytes).map_err(|_| BROKEN_TX)
}

/// 1 to 65535, also as a string of digits; the reference's code for anything else never reaches its clients.
fn abort_code(value: &RawValue) -> Result<u16, Rejection> {
    let code = lenient_int(value).and_then(Int::as_u64).and_then(|code| u16::try_from(code).ok());
    code.filter(|code| *code > 0).ok_or_else(|| {
        Rejection::internal_known(INVALID_ABORT_CODE, wrong("error", "an integer from 1 to 65535", value))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strait_channel::FLOWS;

    use super::METHODS;

    #[test]
    fn no_method_is_named_twice_nor_like_a_reply() {
        let mut names = BTreeSet::new();
        for (method, _) in METHODS {
            assert!(names.insert(method.to_owned()), "{method}");
        }
        for asked in FLOWS.iter().flat_map(|row| [Some(row.proposer), row.acceptor]).flatten() {
            for reply in asked.replies {
                assert!(names.insert(format!("channels.{reply}")), "{reply}");
            }
        }
    }
}

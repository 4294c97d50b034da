//! Gas, fees and what depends on them alone (`docs/protocol/channel_txs` §5).

use strait_encoding::Coins;
use thiserror::Error;

use crate::{ABI_AEVM, ForceProgressTx, GaMetaTx, Protocol, Tx, Update};

/// The least price of a unit of gas that consensus accepts.
pub const MIN_GAS_PRICE: Coins = Coins(1_000_000);
/// The least price of a unit of gas that miners take by default; also the default of the fees chosen here.
pub const DEFAULT_MINER_GAS_PRICE: Coins = Coins(1_000_000_000);

const GAS_PER_BYTE: u64 = 20;
const BASE_GAS: u64 = 15_000;
const FORCE_PROGRESS_FACTOR: u64 = 30;
const GENERALIZED_FACTOR: u64 = 5;
const CREATE_FACTOR: u64 = 5;
const FATE_CALL_FACTOR: u64 = 12;
const AEVM_CALL_FACTOR: u64 = 30;
const PAYING_FOR_DIVISOR: u64 = 5;
/// A larger fee can make the transaction larger; this often it is built again.
const FEE_TRIES: usize = 5;

/// Why no fee could be chosen: the fault of whoever asked for this fee or gas price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FeeError {
    /// The chain would not take the transaction.
    #[error("the fee of {fee} is too low: at least {minimum} is needed")]
    TooLow {
        /// The fee that was asked for, or follows from the gas price.
        fee: Coins,
        /// The least fee of this transaction.
        minimum: Coins,
    },
    /// The fee kept growing with the transaction.
    #[error("no fee was found in {FEE_TRIES} tries at a gas price of {gas_price}")]
    Unstable {
        /// The price of a unit of gas.
        gas_price: Coins,
    },
    /// The fee exceeds 128 bits.
    #[error("a gas price of {gas_price} makes the fee larger than any amount")]
    TooLarge {
        /// The price of a unit of gas.
        gas_price: Coins,
    },
}

/// The units of gas that the fee must cover: a base and the size, without what an execution costs, and without the size of
/// a transaction inside, which has a fee of its own. 0 for an off-chain transaction.
pub fn fee_gas(tx: &Tx, protocol: Protocol) -> u64 {
    match (tx, tx.inside()) {
        (Tx::ChannelOffchain(_), _) => 0,
        // Before Iris the outermost paid for all of the size.
        (_, Some(inside)) if protocol >= Protocol::Iris => {
            base_gas(tx).saturating_add(size_gas(tx).saturating_sub(size_gas(inside)))
        }
        (Tx::PayingFor(_), _) => block_gas(tx, protocol),
        _ => base_gas(tx).saturating_add(size_gas(tx)),
    }
}

/// The units of gas that count towards the limit of a block: those of the size, of the gas limit of what it executes, and
/// of the transaction inside.
pub fn block_gas(tx: &Tx, protocol: Protocol) -> u64 {
    let own = base_gas(tx).saturating_add(size_gas(tx));
    match tx {
        Tx::ChannelOffchain(_) => 0,
        Tx::GaMeta(meta) => own.saturating_add(auth_gas(meta, protocol)),
        Tx::PayingFor(paying) => {
            let inside = paying.tx.tx();
            own.saturating_sub(size_gas(inside)).saturating_add(block_gas(inside, protocol))
        }
        Tx::GaAttach(attach) => own.saturating_add(attach.gas),
        Tx::ContractCreate(create) => own.saturating_add(create.gas),
        Tx::ContractCall(call) => own.saturating_add(call.gas),
        Tx::ChannelForceProgress(ForceProgressTx { update: Update::CallContract { gas, .. }, .. }) => {
            own.saturating_add(*gas)
        }
        _ => own,
    }
}

/// What a meta transaction counts towards the limit of a block beside its size: its own gas limit, and what the transaction
/// inside counts without its size.
pub(crate) fn auth_gas(meta: &GaMetaTx, protocol: Protocol) -> u64 {
    let inside = meta.tx.tx();
    meta.gas.saturating_add(block_gas(inside, protocol).saturating_sub(size_gas(inside)))
}

/// The base is the same in every protocol that `Protocol` knows; before Fortuna forced progress was cheaper.
pub(crate) fn base_gas(tx: &Tx) -> u64 {
    match tx {
        Tx::ChannelForceProgress(_) => FORCE_PROGRESS_FACTOR * BASE_GAS,
        Tx::GaAttach(_) | Tx::GaMeta(_) => GENERALIZED_FACTOR * BASE_GAS,
        Tx::ContractCreate(_) => CREATE_FACTOR * BASE_GAS,
        Tx::ContractCall(call) if call.abi_version == ABI_AEVM => AEVM_CALL_FACTOR * BASE_GAS,
        Tx::ContractCall(_) => FATE_CALL_FACTOR * BASE_GAS,
        Tx::PayingFor(_) => BASE_GAS / PAYING_FOR_DIVISOR,
        _ => BASE_GAS,
    }
}

fn size_gas(tx: &Tx) -> u64 {
    (tx.encode().len() as u64).saturating_mul(GAS_PER_BYTE)
}

/// The least fee that consensus accepts.
pub fn min_fee(tx: &Tx, protocol: Protocol) -> Coins {
    Coins(u128::from(fee_gas(tx, protocol)).saturating_mul(MIN_GAS_PRICE.0))
}

/// The price of a unit of gas that a miner sees: the fee per unit, the price of what it executes, or the price of the
/// transaction inside, whichever is lowest. None for an off-chain transaction.
pub fn effective_gas_price(tx: &Tx, protocol: Protocol) -> Option<Coins> {
    price_of(tx, protocol, fee_gas(tx, protocol))
}

fn price_of(tx: &Tx, protocol: Protocol, gas: u64) -> Option<Coins> {
    let of_fee = (gas > 0).then(|| tx.fee().0.div_ceil(gas.into()))?;
    let inside = match tx {
        Tx::PayingFor(_) if protocol < Protocol::Iris => None,
        _ => tx.inside(),
    };
    let of_inside = inside.and_then(|inside| {
        let gas = fee_gas(inside, protocol);
        let paid_outside = if protocol < Protocol::Iris { size_gas(inside) } else { 0 };
        price_of(inside, protocol, gas.saturating_sub(paid_outside))
    });
    let prices = [Some(Coins(of_fee)), gas_price(tx), of_inside];
    prices.into_iter().flatten().min()
}

/// What a transaction pays in fees, with those of the transactions inside it.
pub fn deep_fee(tx: &Tx) -> Coins {
    let (mut sum, mut next) = (Coins::ZERO, Some(tx));
    while let Some(tx) = next {
        sum = Coins(sum.0.saturating_add(tx.fee().0));
        next = tx.inside();
    }
    sum
}

/// The gas price that a transaction names for what it executes.
pub fn gas_price(tx: &Tx) -> Option<Coins> {
    match tx {
        Tx::ChannelForceProgress(ForceProgressTx {
            update: Update::CallContract { gas_price, .. }, ..
        }) => Some(Coins(*gas_price)),
        Tx::ContractCreate(tx) => Some(tx.gas_price),
        Tx::ContractCall(tx) => Some(tx.gas_price),
        Tx::GaAttach(tx) => Some(tx.gas_price),
        Tx::GaMeta(tx) => Some(tx.gas_price),
        _ => None,
    }
}

/// `tx` with the fee that its sender chose: `fee` as it is; or what its size costs at `gas_price`; the larger of the two
/// where both are given; at [`DEFAULT_MINER_GAS_PRICE`] where neither is. An off-chain transaction has no fee.
///
/// # Errors
/// The chain would not take it, or the fee does not fit.
pub fn choose_fee(
    tx: Tx,
    fee: Option<Coins>,
    gas_price: Option<Coins>,
    protocol: Protocol,
) -> Result<Tx, FeeError> {
    if matches!(tx, Tx::ChannelOffchain(_)) {
        return Ok(tx);
    }
    let tx = match (fee, gas_price) {
        (Some(fee), None) => tx.with_fee(fee),
        (None, price) => with_gas_price(tx, price.unwrap_or(DEFAULT_MINER_GAS_PRICE), protocol)?,
        (Some(fee), Some(price)) => {
            let priced = with_gas_price(tx, price, protocol)?;
            let larger = priced.fee().max(fee);
            priced.with_fee(larger)
        }
    };
    let (fee, minimum) = (tx.fee(), min_fee(&tx, protocol));
    if fee < minimum { Err(FeeError::TooLow { fee, minimum }) } else { Ok(tx) }
}

fn with_gas_price(tx: Tx, gas_price: Coins, protocol: Protocol) -> Result<Tx, FeeError> {
    let mut tx = tx.with_fee(Coins::ZERO);
    for _ in 0..=FEE_TRIES {
        let gas = u128::from(fee_gas(&tx, protocol));
        let wanted = gas_price.checked_mul(gas).ok_or(FeeError::TooLarge { gas_price })?;
        if wanted <= tx.fee() {
            return Ok(tx);
        }
        tx = tx.with_fee(wanted);
    }
    Err(FeeError::Unstable { gas_price })
}

/// What both receive when a channel with these balances closes by agreement and pays `fee`
/// (`docs/protocol/channel_txs` §4.4): each pays half, the initiator the odd coin, unless one cannot. None where both
/// together cannot pay.
pub fn split_mutual_close(initiator: Coins, responder: Coins, fee: Coins) -> Option<(Coins, Coins)> {
    let (less, more) = (fee.0 / 2, fee.0.div_ceil(2));
    let (i, r) = (initiator.0, responder.0);
    let remainder = i.checked_add(r)?.checked_sub(fee.0)?;
    let (i, r) = if i >= more && r >= less {
        (i - more, r - less)
    } else if r >= more && i >= less {
        (i - less, r - more)
    } else if i > r {
        (remainder, 0)
    } else {
        (0, remainder)
    };
    Some((Coins(i), Coins(r)))
}

/// The depth at which a transaction with this fee counts as confirmed under the strategy `txfee`: the `factor`-th root of
/// `fee / 10^9`, rounded up; 1 where the factor is 0 (`docs/protocol/channel_txs` §5).
pub fn min_depth_by_fee(fee: Coins, factor: u32) -> u64 {
    if factor == 0 {
        return 1;
    }
    // The root of a fraction, rounded up, is that of the fraction rounded up: the power of a whole number is whole.
    let target = fee.0.div_ceil(DEFAULT_MINER_GAS_PRICE.0);
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        if u128::from(middle).saturating_pow(factor) >= target {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

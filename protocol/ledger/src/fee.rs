//! Gas, fees and what depends on them alone (`docs/protocol/channel_txs` §5).

use strait_encoding::Coins;
use thiserror::Error;

use crate::{Protocol, Tx, Update};

/// The least price of a unit of gas that consensus accepts.
pub const MIN_GAS_PRICE: Coins = Coins(1_000_000);
/// The least price of a unit of gas that miners take by default; also the default of the fees chosen here.
pub const DEFAULT_MINER_GAS_PRICE: Coins = Coins(1_000_000_000);

const GAS_PER_BYTE: u64 = 20;
const BASE_GAS: u64 = 15_000;
const FORCE_PROGRESS_FACTOR: u64 = 30;
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

/// The units of gas that the fee must cover: a base and the size, without what an execution costs. 0 for an off-chain
/// transaction.
pub fn fee_gas(tx: &Tx, _protocol: Protocol) -> u64 {
    // The base is the same in every protocol that `Protocol` knows; before Fortuna forced progress was cheaper.
    let base = match tx {
        Tx::ChannelOffchain(_) => return 0,
        Tx::ChannelForceProgress(_) => FORCE_PROGRESS_FACTOR * BASE_GAS,
        _ => BASE_GAS,
    };
    let size = tx.encode().len() as u64;
    size.saturating_mul(GAS_PER_BYTE).saturating_add(base)
}

/// The units of gas that count towards the limit of a block: [`fee_gas`] and the gas limit of a contract call.
pub fn block_gas(tx: &Tx, protocol: Protocol) -> u64 {
    let execution = match tx {
        Tx::ChannelForceProgress(tx) => match &tx.update {
            Update::CallContract { gas, .. } => *gas,
            _ => 0,
        },
        _ => 0,
    };
    fee_gas(tx, protocol).saturating_add(execution)
}

/// The least fee that consensus accepts.
pub fn min_fee(tx: &Tx, protocol: Protocol) -> Coins {
    Coins(u128::from(fee_gas(tx, protocol)).saturating_mul(MIN_GAS_PRICE.0))
}

/// The price of a unit of gas that a miner sees: the fee per unit, or the price of the contract call where that is lower.
/// None for an off-chain transaction.
pub fn effective_gas_price(tx: &Tx, protocol: Protocol) -> Option<Coins> {
    let gas = u128::from(fee_gas(tx, protocol));
    let of_fee = (gas > 0).then(|| tx.fee().0.div_ceil(gas))?;
    Some(Coins(gas_price(tx).map_or(of_fee, |price| price.0.min(of_fee))))
}

/// The gas price that a transaction names for what it executes.
pub fn gas_price(tx: &Tx) -> Option<Coins> {
    match tx {
        Tx::ChannelForceProgress(tx) => match &tx.update {
            Update::CallContract { gas_price, .. } => Some(Coins(*gas_price)),
            _ => None,
        },
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

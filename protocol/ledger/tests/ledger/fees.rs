//! Choosing fees, splitting them, and what depends on them.

use proptest::prelude::*;
use strait_encoding::Coins;
use strait_ledger::{
    FeeError, MIN_GAS_PRICE, Protocol, Tx, choose_fee, fee_gas, min_depth_by_fee, min_fee, split_mutual_close,
};

use crate::support::{balances, create, spend};

const CERES: Protocol = Protocol::Ceres;

fn free() -> Tx {
    Tx::from(spend(1, 2, 1, 1)).with_fee(Coins::ZERO)
}

#[test]
fn a_given_fee_is_taken_as_it_is() {
    let enough = min_fee(&free(), CERES).checked_mul(2).unwrap();
    assert_eq!(choose_fee(free(), Some(enough), None, CERES).unwrap().fee(), enough);
}

#[test]
fn a_given_gas_price_pays_for_the_size_that_the_fee_itself_has() {
    let price = Coins(1_000_000_000_000_000_000);
    let tx = choose_fee(free(), None, Some(price), CERES).unwrap();
    assert!(fee_gas(&tx, CERES) > fee_gas(&free(), CERES), "a large fee makes the transaction larger");
    assert_eq!(tx.fee(), price.checked_mul(fee_gas(&tx, CERES).into()).unwrap());
}

#[test]
fn of_fee_and_gas_price_the_larger_result_counts() {
    let price = Coins(2_000_000_000);
    let priced = choose_fee(free(), None, Some(price), CERES).unwrap().fee();
    for (fee, expected) in [(Coins(priced.0 - 1), priced), (Coins(priced.0 + 1), Coins(priced.0 + 1))] {
        assert_eq!(choose_fee(free(), Some(fee), Some(price), CERES).unwrap().fee(), expected);
    }
}

#[test]
fn what_the_chain_would_refuse_is_refused() {
    let minimum = min_fee(&free().with_fee(Coins(1_000_000)), CERES);
    let fee = Coins(1_000_000);
    assert_eq!(choose_fee(free(), Some(fee), None, CERES), Err(FeeError::TooLow { fee, minimum }));
    choose_fee(free(), None, Some(MIN_GAS_PRICE), CERES).expect("the least price is enough");
    let below = Coins(MIN_GAS_PRICE.0 - 1);
    assert!(matches!(choose_fee(free(), None, Some(below), CERES), Err(FeeError::TooLow { .. })));
    let gas_price = Coins(u128::MAX);
    assert_eq!(choose_fee(free(), None, Some(gas_price), CERES), Err(FeeError::TooLarge { gas_price }));
}

#[test]
fn the_fee_of_a_create_is_the_one_that_the_sdk_expects() {
    // `docs/protocol/test_vectors` §3: 134 bytes.
    let mut create = create(1);
    create.delegate_ids = strait_ledger::Delegates::Each { initiator: Vec::new(), responder: Vec::new() };
    (create.initiator_amount, create.responder_amount) =
        (Coins(500_000_000_000_000), Coins(500_000_000_000_000));
    (create.channel_reserve, create.lock_period) = (Coins(0), 1);
    create.state_hash = balances(490_000_000_000_000, 510_000_000_000_000).state_hash();
    let tx = choose_fee(create.into(), None, None, CERES).unwrap();
    assert_eq!((tx.encode().len(), tx.fee()), (134, Coins(17_680_000_000_000)));
}

#[test]
fn a_fee_is_split_in_halves_if_both_can_pay() {
    // `docs/protocol/channel_txs` §4.4, one case of each branch.
    let cases = [
        ((100, 50), 11, Some((94, 45))),
        ((5, 50), 11, Some((0, 44))),
        ((100, 3), 11, Some((92, 0))),
        ((3, 100), 11, Some((0, 92))),
        ((6, 5), 11, Some((0, 0))),
        ((5, 5), 11, None),
        ((0, 0), 0, Some((0, 0))),
    ];
    for ((initiator, responder), fee, split) in cases {
        let found = split_mutual_close(Coins(initiator), Coins(responder), Coins(fee));
        assert_eq!(found, split.map(|(i, r)| (Coins(i), Coins(r))), "{initiator} {responder} {fee}");
    }
}

#[test]
fn depth_grows_with_the_root_of_the_fee() {
    const UNIT: u128 = 1_000_000_000;
    let cases = [
        (0, 10, 0),
        (1, 10, 1),
        (UNIT, 10, 1),
        (UNIT + 1, 10, 2),
        (1024 * UNIT, 10, 2),
        (1024 * UNIT + 1, 10, 3),
        // The default fee of a create transaction: the tenth root of 17680 is 2.66.
        (17_680 * UNIT, 10, 3),
        (59_049 * UNIT, 10, 3),
        (1000 * UNIT, 3, 10),
        (7 * UNIT, 1, 7),
        (u128::MAX, 1, u64::MAX),
        (u128::MAX, u32::MAX, 2),
        (17_680 * UNIT, 0, 1),
    ];
    for (fee, factor, depth) in cases {
        assert_eq!(min_depth_by_fee(Coins(fee), factor), depth, "{fee} {factor}");
    }
}

proptest! {
    #[test]
    fn a_split_neither_makes_nor_loses_coins(i in 0..1u128 << 100, r in 0..1u128 << 100, fee in 0..1u128 << 101) {
        match split_mutual_close(Coins(i), Coins(r), Coins(fee)) {
            Some((left, right)) => {
                prop_assert_eq!(left.0 + right.0 + fee, i + r);
                prop_assert!(left.0 <= i && right.0 <= r);
            }
            None => prop_assert!(i + r < fee),
        }
    }

    #[test]
    fn a_fee_by_gas_price_covers_its_own_size(price in 1_000_000..u64::MAX, amount in any::<u128>()) {
        let price = Coins(price.into());
        let tx = choose_fee(spend(1, 2, amount, 1).into(), None, Some(price), CERES).unwrap();
        prop_assert!(tx.fee() >= price.checked_mul(fee_gas(&tx, CERES).into()).unwrap());
    }

    #[test]
    fn depth_is_the_least_number_whose_power_reaches_the_fee(fee in any::<u64>(), factor in 1..12u32) {
        let depth = u128::from(min_depth_by_fee(Coins(fee.into()), factor));
        let reaches = |depth: u128| depth.pow(factor).saturating_mul(1_000_000_000) >= fee.into();
        prop_assert!(reaches(depth) && (depth == 0 || !reaches(depth - 1)));
    }
}

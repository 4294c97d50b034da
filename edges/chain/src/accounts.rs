//! The prefunded accounts: everybody knows their keys.

use strait_encoding::hash::blake2b;
use strait_encoding::{Coins, SecretKey};

/// How many there are.
const ACCOUNTS: u8 = 20;

/// The seed of account 0: the key that the tests of the JS SDK fund theirs from (`docs/protocol/chain_service` §7), here
/// as bytes, `sk_2CuofqWZHrABCrM7GY95YSQn8PyFvKQadnvFnpwhjUnDCFAWmf` in text form.
const SDK_SEED: [u8; 32] = [
    0x9e, 0xbd, 0x7b, 0xed, 0xa0, 0xc7, 0x9a, 0xf7, 0x2a, 0x42, 0xec, 0xe3, 0x82, 0x1a, 0x56, 0xef, 0xf1,
    0x63, 0x59, 0xb6, 0xdf, 0x37, 0x6c, 0xf0, 0x49, 0xae, 0xe9, 0x95, 0x56, 0x5f, 0x02, 0x2f,
];
const SDK_BALANCE: Coins = Coins(10_u128.pow(22));
const BALANCE: Coins = Coins(10_u128.pow(21));

/// An account that has coins from the first block on, with its key.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// The key, known to everybody.
    pub key: SecretKey,
    /// Its coins in the first block.
    pub balance: Coins,
}

/// The 20 prefunded accounts, always the same and in the same order.
///
/// Number 0 is the key of the JS SDK's tests, with 10^22 aettos. The seed of number `n`, 1 to 19, is the BLAKE2b-256 hash
/// of the text `strait dev account n`, the number in decimal; each has 10^21 aettos.
pub fn dev_accounts() -> Vec<DevAccount> {
    let sdk = DevAccount { key: SecretKey::from_seed(SDK_SEED), balance: SDK_BALANCE };
    let derived = (1..ACCOUNTS).map(|number| {
        let seed = blake2b(format!("strait dev account {number}").as_bytes());
        DevAccount { key: SecretKey::from_seed(seed), balance: BALANCE }
    });
    std::iter::once(sdk).chain(derived).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_the_key_of_the_sdk() {
        let first = &dev_accounts()[0];
        assert_eq!(first.key.expose(), "sk_2CuofqWZHrABCrM7GY95YSQn8PyFvKQadnvFnpwhjUnDCFAWmf");
        assert_eq!(first.key.account().to_string(), "ak_21A27UVVt3hDkBE5J7rhhqnH5YNb4Y1dqo4PnSybrH85pnWo7E");
        assert_eq!(first.balance.to_string(), "10000000000000000000000");
    }

    #[test]
    fn the_others_come_from_their_numbers() {
        let accounts = dev_accounts();
        assert_eq!(accounts.len(), 20);
        // `printf 'strait dev account 19' | b2sum -l 256`
        let seed = "08b61190627bc84c77cb2e9f21ae556d8ddb24d4f9afbb9e7b6388bbd0e749d3";
        let text = accounts[19].key.expose();
        assert_eq!(text.parse::<SecretKey>().unwrap().account(), accounts[19].key.account());
        assert_eq!(
            strait_encoding::text::decode(strait_encoding::Prefix::SecretKey, &text).unwrap(),
            unhex(seed)
        );
        assert_eq!(accounts[19].balance.to_string(), "1000000000000000000000");
    }

    fn unhex(digits: &str) -> Vec<u8> {
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }
}

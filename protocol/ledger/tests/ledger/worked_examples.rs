//! Examples that were computed without this code (`vectors/worked_examples.json`).

use serde_json::Value;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Coins, Nonce};
use strait_ledger::{Account, Protocol, SignedTx, Trees, Tx, choose_fee, fee_gas};

fn examples(list: &str) -> Vec<Value> {
    let mut all: Value = serde_json::from_str(include_str!("../vectors/worked_examples.json")).unwrap();
    serde_json::from_value(all[list].take()).unwrap()
}

#[test]
fn state_hashes() {
    let examples = examples("state_hash");
    assert_eq!(examples.len(), 5);
    for example in examples {
        let mut trees = Trees::default();
        for (id, account) in example["accounts"].as_object().unwrap() {
            let (nonce, balance) = (account["nonce"].as_u64().unwrap(), account["balance"].as_u64().unwrap());
            let account = Account { nonce: Nonce(nonce), ..Account::new(Coins(balance.into())) };
            trees.set_account(id.parse().unwrap(), &account);
        }
        assert_eq!(trees.accounts.root().map(hex::encode).as_deref(), example["accounts_root"].as_str());
        assert_eq!(trees.state_hash().to_string(), example["api"].as_str().unwrap());
    }
}

#[test]
fn sizes_and_default_fees() {
    let examples = examples("txs_with_default_fee");
    assert_eq!(examples.len(), 5);
    for example in examples {
        let bytes =
            |field: &str| text::decode(Prefix::Transaction, example[field].as_str().unwrap()).unwrap();
        let tx = Tx::decode(&bytes("unsigned")).unwrap();
        assert_eq!(tx.encode(), bytes("unsigned"));
        assert_eq!(Some(tx.encode().len() as u64), example["size"].as_u64());
        assert_eq!(Some(fee_gas(&tx, Protocol::Ceres)), example["gas"].as_u64());
        assert_eq!(Some(tx.fee()), example["fee"].as_u64().map(|fee| Coins(fee.into())));
        let free = tx.clone().with_fee(Coins::ZERO);
        assert_eq!(choose_fee(free, None, None, Protocol::Ceres).unwrap(), tx);
        assert_eq!(SignedTx::unsigned(tx.clone()).encode(), bytes("wrapped_unsigned"));
        assert_eq!(SignedTx::decode(&bytes("wrapped_unsigned")).unwrap().tx(), &tx);
    }
}

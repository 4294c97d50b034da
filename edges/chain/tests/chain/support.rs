//! Chains and transactions for the tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use strait_chain::{DevChain, DevChainConfig, dev_accounts, genesis_accounts};
use strait_encoding::{AccountId, Coins, Height, Id, NetworkId, Nonce, SecretKey, SignedForm};
use strait_ledger::{
    Chain, ChainConfig, ChainView, CloseSoloTx, CreateTx, Delegates, Payload, ProofBytes, SettleTx, SignedTx,
    SpendPayload, SpendTx, StateProof, Tx, TxLocation, initial_trees,
};

/// No test waits for it: a chain with this interval mines on demand only.
pub const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// More than any transaction of these tests needs.
pub const FEE: Coins = Coins(100_000_000_000_000);

pub fn network() -> NetworkId {
    NetworkId("ae_dev".to_owned())
}

/// A prefunded key.
pub fn key(number: usize) -> SecretKey {
    dev_accounts().swap_remove(number).key
}

pub fn account(number: usize) -> AccountId {
    key(number).account()
}

pub fn ledger() -> ChainConfig {
    ChainConfig::new(network(), genesis_accounts("{}").unwrap())
}

/// Mines on demand only.
pub fn config(dir: &Path) -> DevChainConfig {
    DevChainConfig {
        key_block_interval: NEVER,
        awaited_interval: NEVER,
        ..DevChainConfig::new(ledger(), dir.to_owned())
    }
}

pub fn open(dir: &Path) -> DevChain {
    DevChain::open(config(dir)).unwrap()
}

/// `tx` signed by prefunded accounts.
pub fn signed(tx: impl Into<Tx>, signers: &[usize]) -> SignedTx {
    let tx = SignedTx::unsigned(tx);
    let bytes = tx.unsigned_bytes().to_vec();
    signers
        .iter()
        .fold(tx, |tx, number| tx.with_signature(key(*number).sign(&network(), &bytes, SignedForm::Hash)))
}

/// Account `from` sends one aetto to account 19.
pub fn spend(from: usize, nonce: u64) -> SignedTx {
    let tx = SpendTx {
        sender_id: account(from),
        recipient_id: Id::Account(account(19)),
        amount: Coins(1),
        fee: FEE,
        ttl: Height(0),
        nonce: Nonce(nonce),
        payload: SpendPayload::default(),
    };
    signed(tx, &[from])
}

/// Account 1 opens a channel with account 2: 100 and 50 aettos.
pub fn create(lock_period: u64, nonce: u64) -> CreateTx {
    CreateTx {
        initiator_id: account(1),
        initiator_amount: Coins(100),
        responder_id: account(2),
        responder_amount: Coins(50),
        channel_reserve: Coins(0),
        lock_period,
        ttl: Height(0),
        fee: FEE,
        delegate_ids: Delegates::Each { initiator: Vec::new(), responder: Vec::new() },
        state_hash: initial_trees(account(1), account(2), Coins(100), Coins(50)).state_hash(),
        nonce: Nonce(nonce),
    }
}

/// Account 1 closes it with its first state.
pub fn close_solo(channel: &CreateTx, nonce: u64) -> SignedTx {
    let trees = initial_trees(account(1), account(2), Coins(100), Coins(50));
    let mut proof = StateProof::new(&trees);
    for number in [1, 2] {
        proof.add_account(&trees, account(number)).unwrap();
    }
    let tx = CloseSoloTx {
        channel_id: channel.channel_id(),
        from_id: account(1),
        payload: Payload::default(),
        poi: ProofBytes(proof.encode()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    };
    signed(tx, &[1])
}

/// Account 1 takes out what the solo close fixed.
pub fn settle(channel: &CreateTx, nonce: u64) -> SignedTx {
    let tx = SettleTx {
        channel_id: channel.channel_id(),
        from_id: account(1),
        initiator_amount_final: Coins(100),
        responder_amount_final: Coins(50),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    };
    signed(tx, &[1])
}

/// The height of the generation that holds a transaction, once it does.
pub fn mined_at(chain: &Chain, tx: &SignedTx) -> Option<Height> {
    match chain.locate_tx(&tx.hash()) {
        TxLocation::InBlock { height, .. } => Some(height),
        TxLocation::Pool | TxLocation::Gone | TxLocation::Unknown => None,
    }
}

/// Waits until a transaction is in a block: the height of its generation.
pub async fn until_mined(chain: &DevChain, tx: &SignedTx) -> Height {
    let mut tops = chain.tops();
    loop {
        if let Some(height) = mined_at(&chain.view(), tx) {
            return height;
        }
        tops.changed().await.unwrap();
    }
}

/// What can be told from outside of two chains that should be the same.
pub fn summary(chain: &Chain) -> (String, BTreeMap<String, TxLocation>) {
    let mut locations = BTreeMap::new();
    for height in 0..=chain.top_height().0 {
        for block in chain.generation(Height(height)) {
            locations.extend(block.txs.iter().map(|tx| (tx.hash().to_string(), chain.locate_tx(&tx.hash()))));
        }
    }
    locations.extend(chain.pending().map(|tx| (tx.hash().to_string(), TxLocation::Pool)));
    (format!("{:?} {}", chain.top().hash(), chain.top_state().state_hash()), locations)
}

//! Keys, transactions and chains for the tests.

use std::collections::BTreeMap;

use strait_encoding::{
    AccountId, ChannelId, Coins, Height, Id, NetworkId, Nonce, Round, SecretKey, SignedForm, StateHash,
};
use strait_ledger::{
    Chain, ChainConfig, CloseMutualTx, CloseSoloTx, CreateTx, Delegates, DepositTx, OffchainTx, Payload,
    ProofBytes, SettleTx, SignedTx, SlashTx, SpendPayload, SpendTx, StateProof, Trees, Tx, WithdrawTx,
    initial_trees,
};

/// A fee that every transaction of these tests can pay: twice what the largest one needs.
pub const FEE: Coins = Coins(60_000_000_000_000);
/// What every account of these tests has at first.
pub const RICH: Coins = Coins(1_000_000_000_000_000_000);

pub fn network() -> NetworkId {
    NetworkId("ae_dev".to_owned())
}

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

pub fn account(number: u8) -> AccountId {
    key(number).account()
}

/// `tx` with the plain signatures of these keys.
pub fn signed(tx: impl Into<Tx>, signers: &[u8]) -> SignedTx {
    let tx = SignedTx::unsigned(tx);
    let bytes = tx.unsigned_bytes().to_vec();
    signers
        .iter()
        .fold(tx, |tx, number| tx.with_signature(key(*number).sign(&network(), &bytes, SignedForm::Plain)))
}

/// A chain at height 1 with four rich accounts, 1 to 4.
pub fn chain() -> Chain {
    chain_with(|_| {})
}

/// As [`chain`], with other settings.
pub fn chain_with(change: impl FnOnce(&mut ChainConfig)) -> Chain {
    let accounts: BTreeMap<_, _> = (1..=4).map(|number| (account(number), RICH)).collect();
    let mut config = ChainConfig::new(network(), accounts);
    change(&mut config);
    let mut chain = Chain::new(config);
    chain.mine_key_block(1_000);
    chain
}

pub fn spend(from: u8, to: u8, amount: u128, nonce: u64) -> SpendTx {
    SpendTx {
        sender_id: account(from),
        recipient_id: Id::Account(account(to)),
        amount: Coins(amount),
        fee: FEE,
        ttl: Height(0),
        nonce: Nonce(nonce),
        payload: SpendPayload::default(),
    }
}

/// Account 1 opens with account 2: 100 and 50 coins, a reserve of 10, a lock period of 5.
pub fn create(nonce: u64) -> CreateTx {
    CreateTx {
        initiator_id: account(1),
        initiator_amount: Coins(100),
        responder_id: account(2),
        responder_amount: Coins(50),
        channel_reserve: Coins(10),
        lock_period: 5,
        ttl: Height(0),
        fee: FEE,
        delegate_ids: Delegates::Each { initiator: vec![account(3)], responder: vec![account(4)] },
        state_hash: balances(100, 50).state_hash(),
        nonce: Nonce(nonce),
    }
}

/// The off-chain state in which account 1 and account 2 have these balances.
pub fn balances(initiator: u128, responder: u128) -> Trees {
    initial_trees(account(1), account(2), Coins(initiator), Coins(responder))
}

/// A proof of the accounts 1 and 2.
pub fn proof(trees: &Trees) -> ProofBytes {
    let mut proof = StateProof::new(trees);
    for number in [1, 2] {
        proof.add_account(trees, account(number)).unwrap();
    }
    ProofBytes(proof.encode())
}

/// A round that both signed.
pub fn agreed(channel: ChannelId, round: u64, state_hash: StateHash) -> Payload {
    let tx = OffchainTx { channel_id: channel, round: Round(round), state_hash };
    Payload(signed(tx, &[1, 2]).encode())
}

pub fn deposit(channel: ChannelId, from: u8, amount: u128, round: u64, nonce: u64) -> DepositTx {
    DepositTx {
        channel_id: channel,
        from_id: account(from),
        amount: Coins(amount),
        ttl: Height(0),
        fee: FEE,
        state_hash: StateHash([7; 32]),
        round: Round(round),
        nonce: Nonce(nonce),
    }
}

pub fn withdraw(channel: ChannelId, to: u8, amount: u128, round: u64, nonce: u64) -> WithdrawTx {
    WithdrawTx {
        channel_id: channel,
        to_id: account(to),
        amount: Coins(amount),
        ttl: Height(0),
        fee: FEE,
        state_hash: StateHash([7; 32]),
        round: Round(round),
        nonce: Nonce(nonce),
    }
}

pub fn close_mutual(channel: ChannelId, from: u8, split: (u128, u128), nonce: u64) -> CloseMutualTx {
    CloseMutualTx {
        channel_id: channel,
        from_id: account(from),
        initiator_amount_final: Coins(split.0),
        responder_amount_final: Coins(split.1),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    }
}

pub fn settle(channel: ChannelId, from: u8, split: (u128, u128), nonce: u64) -> SettleTx {
    SettleTx {
        channel_id: channel,
        from_id: account(from),
        initiator_amount_final: Coins(split.0),
        responder_amount_final: Coins(split.1),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    }
}

/// A solo close with the state that the create transaction fixed.
pub fn close_solo(channel: ChannelId, from: u8, nonce: u64) -> CloseSoloTx {
    CloseSoloTx {
        channel_id: channel,
        from_id: account(from),
        payload: Payload::default(),
        poi: proof(&balances(100, 50)),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    }
}

/// A slash with a round in which the balances are 80 and 70.
pub fn slash(channel: ChannelId, from: u8, round: u64, nonce: u64) -> SlashTx {
    let trees = balances(80, 70);
    SlashTx {
        channel_id: channel,
        from_id: account(from),
        payload: agreed(channel, round, trees.state_hash()),
        poi: proof(&trees),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    }
}

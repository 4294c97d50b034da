//! What transactions paid lately, for clients that choose a fee.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};
use strait_encoding::{BlockHash, Coins, Height};
use strait_ledger::{Block, Chain, ChainView, fee};

use crate::answer::Answer;
use crate::ask::Ask;

/// The spans, in minutes, that are reported.
const MINUTES: [u64; 4] = [1, 5, 15, LONGEST];
const LONGEST: u64 = 60;

const MINUTE_MS: u64 = 60_000;

/// `/recent-gas-prices`: for each span the least price of a unit of gas that was paid, 0 where nothing was, and how full
/// the micro blocks were, in percent.
pub(crate) fn recent(ask: &Ask<'_>) -> Answer {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(ask.paid.recent(ask.chain, u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// What the blocks of the longest span used and paid, so that each is looked into once: the last one first.
#[derive(Default)]
pub(crate) struct Paid(Mutex<VecDeque<Seen>>);

/// A block that was looked into.
struct Seen {
    hash: BlockHash,
    height: Height,
    time_ms: u64,
    usage: Usage,
}

/// What micro blocks used and paid.
#[derive(Clone, Copy, Default)]
struct Usage {
    least_price: Option<Coins>,
    gas: u128,
    capacity: u128,
}

impl Paid {
    fn recent(&self, chain: &Chain, now_ms: u64) -> Value {
        // Nothing can panic under the lock.
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        follow(&mut line, chain, now_ms.saturating_sub(LONGEST * MINUTE_MS));
        let (mut usage, mut blocks) = (Usage::default(), line.iter().peekable());
        let spans = MINUTES.iter().map(|minutes| {
            let begin = now_ms.saturating_sub(minutes * MINUTE_MS);
            while let Some(block) = blocks.next_if(|block| block.time_ms >= begin) {
                usage.add(&block.usage);
            }
            json!({
                "minutes": minutes,
                "min_gas_price": usage.least_price.unwrap_or_default(),
                "utilization": usage.percent(),
            })
        });
        spans.collect()
    }
}

/// Brings the line to the top of the chain, and lets go of what is older than `begin`.
fn follow(line: &mut VecDeque<Seen>, chain: &Chain, begin: u64) {
    let (mut fresh, mut block, mut known) = (Vec::new(), Some(chain.top()), line.len());
    while let Some(recent) = block.filter(|block| block.header.time_ms >= begin) {
        let (hash, height) = (recent.header.hash(), recent.header.height);
        let mut not_below = line.iter().take_while(|seen| seen.height >= height);
        if let Some(place) = not_below.position(|seen| seen.hash == hash) {
            known = place;
            break;
        }
        let usage = Usage::of(recent, chain);
        fresh.push(Seen { hash, height, time_ms: recent.header.time_ms, usage });
        // The chain ends where its blocks are forgotten.
        block = chain.block(&recent.header.prev_hash);
    }
    // What comes before the place left the chain; without one, nothing of the line is in it any more.
    line.drain(..known);
    fresh.into_iter().rev().for_each(|seen| line.push_front(seen));
    while line.back().is_some_and(|seen| seen.time_ms < begin) {
        line.pop_back();
    }
}

impl Usage {
    fn of(block: &Block, chain: &Chain) -> Self {
        if block.header.is_key() {
            return Self::default();
        }
        let (protocol, limit) = (chain.protocol(), chain.config().block_gas_limit);
        let mut usage = Self { capacity: u128::from(limit), ..Self::default() };
        for tx in &block.txs {
            let gas = u128::from(fee::block_gas(tx.tx(), protocol));
            let least_price = fee::effective_gas_price(tx.tx(), protocol);
            usage.add(&Self { least_price, gas, capacity: 0 });
        }
        usage
    }

    fn add(&mut self, other: &Usage) {
        self.least_price = self.least_price.into_iter().chain(other.least_price).min();
        self.gas = self.gas.saturating_add(other.gas);
        self.capacity = self.capacity.saturating_add(other.capacity);
    }

    fn percent(&self) -> u128 {
        // Rounded to the nearest.
        let twice = self.capacity.saturating_mul(2);
        self.gas.saturating_mul(200).saturating_add(self.capacity).checked_div(twice).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use strait_encoding::{Id, NetworkId, Nonce, SecretKey, SignedForm};
    use strait_ledger::{ChainConfig, SignedTx, SpendPayload, SpendTx};

    use super::*;

    const NOW: u64 = 10 * LONGEST * MINUTE_MS;

    fn pays(chain: &mut Chain, nonce: u64, fee: u128) {
        let key = SecretKey::from_seed([1; 32]);
        let tx = SignedTx::unsigned(SpendTx {
            sender_id: key.account(),
            recipient_id: Id::Account(key.account()),
            amount: Coins(1),
            fee: Coins(fee),
            ttl: Height(0),
            nonce: Nonce(nonce),
            payload: SpendPayload::default(),
        });
        let signature = key.sign(chain.network(), tx.unsigned_bytes(), SignedForm::Hash);
        chain.submit(tx.with_signature(signature)).unwrap();
    }

    /// What is said at a time, and by one who sees the chain for the first time.
    fn both(paid: &Paid, chain: &Chain, now_ms: u64) -> [Value; 2] {
        [paid.recent(chain, now_ms), Paid::default().recent(chain, now_ms)]
    }

    #[test]
    fn what_was_seen_before_makes_no_difference() {
        let account = SecretKey::from_seed([1; 32]).account();
        let accounts = [(account, Coins(10_u128.pow(22)))].into();
        let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), accounts));
        let (paid, mut last) = (Paid::default(), Value::Null);
        let mut abandoned = None;
        for round in 1..=20_u64 {
            chain.mine_key_block(NOW + round * MINUTE_MS);
            if round % 3 == 0 {
                pays(&mut chain, round / 3, 20_000_000_000_000 * u128::from(25 - round));
                chain.mine_micro_block(NOW + round * MINUTE_MS + 1);
            }
            if round == 10 {
                abandoned = Some(chain.clone());
            }
            let [seen, fresh] = both(&paid, &chain, NOW + round * MINUTE_MS + 2);
            assert_eq!(seen, fresh, "{round}");
            last = seen;
        }
        // Another branch of the chain from the tenth round on, and then the first one again.
        let mut other = abandoned.unwrap();
        for round in 11..=25 {
            other.mine_key_block(NOW + round * MINUTE_MS);
        }
        let now = NOW + 20 * MINUTE_MS + 2;
        let [seen, fresh] = both(&paid, &other, now);
        assert_eq!(seen, fresh);
        assert_ne!(seen, last);
        assert_eq!(both(&paid, &chain, now), [last.clone(), last]);
        // After a day there is nothing left of it, also not in memory.
        let zero = MINUTES.map(|minutes| json!({ "minutes": minutes, "min_gas_price": 0, "utilization": 0 }));
        let zero: Value = zero.into_iter().collect();
        assert_eq!(both(&paid, &chain, NOW + 24 * LONGEST * MINUTE_MS), [zero.clone(), zero]);
        assert!(paid.0.lock().unwrap().is_empty());
    }
}

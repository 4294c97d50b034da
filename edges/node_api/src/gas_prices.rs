//! What transactions paid lately, for clients that choose a fee.

use std::time::SystemTime;

use serde_json::{Value, json};
use strait_encoding::Coins;
use strait_ledger::{Block, Chain, ChainView, fee};

use crate::answer::Answer;
use crate::ask::Ask;

/// The spans, in minutes, that are reported.
const MINUTES: [u64; 4] = [1, 5, 15, 60];

/// What micro blocks used and paid.
#[derive(Clone, Copy, Default)]
struct Usage {
    least_price: Option<Coins>,
    gas: u128,
    capacity: u128,
}

/// `/recent-gas-prices`: for each span the least price of a unit of gas that was paid, 0 where nothing was, and how full
/// the micro blocks were, in percent.
pub(crate) fn recent(ask: &Ask<'_>) -> Answer {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(recent_at(ask.chain, u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

fn recent_at(chain: &Chain, now_ms: u64) -> Value {
    let (mut usage, mut block) = (Usage::default(), Some(chain.top()));
    let spans = MINUTES.iter().map(|minutes| {
        let begin = now_ms.saturating_sub(minutes * 60_000);
        while let Some(recent) = block.filter(|block| block.header.time_ms >= begin) {
            usage.add(recent, chain);
            // The chain ends where its blocks are forgotten.
            block = chain.block(&recent.header.prev_hash);
        }
        json!({
            "minutes": minutes,
            "min_gas_price": usage.least_price.unwrap_or_default(),
            "utilization": usage.percent(),
        })
    });
    spans.collect()
}

impl Usage {
    fn add(&mut self, block: &Block, chain: &Chain) {
        if block.header.is_key() {
            return;
        }
        let protocol = chain.protocol();
        self.capacity += u128::from(chain.config().block_gas_limit);
        for tx in &block.txs {
            self.gas += u128::from(fee::block_gas(tx.tx(), protocol));
            let price = fee::effective_gas_price(tx.tx(), protocol);
            self.least_price = self.least_price.into_iter().chain(price).min();
        }
    }

    fn percent(&self) -> u128 {
        // Rounded to the nearest.
        (200 * self.gas + self.capacity).checked_div(2 * self.capacity).unwrap_or(0)
    }
}

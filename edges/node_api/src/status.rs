//! What a node says of itself.

use std::time::Duration;

use serde_json::json;
use strait_encoding::text::{self, Prefix};
use strait_ledger::ChainView;

use crate::answer::{Answer, Fault};
use crate::ask::Ask;

/// The version of the node whose interface this is, with ours: the JS SDK asks for one from 7.1.0 to below 8.0.0, and
/// reads up to the plus (`docs/protocol/chain_service` §7).
const NODE_VERSION: &str = concat!("7.2.2+strait.", env!("CARGO_PKG_VERSION"));
const REVISION: &str = concat!("strait-", env!("CARGO_PKG_VERSION"));

/// That of the easiest target.
const DIFFICULTY: u64 = 1 << 24;

/// What nobody needs to look up: a node's settings say the same where they say nothing.
const UNITS_OF_A_COIN: u64 = 1_000_000_000_000_000_000;
const PRIMARY_COLOUR: &str = "#f5274e";
const SECONDARY_COLOUR: &str = "#242424";

/// `/status`. There are no peers, and nothing to synchronize with.
pub(crate) fn status(ask: &Ask<'_>) -> Answer {
    let chain = ask.chain;
    Ok(json!({
        "genesis_key_block_hash": chain.genesis().to_string(),
        "solutions": 0,
        "difficulty": DIFFICULTY,
        "hashrate": 0,
        "syncing": false,
        "sync_progress": 100.0,
        "uptime": uptime(ask.uptime),
        "listening": true,
        "protocols": [
            { "version": chain.protocol().version(), "effective_at_height": 1 },
            { "version": 1, "effective_at_height": 0 },
        ],
        "node_version": NODE_VERSION,
        "node_revision": REVISION,
        "peer_count": 0,
        "peer_connections": { "inbound": 0, "outbound": 0 },
        "pending_transactions_count": chain.pending().count(),
        "network_id": chain.network(),
        "peer_pubkey": nobody(),
        "top_key_block_hash": chain.top().header.key_hash().to_string(),
        "top_block_height": chain.top_height(),
    }))
}

/// `/status/chain-ends`: the main chain's. Branches that lost are not listed.
pub(crate) fn chain_ends(ask: &Ask<'_>) -> Answer {
    Ok(json!([ask.chain.top().header.key_hash().to_string()]))
}

/// `/sync-status`: there is nothing to synchronize with.
pub(crate) fn sync_status(_: &Ask<'_>) -> Answer {
    Err(Fault::not_found("Node is not syncing"))
}

/// `/peers/pubkey`.
pub(crate) fn peer_key(_: &Ask<'_>) -> Answer {
    Ok(json!({ "pubkey": nobody() }))
}

/// `/currency`.
pub(crate) fn currency(ask: &Ask<'_>) -> Answer {
    let network = match ask.chain.network().0.as_str() {
        "ae_mainnet" => "Mainnet",
        "ae_uat" => "Testnet",
        other => other,
    };
    Ok(json!({
        "name": "aeternity",
        "symbol": "AE",
        "subunit": "aetto",
        "subunits_per_unit": UNITS_OF_A_COIN,
        "primary_colour": PRIMARY_COLOUR,
        "secondary_colour": SECONDARY_COLOUR,
        "network_name": network,
    }))
}

/// No peer can be connected to.
fn nobody() -> String {
    text::encode(Prefix::PeerKey, &[0; 32])
}

/// As `5s.12`, `3m:5s.12`, `2h:3m:5s`, `1d:2h:3m:5s`; what follows the point is milliseconds.
fn uptime(up: Duration) -> String {
    let (all, ms) = (up.as_secs(), up.subsec_millis());
    let (days, hours, minutes, seconds) = (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
    match all {
        0..60 => format!("{seconds}s.{ms}"),
        60..3600 => format!("{minutes}m:{seconds}s.{ms}"),
        3600..86_400 => format!("{hours}h:{minutes}m:{seconds}s"),
        _ => format!("{days}d:{hours}h:{minutes}m:{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_written_in_its_largest_units() {
        for (seconds, ms, text) in [
            (0, 7, "0s.7"),
            (59, 999, "59s.999"),
            (61, 0, "1m:1s.0"),
            (3600, 5, "1h:0m:0s"),
            (86_400 + 2 * 3600 + 3 * 60 + 4, 0, "1d:2h:3m:4s"),
        ] {
            assert_eq!(uptime(Duration::from_millis(seconds * 1000 + ms)), text);
        }
    }
}

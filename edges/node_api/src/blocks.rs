//! Blocks and generations.

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{BlockHash, Height, KeyBlockHash, MicroBlockHash, Signature};
use strait_ledger::{Block, BlockKind, BlockLocation, ChainView, Header};

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32};
use crate::param::{INDEX, KEY_BLOCK_HASH, MICRO_BLOCK_HASH};
use crate::transactions;

/// `/key-blocks/current`.
pub(crate) fn current_key_block(ask: &Ask<'_>) -> Answer {
    key_block(ask, ask.chain.top().header.key_hash())
}

/// `/key-blocks/current/hash`.
pub(crate) fn current_key_hash(ask: &Ask<'_>) -> Answer {
    Ok(json!({ "hash": ask.chain.top().header.key_hash().to_string() }))
}

/// `/key-blocks/current/height`.
pub(crate) fn current_height(ask: &Ask<'_>) -> Answer {
    Ok(json!({ "height": ask.chain.top_height() }))
}

/// `/key-blocks/pending`: as a node says that mines for nobody.
pub(crate) fn pending_key_block(_: &Ask<'_>) -> Answer {
    Err(Fault::bad_request("Beneficiary not configured").code("beneficiary_not_configured"))
}

/// `/key-blocks/hash/{hash}`.
pub(crate) fn key_block_by_hash(ask: &Ask<'_>) -> Answer {
    let hash = bytes32(ask.in_path(&KEY_BLOCK_HASH), &[Prefix::KeyBlock])
        .map_err(|_| Fault::bad_request("Invalid hash"))?;
    key_block(ask, KeyBlockHash(hash))
}

/// `/key-blocks/height/{height}`.
pub(crate) fn key_block_by_height(ask: &Ask<'_>) -> Answer {
    let height = ask.height()?;
    match ask.chain.key_block_at(height) {
        Some(hash) => key_block(ask, hash),
        None => Err(not_found(if height > ask.chain.top_height() {
            "chain_too_short"
        } else {
            "block_not_found"
        })),
    }
}

/// `/generations/current`.
pub(crate) fn current_generation(ask: &Ask<'_>) -> Answer {
    generation(ask, ask.chain.top_height())
}

/// `/generations/hash/{hash}`.
pub(crate) fn generation_by_hash(ask: &Ask<'_>) -> Answer {
    let hash = BlockHash::new(ask.hash(&KEY_BLOCK_HASH, Prefix::KeyBlock)?);
    match (ask.chain.locate_block(&hash), ask.chain.block(&hash)) {
        (BlockLocation::Main(height), Some(block)) if block.header.is_key() => generation(ask, height),
        _ => Err(Fault::bad_request("Hash not on main chain")),
    }
}

/// `/generations/height/{height}`.
pub(crate) fn generation_by_height(ask: &Ask<'_>) -> Answer {
    generation(ask, ask.height()?)
}

/// `/micro-blocks/hash/{hash}/header`.
pub(crate) fn micro_block_header(ask: &Ask<'_>) -> Answer {
    micro_block(ask).map(|block| header(&block.header))
}

/// `/micro-blocks/hash/{hash}/transactions`.
pub(crate) fn micro_block_transactions(ask: &Ask<'_>) -> Answer {
    let block = micro_block(ask)?;
    let txs: Value = block.txs.iter().map(|tx| transactions::to_json(tx, location(block))).collect();
    Ok(json!({ "transactions": txs }))
}

/// `/micro-blocks/hash/{hash}/transactions/count`.
pub(crate) fn micro_block_count(ask: &Ask<'_>) -> Answer {
    micro_block(ask).map(|block| json!({ "count": block.txs.len() }))
}

/// `/micro-blocks/hash/{hash}/transactions/index/{index}`, counted from 1.
pub(crate) fn micro_block_transaction(ask: &Ask<'_>) -> Answer {
    let wrong = || Fault::bad_request("Invalid hash or index");
    let place = ask.number(&INDEX)?.and_then(|index| usize::try_from(index).ok()?.checked_sub(1));
    let hash = bytes32(ask.in_path(&MICRO_BLOCK_HASH), &[Prefix::MicroBlock]).map_err(|_| wrong())?;
    let block = ask.chain.block(&MicroBlockHash(hash).into()).filter(|block| !block.header.is_key());
    let block = block.ok_or_else(|| Fault::not_found("Block not found"))?;
    let tx = place.and_then(|place| block.txs.get(place)).ok_or_else(wrong)?;
    Ok(transactions::to_json(tx, location(block)))
}

/// `/headers/top`.
pub(crate) fn top_header(ask: &Ask<'_>) -> Answer {
    Ok(header(&ask.chain.top().header))
}

/// `/blocks/top` of the older interface.
pub(crate) fn top_block(ask: &Ask<'_>) -> Answer {
    let top = &ask.chain.top().header;
    Ok(if top.is_key() { json!({ "key_block": header(top) }) } else { json!({ "micro_block": header(top) }) })
}

fn key_block(ask: &Ask<'_>, hash: KeyBlockHash) -> Answer {
    match ask.chain.block(&hash.into()) {
        Some(block) if block.header.is_key() => Ok(header(&block.header)),
        Some(_) => Err(not_found("no_key_block")),
        None => Err(Fault::not_found("Block not found")),
    }
}

fn generation(ask: &Ask<'_>, height: Height) -> Answer {
    let mut blocks = ask.chain.generation(height);
    let Some(key_block) = blocks.next() else {
        let is_forgotten = height <= ask.chain.top_height();
        return Err(Fault::not_found(if is_forgotten { "Block not found" } else { "Chain too short" }));
    };
    let micro_blocks: Value =
        blocks.filter_map(|block| block.header.micro_hash()).map(|hash| hash.to_string()).collect();
    Ok(json!({ "key_block": header(&key_block.header), "micro_blocks": micro_blocks }))
}

fn micro_block<'a>(ask: &Ask<'a>) -> Result<&'a Block, Fault> {
    let hash = MicroBlockHash(ask.hash(&MICRO_BLOCK_HASH, Prefix::MicroBlock)?);
    let block = ask.chain.block(&hash.into()).filter(|block| !block.header.is_key());
    block.ok_or_else(|| not_found("block_not_found"))
}

fn not_found(code: &str) -> Fault {
    Fault::not_found("Block not found").code(code)
}

fn location(block: &Block) -> Option<(MicroBlockHash, Height)> {
    block.header.micro_hash().map(|hash| (hash, block.header.height))
}

/// The JSON of a header. Nobody worked for a key block, so it has neither proof nor nonce.
fn header(header: &Header) -> Value {
    let mut json = json!({
        "hash": hash_text(header.hash(), header.is_key()),
        "height": header.height,
        // What follows its generation's key block has that as both.
        "prev_hash": hash_text(header.prev_hash, header.prev_hash == header.prev_key_hash.into()),
        "prev_key_hash": header.prev_key_hash.to_string(),
        "state_hash": header.state_hash.to_string(),
        "time": header.time_ms,
        "version": header.version,
    });
    match header.kind {
        BlockKind::Key { miner } => {
            json["miner"] = miner.to_string().into();
            json["beneficiary"] = miner.to_string().into();
            json["target"] = header.target().into();
            json["info"] = text::encode(Prefix::ContractBytes, &[]).into();
        }
        BlockKind::Micro { txs_hash } => {
            json["pof_hash"] = "no_fraud".into();
            json["signature"] = Signature([0; 64]).to_string().into();
            json["txs_hash"] = text::encode(Prefix::BlockTxsHash, &txs_hash.0).into();
        }
    }
    json
}

fn hash_text(hash: BlockHash, is_key: bool) -> String {
    let prefix = if is_key { Prefix::KeyBlock } else { Prefix::MicroBlock };
    text::encode(prefix, hash.as_bytes())
}

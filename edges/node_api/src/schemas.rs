//! The shapes of answers and bodies by the names that they have in the node's own document, so that what is generated
//! from one fits the other (`docs/protocol/chain_service` §4).

use crate::shape::Shape::{Either, Flag, Fraction, Integer, List, Named, Object, Text, Word};
use crate::shape::{Field, Shape, may, must};

const UINT: Shape = Named("UInt");
const UINT16: Shape = Named("UInt16");
const UINT32: Shape = Named("UInt32");
const UINT64: Shape = Named("UInt64");
const HASH: Shape = Named("EncodedHash");
const PUBKEY: Shape = Named("EncodedPubkey");
const BYTES: Shape = Named("EncodedByteArray");
const VALUE: Shape = Named("EncodedValue");
const PUBKEYS: Shape = List(&PUBKEY);
const TEXT: Shape = Text("");

/// Every schema by its name. A table.
pub(crate) const SCHEMAS: &[(&str, Shape)] = &[
    ("UInt", Integer(Some(0), None)),
    ("UInt16", Integer(Some(0), Some(u16::MAX as i128))),
    ("UInt32", Integer(Some(0), Some(u32::MAX as i128))),
    ("UInt64", Integer(Some(0), Some(u64::MAX as i128))),
    ("TxBlockHeight", Integer(Some(-1), Some(u64::MAX as i128))),
    ("EncodedHash", Text("A hash: two letters, an underscore, base58 with a checksum")),
    ("EncodedPubkey", Text("A public key or an id: two letters, an underscore, base58 with a checksum")),
    ("EncodedByteArray", Text("Bytes: two letters, an underscore, base64 with a checksum")),
    (
        "EncodedValue",
        Text("Any other text form: two letters, an underscore, base58 or base64 with a checksum"),
    ),
    (
        "Error",
        Object(&[
            must("reason", Text("What went wrong, for people")),
            may("error_code", Text("What went wrong, for programs")),
            may("parameter", Text("Which parameter does not fit, where the reason is validation_error")),
            may("info", Object(&[must("error", Text("Which rule it breaks"))])),
        ]),
    ),
    ("Status", Object(STATUS)),
    ("Protocol", Object(&[must("version", UINT32), must("effective_at_height", UINT64)])),
    ("PeerConnections", Object(&[must("inbound", UINT32), must("outbound", UINT32)])),
    ("PeerPubKey", Object(&[must("pubkey", PUBKEY)])),
    (
        "Currency",
        Object(&[
            must("name", TEXT),
            must("symbol", TEXT),
            must("subunit", TEXT),
            must("subunits_per_unit", UINT64),
            must("primary_colour", TEXT),
            must("secondary_colour", TEXT),
            must("network_name", TEXT),
        ]),
    ),
    (
        "Account",
        Object(&[
            must("id", PUBKEY),
            must("balance", UINT),
            must("nonce", UINT64),
            may("payable", Flag),
            may("kind", Word(&["basic", "generalized"])),
            may("contract_id", PUBKEY),
            may("auth_fun", TEXT),
        ]),
    ),
    ("ContractObject", Object(CONTRACT)),
    ("ByteCode", Object(&[must("bytecode", BYTES)])),
    ("PoI", Object(&[must("poi", BYTES)])),
    ("NextNonceResponse", Object(&[must("next_nonce", UINT64)])),
    ("Channel", Object(CHANNEL)),
    ("Delegates", Either(&[PUBKEYS, Object(&[may("initiator", PUBKEYS), may("responder", PUBKEYS)])])),
    ("KeyBlock", Object(KEY_BLOCK)),
    ("MicroBlockHeader", Object(MICRO_BLOCK)),
    ("Header", Either(&[Named("KeyBlock"), Named("MicroBlockHeader")])),
    ("Generation", Object(&[must("key_block", Named("KeyBlock")), must("micro_blocks", List(&HASH))])),
    ("HashResponse", Object(&[must("hash", HASH)])),
    ("HeightResponse", Object(&[must("height", UINT64)])),
    ("CountResponse", Object(&[must("count", UINT32)])),
    ("EncodedTx", Object(&[must("tx", BYTES)])),
    ("PostTxResponse", Object(&[must("tx_hash", HASH)])),
    (
        "SignedTx",
        Object(&[
            must("tx", Named("Tx")),
            may("block_height", Named("TxBlockHeight")),
            may("block_hash", HASH),
            may("hash", HASH),
            may("encoded_tx", BYTES),
            may("signatures", List(&VALUE)),
        ]),
    ),
    ("SignedTxs", Object(&[must("transactions", List(&Named("SignedTx")))])),
    // The fields of each type are those of its serialization.
    (
        "Tx",
        Object(&[
            must("version", UINT32),
            must("type", TEXT),
            may("fee", UINT),
            may("nonce", UINT64),
            may("ttl", UINT64),
        ]),
    ),
    (
        "GasPrices",
        List(&Object(&[
            must("minutes", UINT64),
            must("min_gas_price", UINT),
            must("utilization", Integer(Some(0), Some(100))),
        ])),
    ),
    ("OracleQueries", Object(&[must("oracle_queries", List(&Object(&[])))])),
    (
        "DryRunInput",
        Object(&[
            may("top", HASH),
            may("accounts", List(&Named("DryRunAccount"))),
            must("txs", List(&Named("DryRunInputItem"))),
            may("tx_events", Flag),
        ]),
    ),
    ("DryRunAccount", Object(&[must("pub_key", PUBKEY), must("amount", UINT)])),
    (
        "DryRunInputItem",
        Object(&[may("tx", BYTES), may("tx_hash", HASH), may("call_req", Named("DryRunCallReq"))]),
    ),
    ("DryRunCallReq", Object(CALL_REQUEST)),
    ("DryRunCallContext", Object(&[may("tx", BYTES), may("tx_hash", HASH), may("stateful", Flag)])),
    (
        "DryRunResults",
        Object(&[
            must("results", List(&Named("DryRunResult"))),
            // What happens inside of calls is not recorded: the list is empty.
            may("tx_events", List(&Object(&[]))),
        ]),
    ),
    (
        "DryRunResult",
        Object(&[
            must("type", TEXT),
            must("result", Word(&["ok", "error"])),
            may("reason", TEXT),
            may("call_obj", Named("ContractCallObject")),
        ]),
    ),
    ("ContractCallObject", Object(CALL)),
    ("Event", Object(&[must("address", PUBKEY), must("topics", List(&UINT)), must("data", BYTES)])),
    (
        "GAObject",
        Object(&[
            must("caller_id", PUBKEY),
            must("height", UINT64),
            must("gas_price", UINT),
            must("gas_used", UINT64),
            must("return_value", BYTES),
            must("return_type", Word(&["ok", "error"])),
            may("inner_object", Named("TxInfoObject")),
        ]),
    ),
    (
        "TxInfoObject",
        Object(&[
            may("call_info", Named("ContractCallObject")),
            may("ga_info", Named("GAObject")),
            may("tx_info", Text("The type of a transaction of which no more is known")),
        ]),
    ),
];

const STATUS: &[Field] = &[
    must("genesis_key_block_hash", HASH),
    must("solutions", UINT64),
    must("difficulty", UINT64),
    must("hashrate", UINT64),
    must("syncing", Flag),
    may("sync_progress", Fraction),
    must("uptime", TEXT),
    must("listening", Flag),
    must("protocols", List(&Named("Protocol"))),
    must("node_version", TEXT),
    must("node_revision", TEXT),
    must("peer_count", UINT32),
    must("peer_connections", Named("PeerConnections")),
    must("pending_transactions_count", UINT32),
    must("network_id", TEXT),
    must("peer_pubkey", PUBKEY),
    must("top_key_block_hash", HASH),
    must("top_block_height", UINT64),
];

const CHANNEL: &[Field] = &[
    must("id", PUBKEY),
    must("initiator_id", PUBKEY),
    must("responder_id", PUBKEY),
    must("channel_amount", UINT),
    must("initiator_amount", UINT),
    must("responder_amount", UINT),
    must("channel_reserve", UINT),
    must("delegate_ids", Named("Delegates")),
    must("state_hash", HASH),
    must("round", UINT64),
    must("solo_round", UINT64),
    must("lock_period", UINT64),
    must("locked_until", UINT64),
];

const CONTRACT: &[Field] = &[
    must("id", PUBKEY),
    must("owner_id", PUBKEY),
    must("vm_version", UINT16),
    must("abi_version", UINT16),
    must("active", Flag),
    must("referrer_ids", PUBKEYS),
    must("deposit", UINT),
];

const CALL: &[Field] = &[
    must("caller_id", PUBKEY),
    must("caller_nonce", UINT64),
    must("height", UINT64),
    must("contract_id", PUBKEY),
    must("gas_price", UINT),
    must("gas_used", UINT64),
    must("log", List(&Named("Event"))),
    must("return_value", BYTES),
    must("return_type", Word(&["ok", "error", "revert"])),
];

const CALL_REQUEST: &[Field] = &[
    must("calldata", BYTES),
    must("contract", PUBKEY),
    may("amount", UINT),
    may("gas", UINT),
    may("caller", PUBKEY),
    may("nonce", UINT64),
    may("abi_version", UINT16),
    may("context", Named("DryRunCallContext")),
];

const KEY_BLOCK: &[Field] = &[
    must("hash", HASH),
    must("height", UINT64),
    must("prev_hash", HASH),
    must("prev_key_hash", HASH),
    must("state_hash", HASH),
    must("miner", PUBKEY),
    must("beneficiary", PUBKEY),
    must("target", UINT32),
    must("time", UINT64),
    must("version", UINT32),
    must("info", BYTES),
];

const MICRO_BLOCK: &[Field] = &[
    must("hash", HASH),
    must("height", UINT64),
    must("pof_hash", HASH),
    must("prev_hash", HASH),
    must("prev_key_hash", HASH),
    must("state_hash", HASH),
    must("txs_hash", HASH),
    must("signature", VALUE),
    must("time", UINT64),
    must("version", UINT32),
];

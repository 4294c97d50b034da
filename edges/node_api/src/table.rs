//! The one table of what the interface offers: which path takes which parameters, gives which answers, and by which
//! function. It makes both the routing and the document at `/api`.

use serde_json::Value;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::param::{
    ACCOUNT, BLOCK_HASH, CHANNEL, CONTRACT, FROM, HEIGHT, INDEX, KEY_BLOCK_HASH, LIMIT, MICRO_BLOCK_HASH,
    NAME, NAME_HASH, ORACLE, ORACLE_QUERY, Param, QUERY_TYPE, STRATEGY, TX_HASH,
};
use crate::shape::Shape::{self, List, Named};
use crate::{
    accounts, blocks, contracts, dry_run, gas_prices, names, oracles, results, status, transactions,
};

/// What is done about a request.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A GET, answered from the chain as it is.
    Read(fn(&Ask<'_>) -> Answer),
    /// A POST, answered from the chain as it is and a JSON body. It may take long.
    Run(fn(&Ask<'_>, &Value) -> Answer),
    /// A POST of a transaction to the pool.
    Submit,
}

/// Under which of the two interfaces a path stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Under {
    Both,
    V2,
    V3,
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    /// Under which interface.
    pub under: Under,
    /// The path below it, parameters in braces.
    pub path: &'static str,
    /// Its name in the node's own document.
    pub operation: &'static str,
    /// What it is about: the node's name of the group.
    pub group: &'static str,
    /// Its own parameters.
    pub params: &'static [Param],
    /// The body that it takes.
    pub body: Option<Shape>,
    /// The body of status 200; none where this chain never has what is asked for.
    pub answer: Option<Shape>,
    /// The other statuses that are its own, with what they mean.
    pub faults: &'static [(u16, &'static str)],
    /// What is done.
    pub work: Work,
}

impl Route {
    const fn get(
        path: &'static str,
        operation: &'static str,
        group: &'static str,
        read: fn(&Ask<'_>) -> Answer,
    ) -> Self {
        Self::new(path, operation, group, Work::Read(read))
    }

    const fn post(path: &'static str, operation: &'static str, group: &'static str, work: Work) -> Self {
        Self::new(path, operation, group, work)
    }

    const fn new(path: &'static str, operation: &'static str, group: &'static str, work: Work) -> Self {
        let (under, params, faults) = (Under::Both, &[], &[]);
        Self { under, path, operation, group, params, body: None, answer: None, faults, work }
    }

    const fn under(mut self, under: Under) -> Self {
        self.under = under;
        self
    }

    const fn takes(mut self, params: &'static [Param]) -> Self {
        self.params = params;
        self
    }

    const fn body(mut self, body: Shape) -> Self {
        self.body = Some(body);
        self
    }

    const fn gives(mut self, answer: Shape) -> Self {
        self.answer = Some(answer);
        self
    }

    const fn fails(mut self, faults: &'static [(u16, &'static str)]) -> Self {
        self.faults = faults;
        self
    }
}

const BAD_KEY: (u16, &str) = (400, "Invalid public key");
const BAD_HASH: (u16, &str) = (400, "Invalid hash");
const NO_ACCOUNT: (u16, &str) = (404, "Account not found");
const NO_BLOCK: (u16, &str) = (404, "Block not found");
const BAD_NUMBER: (u16, &str) = (400, "A number that does not fit");

/// All that is offered (`docs/protocol/chain_service` §4). A table.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    Route::get("/status", "GetStatus", "node_info", status::status).gives(Named("Status")),
    Route::get("/status/chain-ends", "GetChainEnds", "chain", status::chain_ends).gives(List(&Named("EncodedHash"))),
    Route::get("/sync-status", "GetSyncStatus", "node_info", status::sync_status)
        .fails(&[(404, "Node not syncing")]),
    Route::get("/peers/pubkey", "GetPeerPubkey", "node_info", status::peer_key).gives(Named("PeerPubKey")),
    Route::get("/currency", "GetCurrency", "node_info", status::currency)
        .under(Under::V3).gives(Named("Currency")),

    Route::get("/accounts/{pubkey}", "GetAccountByPubkey", "account", accounts::account)
        .takes(&[ACCOUNT]).gives(Named("Account")).fails(&[BAD_KEY, NO_ACCOUNT]),
    Route::get("/accounts/{pubkey}/height/{height}", "GetAccountByPubkeyAndHeight", "account", accounts::at_height)
        .takes(&[ACCOUNT, HEIGHT]).gives(Named("Account"))
        .fails(&[BAD_KEY, NO_ACCOUNT, (410, "The state at this height is not kept any more")]),
    Route::get("/accounts/{pubkey}/hash/{hash}", "GetAccountByPubkeyAndHash", "account", accounts::at_hash)
        .takes(&[ACCOUNT, BLOCK_HASH]).gives(Named("Account")).fails(&[BAD_KEY, NO_ACCOUNT]),
    Route::get("/accounts/{pubkey}/next-nonce", "GetAccountNextNonce", "account", accounts::next_nonce)
        .takes(&[ACCOUNT, STRATEGY]).gives(Named("NextNonceResponse")).fails(&[BAD_KEY, NO_ACCOUNT]),
    Route::get("/accounts/{pubkey}/transactions/pending", "GetPendingAccountTransactionsByPubkey", "account", accounts::pending)
        .takes(&[ACCOUNT]).gives(Named("SignedTxs")).fails(&[BAD_KEY, NO_ACCOUNT]),

    Route::get("/channels/{pubkey}", "GetChannelByPubkey", "channel", accounts::channel)
        .takes(&[CHANNEL]).gives(Named("Channel")).fails(&[BAD_KEY, (404, "Channel not found")]),

    Route::post("/transactions", "PostTransaction", "transaction", Work::Submit)
        .body(Named("EncodedTx")).gives(Named("PostTxResponse")).fails(&[(400, "Invalid transaction")]),
    Route::get("/transactions/{hash}", "GetTransactionByHash", "transaction", transactions::transaction)
        .takes(&[TX_HASH]).gives(Named("SignedTx")).fails(&[BAD_HASH, (404, "Transaction not found")]),
    Route::get("/transactions/{hash}/info", "GetTransactionInfoByHash", "transaction", results::result)
        .takes(&[TX_HASH]).gives(Named("TxInfoObject"))
        .fails(&[(400, "Invalid hash, or no such thing of this kind of transaction"), (404, "Transaction not found, or not mined"), (410, "The state of its block is not kept any more")]),
    Route::get("/recent-gas-prices", "GetRecentGasPrices", "transaction", gas_prices::recent).gives(Named("GasPrices")),

    Route::get("/contracts/{pubkey}", "GetContract", "contract", contracts::contract)
        .takes(&[CONTRACT]).gives(Named("ContractObject")).fails(&[BAD_KEY, (404, "Contract not found")]),
    Route::get("/contracts/{pubkey}/code", "GetContractCode", "contract", contracts::code)
        .takes(&[CONTRACT]).gives(Named("ByteCode")).fails(&[BAD_KEY, (404, "Contract not found")]),
    Route::get("/contracts/{pubkey}/poi", "GetContractPoI", "contract", contracts::proof)
        .takes(&[CONTRACT]).gives(Named("PoI")).fails(&[BAD_KEY, (404, "Proof for contract not found")]),
    Route::post("/dry-run", "ProtectedDryRunTxs", "dry-run", Work::Run(dry_run::dry_run))
        .body(Named("DryRunInput")).gives(Named("DryRunResults"))
        .fails(&[(400, "Invalid input"), (403, "Over the gas limit")]),
    // A node offers it to its owner, at another address, and without a limit.
    Route::post("/debug/transactions/dry-run", "DryRunTxs", "debug", Work::Run(dry_run::dry_run))
        .body(Named("DryRunInput")).gives(Named("DryRunResults"))
        .fails(&[(400, "Invalid input"), (403, "Over the gas limit")]),

    Route::get("/key-blocks/current", "GetCurrentKeyBlock", "chain", blocks::current_key_block)
        .gives(Named("KeyBlock")).fails(&[NO_BLOCK]),
    Route::get("/key-blocks/current/hash", "GetCurrentKeyBlockHash", "chain", blocks::current_key_hash).gives(Named("HashResponse")),
    Route::get("/key-blocks/current/height", "GetCurrentKeyBlockHeight", "chain", blocks::current_height).gives(Named("HeightResponse")),
    Route::get("/key-blocks/pending", "GetPendingKeyBlock", "chain", blocks::pending_key_block)
        .fails(&[(400, "Beneficiary not configured")]),
    Route::get("/key-blocks/hash/{hash}", "GetKeyBlockByHash", "chain", blocks::key_block_by_hash)
        .takes(&[KEY_BLOCK_HASH]).gives(Named("KeyBlock")).fails(&[BAD_HASH, NO_BLOCK]),
    Route::get("/key-blocks/height/{height}", "GetKeyBlockByHeight", "chain", blocks::key_block_by_height)
        .takes(&[HEIGHT]).gives(Named("KeyBlock")).fails(&[BAD_NUMBER, NO_BLOCK]),
    Route::get("/generations/current", "GetCurrentGeneration", "chain", blocks::current_generation)
        .gives(Named("Generation")).fails(&[NO_BLOCK]),
    Route::get("/generations/hash/{hash}", "GetGenerationByHash", "chain", blocks::generation_by_hash)
        .takes(&[KEY_BLOCK_HASH]).gives(Named("Generation")).fails(&[(400, "Invalid hash, or not on the main chain"), NO_BLOCK]),
    Route::get("/generations/height/{height}", "GetGenerationByHeight", "chain", blocks::generation_by_height)
        .takes(&[HEIGHT]).gives(Named("Generation")).fails(&[BAD_NUMBER, NO_BLOCK]),
    Route::get("/micro-blocks/hash/{hash}/header", "GetMicroBlockHeaderByHash", "chain", blocks::micro_block_header)
        .takes(&[MICRO_BLOCK_HASH]).gives(Named("MicroBlockHeader")).fails(&[BAD_HASH, NO_BLOCK]),
    Route::get("/micro-blocks/hash/{hash}/transactions", "GetMicroBlockTransactionsByHash", "chain", blocks::micro_block_transactions)
        .takes(&[MICRO_BLOCK_HASH]).gives(Named("SignedTxs")).fails(&[BAD_HASH, NO_BLOCK]),
    Route::get("/micro-blocks/hash/{hash}/transactions/count", "GetMicroBlockTransactionsCountByHash", "chain", blocks::micro_block_count)
        .takes(&[MICRO_BLOCK_HASH]).gives(Named("CountResponse")).fails(&[BAD_HASH, NO_BLOCK]),
    Route::get("/micro-blocks/hash/{hash}/transactions/index/{index}", "GetMicroBlockTransactionByHashAndIndex", "chain", blocks::micro_block_transaction)
        .takes(&[MICRO_BLOCK_HASH, INDEX]).gives(Named("SignedTx")).fails(&[(400, "Invalid hash or index"), NO_BLOCK]),
    Route::get("/headers/top", "GetTopHeader", "chain", blocks::top_header)
        .under(Under::V3).gives(Named("Header")).fails(&[NO_BLOCK]),
    Route::get("/blocks/top", "GetTopBlock", "chain", blocks::top_block)
        .under(Under::V2),

    Route::get("/names/{name}", "GetNameEntryByName", "name_service", names::name)
        .takes(&[NAME]).fails(&[(400, "Invalid name"), (404, "Name not found")]),
    Route::get("/names/hash/{name_hash}", "GetNameEntryByNameHash", "name_service", names::name_by_hash)
        .under(Under::V3).takes(&[NAME_HASH]).fails(&[(400, "Invalid name hash"), (404, "Name not found")]),
    Route::get("/auctions/{name}", "GetAuctionEntryByName", "name_service", names::name)
        .takes(&[NAME]).fails(&[(400, "Invalid name"), (404, "Name not found")]),

    Route::get("/oracles/{pubkey}", "GetOracleByPubkey", "oracle", oracles::oracle)
        .takes(&[ORACLE]).fails(&[BAD_KEY, (404, "Oracle not found")]),
    Route::get("/oracles/{pubkey}/queries", "GetOracleQueriesByPubkey", "oracle", oracles::queries)
        .takes(&[ORACLE, FROM, LIMIT, QUERY_TYPE]).gives(Named("OracleQueries")).fails(&[BAD_KEY]),
    Route::get("/oracles/{pubkey}/queries/{query-id}", "GetOracleQueryByPubkeyAndQueryId", "oracle", oracles::query)
        .takes(&[ORACLE, ORACLE_QUERY]).fails(&[(400, "Invalid public key or query ID"), (404, "Query not found")]),
];

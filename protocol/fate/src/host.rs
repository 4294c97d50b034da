//! What the machine asks of the world (`docs/protocol/contracts` §2.7).

use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce};
use thiserror::Error;

/// The rules of consensus under which a program runs. They are independent of the machine's version
/// (`docs/protocol/contracts` §2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Number 5.
    Iris,
    /// Number 6.
    Ceres,
}

/// What is the same for the whole of one call.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The rules of the pinned block.
    pub protocol: Protocol,
    /// The generation of the pinned block.
    pub height: Height,
    /// The pinned block's time, in milliseconds.
    pub time: u64,
    /// Who earned the pinned block's generation.
    pub beneficiary: AccountId,
    /// The pinned block's difficulty.
    pub difficulty: u64,
    /// The hash of the key block that the call builds on; all zero inside a channel.
    pub key_block: [u8; 32],
    /// The name of the network.
    pub network: NetworkId,
    /// Who signed the call.
    pub origin: AccountId,
    /// The price of gas that the program sees.
    pub gas_price: Coins,
    /// The fee that the program sees; zero inside a channel.
    pub fee: Coins,
    /// Does the call run on the chain itself, rather than in a channel?
    pub on_chain: bool,
    /// The transaction that a generalized account is authenticating, if the call is that.
    pub authentication: Option<Authentication>,
}

/// The transaction that a generalized account is asked about.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Its hash.
    pub hash: [u8; 32],
    /// The account whose transaction it is.
    pub actor: AccountId,
    /// The fee of the innermost transaction.
    pub fee: Coins,
    /// The height up to which the innermost transaction is valid; zero for ever.
    pub ttl: Height,
    /// Who else pays for it, and the fee of that.
    pub payer: Option<(AccountId, Coins)>,
    /// The authentications around it, outermost first, with their fees.
    pub metas: Vec<(AccountId, Coins)>,
    /// What the innermost transaction does.
    pub body: TransactionBody,
}

/// What a transaction does, as far as a program can see it.
#[derive(Clone, Debug)]
pub enum TransactionBody {
    /// Sends coins.
    Spend {
        /// The 32 bytes of the recipient's id.
        recipient: [u8; 32],
        /// How much.
        amount: Coins,
        /// With these bytes.
        payload: Vec<u8>,
    },
    /// A kind without visible fields: oracle register 1, query 2, response 3, extend 4; name preclaim 5; attach 21.
    Plain(u8),
    /// Claims a name.
    NameClaim(Vec<u8>),
    /// Updates (7) or revokes (8) the name of this hash.
    Name(u8, [u8; 32]),
    /// Gives a name away.
    NameTransfer {
        /// To this account.
        to: [u8; 32],
        /// The hash of the name.
        name: [u8; 32],
    },
    /// A transaction about one channel (10, 13 to 18); for 10 the responder instead of the channel.
    Channel(u8, [u8; 32]),
    /// A deposit (11) into or a withdrawal (12) from a channel.
    ChannelAmount(u8, [u8; 32], Coins),
    /// Creates a contract with this amount.
    ContractCreate(Coins),
    /// Calls a contract with this amount.
    ContractCall([u8; 32], Coins),
}

/// An account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it owns.
    pub balance: Coins,
    /// Its counter.
    pub nonce: Nonce,
    /// May programs send it coins?
    pub payable: bool,
}

/// A contract, without its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Who created it.
    pub owner: AccountId,
    /// The machine version it runs on.
    pub vm: u16,
    /// Its code.
    pub code: CodeSource,
}

/// Where the code of a contract is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// Here: the bytes of a container.
    Own(Vec<u8>),
    /// With another contract.
    Of(ContractId),
}

/// A contract that a program creates.
#[derive(Clone, Debug)]
pub struct NewContract<'a> {
    /// Its id.
    pub id: ContractId,
    /// The contract that creates it.
    pub owner: AccountId,
    /// The counter from which the id comes.
    pub nonce: Nonce,
    /// The machine version it will run on.
    pub vm: u16,
    /// Its code.
    pub code: CodeSource,
    /// May programs send its account coins?
    pub payable: bool,
    /// The first entries of its store.
    pub store: &'a [(Vec<u8>, Vec<u8>)],
}

/// An oracle on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oracle {
    /// 0 for plain strings, 3 for FATE values.
    pub abi: u16,
    /// The type of questions, as bytes.
    pub query_format: Vec<u8>,
    /// The type of answers, as bytes.
    pub response_format: Vec<u8>,
    /// What a question costs.
    pub fee: Coins,
    /// The height at which it ends.
    pub ttl: Height,
}

/// A question to an oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleQuery {
    /// The question.
    pub question: Vec<u8>,
    /// The answer, if there is one.
    pub response: Option<Vec<u8>>,
}

/// A name on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Whose it is.
    pub owner: AccountId,
    /// The height at which it ends.
    pub ttl: Height,
    /// Was it given up?
    pub revoked: bool,
    /// What it points to, in the order of the name object.
    pub pointers: Vec<(Vec<u8>, Pointee)>,
}

/// What a name points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointee {
    /// An account.
    Account([u8; 32]),
    /// An oracle.
    Oracle([u8; 32]),
    /// A contract.
    Contract([u8; 32]),
    /// A channel.
    Channel([u8; 32]),
    /// Bytes.
    Data(Vec<u8>),
}

/// Why coins did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// The sender does not own so much.
    #[error("insufficient_funds")]
    InsufficientFunds,
    /// The recipient's flags forbid it.
    #[error("account_is_not_payable")]
    NotPayable,
    /// There is no such sender.
    #[error("account_not_found")]
    AccountNotFound,
}

impl Denied {
    /// The word for it in the text of errors.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Denied::InsufficientFunds => "insufficient_funds",
            Denied::NotPayable => "account_is_not_payable",
            Denied::AccountNotFound => "account_not_found",
        }
    }
}

/// A fact that the host cannot tell, or a store that failed: the call has to be run again, or never.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the host cannot answer: {0}")]
pub struct HostError(pub String);

/// What a host's answer may be.
pub type Answer<T> = Result<T, HostError>;

/// The world around the machine.
///
/// "Here" is the state that the program changes: the chain's, or a channel's. "On the chain" is the state of the pinned
/// block; where [`Environment::on_chain`] is set both are the same.
///
/// Entries of a store are read one by one, by key: a host need not load the store of a contract as a whole.
pub trait Host {
    /// Marks a state to which [`Host::undo`] returns. Marks nest.
    fn mark(&mut self);
    /// Forgets the last mark and keeps what happened since.
    fn keep(&mut self);
    /// Returns to the last mark and forgets it.
    fn undo(&mut self);

    /// An account here.
    fn account(&self, id: AccountId) -> Answer<Option<Account>>;
    /// An account on the chain.
    fn chain_account(&self, id: AccountId) -> Answer<Option<Account>>;
    /// Moves coins between accounts here, creating the recipient if there is none. `check_payable`: refuse a recipient
    /// whose flags forbid it.
    fn transfer(
        &mut self,
        from: AccountId,
        to: AccountId,
        amount: Coins,
        check_payable: bool,
    ) -> Answer<Result<(), Denied>>;
    /// Counts up the counter of an account here, and gives its new state; nothing if there is no account.
    fn next_nonce(&mut self, id: AccountId) -> Answer<Option<Nonce>>;

    /// A contract here.
    fn contract(&self, id: ContractId) -> Answer<Option<Contract>>;
    /// Puts a contract here; creates its account, or sets the account's flag.
    fn create_contract(&mut self, contract: &NewContract<'_>) -> Answer<()>;
    /// Takes a contract away again; its account stays.
    fn remove_contract(&mut self, id: ContractId) -> Answer<()>;
    /// One entry of the store of a contract here.
    fn store_value(&self, contract: ContractId, key: &[u8]) -> Answer<Option<Vec<u8>>>;
    /// The entries whose keys are longer than `prefix` and begin with it: the rest of the key, and the value.
    fn store_entries(&self, contract: ContractId, prefix: &[u8]) -> Answer<Vec<(Vec<u8>, Vec<u8>)>>;
    /// Changes the store of a contract here; an entry without a value is removed.
    fn write_store(&mut self, contract: ContractId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer<()>;

    /// Is there a contract of this id on the chain?
    fn is_chain_contract(&self, id: ContractId) -> Answer<bool>;
    /// An oracle on the chain.
    fn oracle(&self, id: [u8; 32]) -> Answer<Option<Oracle>>;
    /// A question to an oracle on the chain.
    fn oracle_query(&self, oracle: [u8; 32], query: &[u8]) -> Answer<Option<OracleQuery>>;
    /// A name on the chain, by its hash.
    fn name(&self, hash: [u8; 32]) -> Answer<Option<Name>>;
    /// The hash of the key block of this height, on the branch of the pinned block.
    fn key_block_hash(&self, height: Height) -> Answer<[u8; 32]>;
}

//! Why the chain does not take a transaction.

use strait_encoding::rlp::DecodeError;
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Nonce, Round};
use thiserror::Error;

use crate::{CallError, NoResult, Protocol, SignatureCheck, TxKind};

macro_rules! rule_errors {
    ($($(#[$doc:meta])* $variant:ident $({ $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })? $atom:literal $message:literal;)*) => {
        /// Why the chain does not take a transaction in a state (`docs/protocol/channel_txs` §3, §4): the fault of its
        /// sender, or of the moment, where another transaction or block must come first.
        #[derive(Clone, Debug, PartialEq, Eq, Error)]
        pub enum RuleError {
            $($(#[$doc])* #[error($message)] $variant $({ $($(#[$fdoc])* $field: $type,)* })?,)*
        }

        impl RuleError {
            /// The name of the error in the node and in its HTTP API.
            pub fn atom(&self) -> &'static str {
                match self { $(RuleError::$variant $({ $($field: _,)* })? => $atom,)* }
            }
        }
    };
}

rule_errors! {
    // Common to all transactions, in the order in which they are checked.

    /// Not exactly the signatures of those who must sign.
    Signatures {
        /// What is wrong with them.
        error: SignatureCheck,
    } "signature_check_failed" "{error}";
    /// Who must sign stands in a channel that is not on chain.
    UnknownSigners {
        /// The channel.
        channel: ChannelId,
    } "signature_check_failed" "who must sign is not known: channel {channel} is not on chain";
    /// The fee does not cover the size.
    TooLowFee {
        /// The fee of the transaction.
        fee: Coins,
        /// The least fee.
        minimum: Coins,
    } "too_low_fee" "the fee of {fee} is too low: at least {minimum} is needed";
    /// The gas price of the contract call is below what consensus accepts.
    TooLowGasPrice {
        /// The gas price of the transaction.
        price: Coins,
        /// The least price.
        minimum: Coins,
    } "too_low_gas_price" "the gas price of {price} is too low: at least {minimum} is needed";
    /// Its last height has passed.
    TtlExpired {
        /// The last height.
        ttl: Height,
        /// The height of the block.
        height: Height,
    } "ttl_expired" "the ttl {ttl} has passed: the height is {height}";
    /// This kind or version of transaction, or its payload, is not valid at the protocol of the block.
    InvalidAtProtocol {
        /// The kind.
        kind: TxKind,
        /// The protocol of the block.
        protocol: Protocol,
    } "invalid_at_protocol" "{kind:?} in this version, or its payload, is not valid at protocol {protocol}";
    /// This chain cannot run it.
    Unsupported {
        /// The kind.
        kind: TxKind,
    } "unsupported" "{kind:?} needs a virtual machine, which this chain does not have";
    /// An object inside is malformed. A node does not even read such a transaction.
    Malformed {
        /// What is wrong.
        error: DecodeError,
    } "broken_tx" "an object inside the transaction is malformed: {error}";
    /// An amount exceeds 128 bits.
    Overflow {
        /// Whose balance.
        account: AccountId,
    } "crash" "the balance of {account} would exceed 128 bits";

    // Accounts.

    /// Nobody of that name.
    AccountNotFound {
        /// The account.
        account: AccountId,
    } "account_not_found" "account {account} does not exist";
    /// It cannot pay.
    InsufficientFunds {
        /// The account.
        account: AccountId,
        /// What it owns.
        balance: Coins,
        /// What it should pay; the largest amount where that exceeds 128 bits.
        needed: Coins,
    } "insufficient_funds" "account {account} owns {balance} and should pay {needed}";
    /// An earlier transaction used the nonce.
    NonceUsed {
        /// The account.
        account: AccountId,
        /// The nonce of the transaction.
        nonce: Nonce,
        /// The only nonce that would do.
        expected: Nonce,
    } "tx_nonce_already_used_for_account" "nonce {nonce} of {account} was used before: {expected} is next";
    /// An earlier transaction is missing.
    NonceTooHigh {
        /// The account.
        account: AccountId,
        /// The nonce of the transaction.
        nonce: Nonce,
        /// The only nonce that would do.
        expected: Nonce,
    } "tx_nonce_too_high_for_account" "nonce {nonce} of {account} comes too early: {expected} is next";
    /// A generalized account's transactions have no nonce.
    NonceOfGeneralized {
        /// The account.
        account: AccountId,
    } "nonce_in_ga_tx_should_be_zero" "{account} is a generalized account: its nonce must be 0";
    /// A generalized account's transaction came without a meta transaction around it.
    NotInMeta {
        /// The account.
        account: AccountId,
    } "bad_ga_tx_env" "{account} is a generalized account: it must authenticate by a meta transaction";
    /// A generalized account's transaction came with a signature instead of a meta transaction around it.
    NotBasic {
        /// The account.
        account: AccountId,
    } "not_a_basic_account" "{account} is a generalized account: it must authenticate by a meta transaction";
    /// A generalized account signed with its key.
    GeneralizedSigned {
        /// The account.
        account: AccountId,
    } "ga_using_signature_not_allowed" "{account} is a generalized account: its signature is not accepted";
    /// It does not accept spends.
    NotPayable {
        /// The account.
        account: AccountId,
    } "account_is_not_payable" "account {account} does not accept spends";
    /// The recipient is a name, and this chain has no names.
    UnknownRecipient "could_not_resolve_recipient" "the recipient is not an account, a contract or an oracle";

    // Channels.

    /// No such channel.
    NoChannel {
        /// The channel.
        channel: ChannelId,
    } "channel_does_not_exist" "channel {channel} does not exist";
    /// The id is taken.
    ChannelExists {
        /// The channel.
        channel: ChannelId,
    } "channel_exists" "channel {channel} exists already";
    /// The initiator puts in less than the reserve.
    InitiatorBelowReserve {
        /// What it puts in.
        amount: Coins,
        /// The reserve.
        reserve: Coins,
    } "insufficient_initiator_amount" "the initiator's {amount} is below the reserve of {reserve}";
    /// The responder puts in less than the reserve.
    ResponderBelowReserve {
        /// What it puts in.
        amount: Coins,
        /// The reserve.
        reserve: Coins,
    } "insufficient_responder_amount" "the responder's {amount} is below the reserve of {reserve}";
    /// A channel needs two parties.
    InitiatorIsResponder {
        /// The account.
        account: AccountId,
    } "initiator_is_responder" "{account} is both initiator and responder";
    /// A solo close is under way.
    NotActive {
        /// When it ends.
        locked_until: Height,
    } "channel_not_active" "the channel is closing, locked until {locked_until}";
    /// No solo close is under way.
    NotClosing "channel_not_closing" "the channel is not closing";
    /// It cannot be settled yet.
    NotClosed {
        /// When it can be; 0 if no solo close is under way.
        locked_until: Height,
        /// The height of the block.
        height: Height,
    } "channel_not_closed" "the channel is locked until {locked_until} (0: not closing): the height is {height}";
    /// Not one of the two parties.
    NotPeer {
        /// The account.
        account: AccountId,
    } "account_not_peer" "{account} is not a party of the channel";
    /// Neither one of the two parties nor a delegate.
    NotPeerOrDelegate {
        /// The account.
        account: AccountId,
    } "account_not_peer_or_delegate" "{account} is neither a party of the channel nor a delegate";
    /// The round is the one that the chain knows.
    SameRound {
        /// The round.
        round: Round,
    } "same_round" "round {round} is the one that the chain knows";
    /// The chain knows a later round.
    OldRound {
        /// The round.
        round: Round,
        /// The round to exceed.
        known: Round,
    } "old_round" "round {round} is older than {known}, which the chain knows";
    /// The channel would keep less than both reserves.
    NotEnoughChannelFunds {
        /// What is withdrawn.
        amount: Coins,
        /// What the channel holds.
        held: Coins,
        /// The reserve of each party.
        reserve: Coins,
    } "not_enough_channel_funds" "withdrawing {amount} of {held} leaves less than two reserves of {reserve}";
    /// More than the channel holds.
    WrongAmounts {
        /// What the channel holds.
        held: Coins,
    } "wrong_amounts" "both amounts and the fee exceed the {held} of the channel";
    /// More than the channel holds.
    InsufficientChannelFunds {
        /// What the channel holds.
        held: Coins,
    } "insufficient_channel_funds" "both amounts exceed the {held} of the channel";
    /// Not the split that the solo close fixed.
    WrongSplit {
        /// What the initiator is to receive.
        initiator: Coins,
        /// What the responder is to receive.
        responder: Coins,
    } "wrong_amt" "the channel closes with {initiator} for the initiator and {responder} for the responder";

    // Payloads and proofs.

    /// The channel was made before delegates stood by party; the reference crashes over it.
    OldChannel "crash" "the channel is of a version whose delegates cannot be replaced";
    /// A slash needs a co-signed state.
    SlashWithoutPayload "slash_must_have_payload" "a slash must carry a co-signed state";
    /// A snapshot needs a co-signed state.
    SnapshotWithoutPayload "snapshot_must_have_payload" "a snapshot must carry a co-signed state";
    /// The co-signed state is another channel's.
    PayloadOfOtherChannel {
        /// The channel of the payload.
        found: ChannelId,
        /// The channel of the transaction.
        expected: ChannelId,
    } "bad_state_channel_pubkey" "the payload is of channel {found}, expected {expected}";
    /// The proof is of another state than the payload.
    ProofOfOtherState "invalid_poi_hash" "the proof is of another state than the payload";
    /// The proof is of another state than the one that the chain knows.
    ProofOfUnknownState "invalid_poi_hash_in_channel" "the proof is of another state than the one that the chain knows";
    /// The proof does not show the accounts of both parties.
    ProofWithoutPeers {
        /// The account that it does not show.
        account: AccountId,
    } "wrong_channel_peers" "the proof does not show the account of {account}";
    /// The proof shows more than the channel holds.
    ProofExceedsFunds {
        /// What the channel holds.
        held: Coins,
    } "poi_amounts_change_channel_funds" "the proof shows more than the {held} of the channel";
    /// The state is not the one of the payload or of the chain.
    UnexpectedStateHash "unexpected_state_hash" "the state hash is not that of the payload, or of the channel without one";
    /// The round is not the one of the payload or of the chain.
    UnexpectedRound {
        /// The round of the transaction.
        found: Round,
        /// The round of the payload, or of the channel without one.
        expected: Round,
    } "unexpected_round" "the round is {found}, expected {expected}";

    // Generalized accounts, and paying for others.

    /// Only a generalized account authenticates by a meta transaction.
    NotGeneralized {
        /// The account.
        account: AccountId,
    } "not_a_generalized_account" "{account} is not a generalized account";
    /// Whoever authenticates need not.
    NotRelevant {
        /// The account.
        account: AccountId,
    } "non_relevant_signature" "the transaction inside does not need {account} to authenticate it";
    /// The contract does not exist.
    NoContract {
        /// The contract.
        contract: ContractId,
    } "contract_does_not_exist" "contract {contract} does not exist";
    /// The call convention is not that of the contract.
    WrongAbi {
        /// That of the call.
        found: u64,
        /// That of the contract.
        expected: u64,
    } "wrong_abi_version" "the call convention is {found}, that of the contract is {expected}";
    /// Contracts of this virtual machine cannot be called at this protocol.
    WrongVm {
        /// The virtual machine.
        vm: u64,
    } "wrong_vm_version" "contracts of virtual machine {vm} cannot be called";
    /// The call is not of the function that authenticates.
    WrongAuthFunction "wrong_auth_function" "the call is not of the function that authenticates the account";
    /// The call names no function.
    BadAuthCall "bad_auth_data" "the authentication data name no function";
    /// There is such a contract already.
    ContractExists {
        /// The contract.
        contract: ContractId,
    } "crash" "contract {contract} exists already";
    /// The contract did not answer true.
    NotAuthenticated {
        /// The account.
        account: AccountId,
    } "authentication_failed" "the contract of {account} does not authenticate the transaction";
    /// The same authentication has been used before.
    AuthCallExists "auth_call_object_already_exist" "the same authentication was used in this generation already";
    /// The mempool takes no authentication that may use so much gas.
    TooMuchAuthGas {
        /// What it may use.
        gas: u64,
        /// The most.
        most: u64,
    } "too_much_gas_for_auth_function" "the authentication may use {gas} units of gas, at most {most} are taken";
    /// Such a contract cannot be made, or authenticate an account, at this protocol.
    IllegalVm {
        /// Virtual machine.
        vm: u64,
        /// Call convention.
        abi: u64,
    } "illegal_vm_version" "virtual machine {vm} with call convention {abi} is not taken at this protocol";
    /// The code is malformed.
    BadCode "bad_sophia_code" "the code is malformed";
    /// The code is of an old version.
    OldCode "illegal_contract_compiler_version" "the code is of a version that is not taken any more";
    /// The function that shall authenticate returns no boolean.
    AuthFunctionType "bad_auth_function_return_type" "the function that shall authenticate does not return a boolean";
    /// There is no such function.
    NoAuthFunction "bad_function_hash" "the code has no function with the hash of the authentication";
    /// The first call is not of `init`.
    NotInit "bad_init_function" "the first call is not of init";
    /// The signatures of a transaction that is paid for are not those of whoever must sign.
    InnerSignatures {
        /// What is wrong with them.
        error: SignatureCheck,
    } "signature_check_failed" "the transaction that is paid for: {error}";

    // How the parties of a channel authenticate a state.

    /// A party that was a basic account when the channel was created signs.
    MetaOfBasic {
        /// The account.
        account: AccountId,
    } "meta_tx_for_basic_account" "{account} was a basic account when the channel was created: it must sign";
    /// Somebody else authenticated too.
    NotParticipant {
        /// The account.
        account: AccountId,
    } "id_is_not_a_participant" "{account} is not a party of the channel";
    /// The contract that authenticates is not there.
    NoAuthContract "signature_verification_failed_no_contract" "the contract that authenticates does not exist";
    /// The copy of its store is not there.
    NoAuthStore "signature_verification_failed_no_state" "the store of the contract that authenticates was not kept";
    /// The contract that authenticates failed.
    AuthContractFailed "signature_verification_failed_contract_error" "the contract that authenticates failed";
    /// It answered something else than true.
    AuthRefused "signature_verification_failed_authenticate_false" "the contract does not authenticate the state";

    // Forced progress.

    /// Only contract calls can be forced.
    NotCall "update_not_call" "only a contract call can be forced";
    /// Before Iris nobody but the caller could force a call.
    NotCaller {
        /// Who tried.
        account: AccountId,
    } "not_caller" "{account} is not the caller";
    /// Neither the caller nor its delegate.
    NotCallerOrDelegate {
        /// Who tried.
        account: AccountId,
    } "not_caller_or_delegate" "{account} is neither the caller nor a delegate of it";
    /// The call does not follow the state that it is based on.
    WrongRound {
        /// The round of the transaction.
        found: Round,
        /// The round of the state that it is based on.
        base: Round,
    } "wrong_round" "the round is {found}, expected the one after {base}";
    /// The trees are of another state.
    TreesOfOtherState "invalid_poi_hash" "the trees are not those of the state that is progressed";
    /// The contract is not in the trees.
    ContractMissing {
        /// The contract.
        contract: ContractId,
    } "contract_missing" "the trees do not hold contract {contract}";
    /// Contracts of this virtual machine cannot be called at this protocol.
    UnknownVm {
        /// The virtual machine.
        vm: u64,
    } "unknown_vm_version" "contracts of virtual machine {vm} cannot be called";
    /// A call on chain has no result. The reference crashes over it.
    NoResult {
        /// Why.
        error: NoResult,
    } "crash" "the call has no result: {error}";
    /// The call cannot be made at all. The reference wants to charge for it, and crashes.
    ImpossibleCall {
        /// Why.
        error: CallError,
    } "crash" "the call cannot be made: {error}";
}

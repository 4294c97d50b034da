//! The codes and texts of errors: the only place where they stand (`docs/protocol/ws_api` §3, §10).

use std::borrow::Cow;

use serde::Serialize;
use strait_channel::{Reason, Refusal};

use crate::desk::OpenRefusal;

/// The `error` of an answer, without the request that it repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// A code of JSON-RPC, or 2 or 3.
    pub code: i32,
    /// The text that belongs to `code`.
    pub message: &'static str,
    /// What is wrong, at least one entry: the JS SDK maps over it (`docs/protocol/gaps` §3.1).
    pub data: Vec<Detail>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// A code of the table in `docs/protocol/ws_api` §10, or again that of the [`Rejection`].
    pub code: i32,
    /// The text that belongs to `code` where the table fixes it, else one that names parameter, value and expectation.
    pub message: Cow<'static, str>,
    /// More, where `message` is fixed and clients that compare whole objects do not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A code with the text that the reference gives to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known(i32, &'static str);

pub(crate) const NOT_FOUND_IN_STATE: Known = Known(100, "X doesn't exist");
pub(crate) const VALUE_TOO_LOW: Known = Known(105, "Value too low");
pub(crate) const NOT_READY: Known = Known(108, "Not ready");
pub(crate) const INSUFFICIENT_BALANCE: Known = Known(1001, "Insufficient balance");
pub(crate) const NEGATIVE_AMOUNT: Known = Known(1002, "Negative amount");
pub(crate) const INVALID_PUBKEYS: Known = Known(1003, "Invalid pubkeys");
pub(crate) const CALL_NOT_FOUND: Known = Known(1004, "Call not found");
pub(crate) const CONTRACT_INIT_FAILED: Known = Known(1007, "Contract init failed");
pub(crate) const ABI_MISMATCH: Known = Known(1019, "ABI version mismatch");
pub(crate) const VM_MISMATCH: Known = Known(1020, "VM version mismatch");
pub(crate) const BROKEN_ACCOUNT: Known = Known(1005, "Broken encoding: account pubkey");
pub(crate) const BROKEN_CONTRACT: Known = Known(1006, "Broken encoding: contract pubkey");
pub(crate) const NOT_A_NUMBER: Known = Known(1008, "Not a number");
pub(crate) const BROKEN_BYTES: Known = Known(1009, "Broken encoding: contract bytearray");
pub(crate) const BROKEN_TX: Known = Known(1010, "Broken encoding: transaction");
pub(crate) const PARTICIPANT_NOT_FOUND: Known = Known(1011, "Participant not found");
pub(crate) const OFFCHAIN_TX_EXPECTED: Known = Known(1012, "Offchain tx expected");
pub(crate) const TX_ALREADY_ON_CHAIN: Known = Known(1013, "Tx already on-chain");
pub(crate) const INVALID_META: Known = Known(1014, "Invalid meta object");
pub(crate) const INVALID_ABORT_CODE: Known = Known(1015, "Invalid error code (expect 1...65535)");
pub(crate) const INVALID_FSM_ID: Known = Known(1016, "Invalid fsm id");
pub(crate) const BAD_SIGNATURE: Known = Known(1017, "Bad signature");
pub(crate) const NOT_ALLOWED_NOW: Known = Known(1018, "Not allowed at current channel state");

/// A query parameter that must be there is not; the text names it.
const MISSING_FIELD: i32 = 2000;
/// A query parameter has a value that it cannot have; not a code of the reference, which is silent here.
const INVALID_FIELD: i32 = 2001;

const ACTION_NOT_ALLOWED: (i32, &str) = (2, "Action not allowed");
const REJECTED: (i32, &str) = (3, "Rejected");
const PARSE_ERROR: (i32, &str) = (-32700, "Parse error");
const INVALID_REQUEST: (i32, &str) = (-32000, "Invalid request");
const METHOD_NOT_FOUND: (i32, &str) = (-32601, "Method not found");
const INVALID_PARAMS: (i32, &str) = (-32602, "Invalid params");
const INTERNAL: (i32, &str) = (-32603, "Internal error");

impl From<Known> for Detail {
    fn from(Known(code, message): Known) -> Self {
        Self { code, message: message.into(), reason: None }
    }
}

impl From<Known> for Rejection {
    fn from(known: Known) -> Self {
        Self::rejected(vec![known.into()])
    }
}

impl Rejection {
    /// The request is well-formed and refused, for these reasons of the reference's table.
    pub(crate) fn rejected(data: Vec<Detail>) -> Self {
        Self { code: REJECTED.0, message: REJECTED.1, data }
    }

    /// As [`rejected`](Self::rejected), for what the reference does not allow now rather than rejects.
    fn not_allowed(known: Known) -> Self {
        Self { code: ACTION_NOT_ALLOWED.0, message: ACTION_NOT_ALLOWED.1, data: vec![known.into()] }
    }

    /// The frame is no JSON.
    pub(crate) fn parse_error(why: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(PARSE_ERROR, why)
    }

    /// The frame is JSON and no request.
    pub(crate) fn invalid_request(why: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(INVALID_REQUEST, why)
    }

    /// No such method, or a parameter without which the reference does not recognize it.
    pub(crate) fn method_not_found(why: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(METHOD_NOT_FOUND, why)
    }

    /// A value that the reference takes and then fails over.
    pub(crate) fn invalid_params(why: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(INVALID_PARAMS, why)
    }

    /// Everything else that the reference refuses without saying why; here `why` says it.
    pub(crate) fn internal(why: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(INTERNAL, why)
    }

    /// As [`internal`](Self::internal), with the reference's code for what is wrong.
    pub(crate) fn internal_known(Known(code, _): Known, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: INTERNAL.0,
            message: INTERNAL.1,
            data: vec![Detail { code, message: why.into(), reason: None }],
        }
    }

    fn plain((code, message): (i32, &'static str), why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message, data: vec![Detail { code, message: why.into(), reason: None }] }
    }

    fn explained(known: Known, reason: String) -> Self {
        Self::rejected(vec![Detail { reason: Some(reason), ..known.into() }])
    }
}

impl From<&Refusal> for Rejection {
    fn from(refusal: &Refusal) -> Self {
        (&refusal.reason).into()
    }
}

impl From<&Reason> for Rejection {
    /// Objects that recorded sessions compare carry nothing beside code and text; the others say more.
    fn from(reason: &Reason) -> Self {
        let text = || reason.to_string();
        match reason {
            Reason::InsufficientBalance { .. } | Reason::FeeExceedsChannel { .. } => {
                INSUFFICIENT_BALANCE.into()
            }
            Reason::InvalidPubkeys { .. } => INVALID_PUBKEYS.into(),
            Reason::ValueTooLow { .. } => VALUE_TOO_LOW.into(),
            Reason::ParticipantNotFound { .. } => PARTICIPANT_NOT_FOUND.into(),
            Reason::NotInState(_) => NOT_FOUND_IN_STATE.into(),
            Reason::NothingToSign(_) => NOT_ALLOWED_NOW.into(),
            Reason::NotReady(_) => Rejection::explained(NOT_READY, text()),
            Reason::BadSignature(_) => Rejection::explained(BAD_SIGNATURE, text()),
            Reason::NotAllowedNow(_) | Reason::Closing | Reason::Looming { .. } | Reason::Undercut { .. } => {
                Rejection::internal_known(NOT_ALLOWED_NOW, text())
            }
            Reason::CallNotFound => CALL_NOT_FOUND.into(),
            Reason::Contract { atom, .. } => match atom {
                Some("contract_init_failed") => CONTRACT_INIT_FAILED.into(),
                Some("wrong_abi_version") => ABI_MISMATCH.into(),
                Some("wrong_vm_version") => VM_MISMATCH.into(),
                _ => Rejection::internal(text()),
            },
            Reason::OffchainTxExpected => Rejection::not_allowed(OFFCHAIN_TX_EXPECTED),
            Reason::AlreadyOnChain { .. } => TX_ALREADY_ON_CHAIN.into(),
            Reason::MessageTooLong { .. } => Rejection::invalid_request(text()),
            // What the reference gives no code of its own.
            _ => Rejection::internal(text()),
        }
    }
}

impl From<&OpenRefusal> for Rejection {
    fn from(refusal: &OpenRefusal) -> Self {
        let field = |code| {
            Rejection::rejected(vec![Detail { code, message: refusal.to_string().into(), reason: None }])
        };
        match refusal {
            OpenRefusal::Missing { .. } | OpenRefusal::MissingFsmId => field(MISSING_FIELD),
            OpenRefusal::Invalid { .. } | OpenRefusal::UnknownChannel { .. } => field(INVALID_FIELD),
            OpenRefusal::ValueTooLow { .. } => VALUE_TOO_LOW.into(),
            OpenRefusal::ParticipantNotFound { .. } => PARTICIPANT_NOT_FOUND.into(),
            OpenRefusal::InvalidFsmId => INVALID_FSM_ID.into(),
            OpenRefusal::Refused(refusal) => refusal.into(),
            OpenRefusal::Internal { why } => Rejection::internal(why.clone()),
        }
    }
}

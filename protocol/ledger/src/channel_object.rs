//! A channel as the chain knows it (`docs/protocol/channel_txs` §1, `docs/protocol/encodings` §4.5).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Round, StateHash};

use crate::tx::Delegates;

const TAG: u64 = 58;

/// The on-chain channel object. Its id is not part of it: that is where it stands in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelObject {
    /// Who opened it.
    pub initiator_id: AccountId,
    /// The other party.
    pub responder_id: AccountId,
    /// Coins held by the channel.
    pub channel_amount: Coins,
    /// What the initiator put in, or, while closing, is to receive.
    pub initiator_amount: Coins,
    /// What the responder put in, or, while closing, is to receive.
    pub responder_amount: Coins,
    /// What each party must keep.
    pub channel_reserve: Coins,
    /// Who may act for the parties.
    pub delegates: Delegates,
    /// Hash of the last state known to the chain.
    pub state_hash: StateHash,
    /// Round of that state.
    pub round: Round,
    /// Round of the first forced state of a running forced chain; 0 where the last state was agreed by both.
    pub solo_round: Round,
    /// Key blocks between a solo close and its settlement.
    pub lock_period: u64,
    /// 0 while active; else the height from which it can be settled.
    pub locked_until: Height,
    /// How the initiator authenticates off-chain transactions.
    pub initiator_auth: FrozenAuth,
    /// How the responder authenticates off-chain transactions.
    pub responder_auth: FrozenAuth,
}

/// How a party authenticates off-chain transactions, frozen when the channel was created
/// (`docs/protocol/signing` §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrozenAuth {
    /// By signature; objects of version 1 have no field for it.
    Unrecorded,
    /// By signature.
    Basic,
    /// By a call of a contract.
    Generalized {
        /// The hash of the function that is called.
        auth_fun: [u8; 32],
        /// The contract.
        contract: ContractId,
    },
}

impl ChannelObject {
    /// Whether no solo close is under way.
    pub fn is_active(&self) -> bool {
        self.locked_until == Height(0)
    }

    /// Whether `account` is one of the two parties.
    pub fn is_peer(&self, account: AccountId) -> bool {
        account == self.initiator_id || account == self.responder_id
    }

    /// Both parties, the initiator first.
    pub fn peers(&self) -> [AccountId; 2] {
        [self.initiator_id, self.responder_id]
    }

    /// The serialized object: version 3 with delegates of each party; else 2, or 1 where no authentication is recorded.
    pub fn encode(&self) -> Vec<u8> {
        let auths = [self.initiator_auth, self.responder_auth];
        let version = match self.delegates {
            Delegates::Each { .. } => 3,
            Delegates::Shared(_) if auths == [FrozenAuth::Unrecorded; 2] => 1,
            Delegates::Shared(_) => 2,
        };
        let list = List::object(TAG, version)
            .id(self.initiator_id)
            .id(self.responder_id)
            .coins(self.channel_amount)
            .coins(self.initiator_amount)
            .coins(self.responder_amount)
            .coins(self.channel_reserve);
        let list = match &self.delegates {
            Delegates::Shared(ids) => list.ids(ids.iter().copied()),
            Delegates::Each { initiator, responder } => {
                list.ids(initiator.iter().copied()).ids(responder.iter().copied())
            }
        };
        let list = list
            .bytes(&self.state_hash.0)
            .uint(self.round.0)
            .uint(self.solo_round.0)
            .uint(self.lock_period)
            .uint(self.locked_until.0);
        match version {
            1 => list.finish(),
            _ => list.bytes(&auths[0].to_bytes()).bytes(&auths[1].to_bytes()).finish(),
        }
    }

    /// Reads a serialized channel object.
    ///
    /// # Errors
    /// Malformed, or of a version nobody knows: the fault of whoever made it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, mut fields) = Fields::of_object(bytes, TAG)?;
        if !(1..=3).contains(&version) {
            return Err(DecodeError::Version { tag: TAG, version });
        }
        let object = Self {
            initiator_id: fields.account()?,
            responder_id: fields.account()?,
            channel_amount: fields.coins()?,
            initiator_amount: fields.coins()?,
            responder_amount: fields.coins()?,
            channel_reserve: fields.coins()?,
            delegates: match version {
                3 => Delegates::Each { initiator: fields.accounts()?, responder: fields.accounts()? },
                _ => Delegates::Shared(fields.accounts()?),
            },
            state_hash: fields.state_hash()?,
            round: fields.round()?,
            solo_round: fields.round()?,
            lock_period: fields.uint()?,
            locked_until: fields.height()?,
            initiator_auth: FrozenAuth::read(&mut fields, version)?,
            responder_auth: FrozenAuth::read(&mut fields, version)?,
        };
        fields.end()?;
        Ok(object)
    }

    /// The JSON of the node's HTTP API (`docs/protocol/chain_service` §4).
    pub fn to_json(&self, id: ChannelId) -> Value {
        let texts = |ids: &[AccountId]| ids.iter().map(ToString::to_string).collect::<Value>();
        let delegates = match &self.delegates {
            Delegates::Shared(ids) => texts(ids),
            Delegates::Each { initiator, responder } => {
                json!({ "initiator": texts(initiator), "responder": texts(responder) })
            }
        };
        json!({
            "id": id.to_string(),
            "initiator_id": self.initiator_id.to_string(),
            "responder_id": self.responder_id.to_string(),
            "channel_amount": self.channel_amount,
            "initiator_amount": self.initiator_amount,
            "responder_amount": self.responder_amount,
            "channel_reserve": self.channel_reserve,
            "delegate_ids": delegates,
            "state_hash": self.state_hash.to_string(),
            "round": self.round,
            "solo_round": self.solo_round,
            "lock_period": self.lock_period,
            "locked_until": self.locked_until,
        })
    }
}

impl FrozenAuth {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            FrozenAuth::Unrecorded | FrozenAuth::Basic => Vec::new(),
            FrozenAuth::Generalized { auth_fun, contract } => [auth_fun, contract.0].concat(),
        }
    }

    fn read(fields: &mut Fields<'_>, version: u64) -> Result<Self, DecodeError> {
        if version == 1 {
            return Ok(FrozenAuth::Unrecorded);
        }
        let bytes = fields.bytes()?;
        if bytes.is_empty() {
            return Ok(FrozenAuth::Basic);
        }
        let size = DecodeError::Size { expected: 64, found: bytes.len() };
        let (auth_fun, contract) = bytes.split_first_chunk::<32>().ok_or(size.clone())?;
        let contract = contract.try_into().map_err(|_| size)?;
        Ok(FrozenAuth::Generalized { auth_fun: *auth_fun, contract: ContractId(contract) })
    }
}

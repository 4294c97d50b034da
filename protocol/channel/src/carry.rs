//! The peer messages of the flows: which row's code becomes which message (`docs/protocol/p2p_wire` §3).

use strait_encoding::ChannelId;
use strait_ledger::{SignedTx, Update};

use crate::channel::Draft;
use crate::flow::Flow;
use crate::message::{Code, Message};
use crate::notice::ConflictCode;
use crate::step::Move;

impl Move<'_> {
    /// A message of a flow that carries a transaction.
    pub(crate) fn carry(&self, code: Code, draft: &Draft) -> Message {
        let tx = draft.tx.encode();
        let block_hash = draft.pin;
        let updates: Vec<Vec<u8>> = draft.updates.iter().map(Update::encode).collect();
        let temporary_id = self.next.temporary_id;
        let channel_id = self.next.id.unwrap_or(ChannelId::ZERO);
        match code {
            Code::FundingCreated => Message::FundingCreated { temporary_id, block_hash, tx, updates },
            Code::FundingSigned => Message::FundingSigned { temporary_id, block_hash, tx },
            Code::DepositCreated => Message::DepositCreated { channel_id, block_hash, tx, updates },
            Code::DepositSigned => Message::DepositSigned { channel_id, block_hash, tx },
            Code::WithdrawCreated => Message::WithdrawCreated { channel_id, block_hash, tx, updates },
            Code::WithdrawSigned => Message::WithdrawSigned { channel_id, block_hash, tx },
            Code::Shutdown => Message::Shutdown { channel_id, block_hash, tx },
            Code::ShutdownAck => Message::ShutdownAck { channel_id, block_hash, tx },
            Code::UpdateAck => Message::UpdateAck { channel_id, tx },
            _ => Message::Update { channel_id, block_hash, tx, updates },
        }
    }

    /// Tells the peer that its proposal is refused.
    pub(crate) fn refuse(&mut self, flow: Flow, code: ConflictCode) {
        self.next.talk.answered = true;
        self.send_error(flow, code);
    }

    /// Tells the peer that the own proposal is given up.
    pub(crate) fn withdraw(&mut self, flow: Flow) {
        self.send_error(flow, ConflictCode::TIMEOUT);
    }

    pub(crate) fn send_error(&mut self, flow: Flow, code: ConflictCode) {
        let Some(channel_id) = self.next.id else { return };
        let round = u32::try_from(self.next.round().0).unwrap_or(u32::MAX);
        let error_code = code.0;
        let message = match flow {
            Flow::Deposit => Message::DepositError { channel_id, round, error_code },
            Flow::Withdraw => Message::WithdrawError { channel_id, round, error_code },
            Flow::Shutdown => Message::ShutdownError { channel_id, round, error_code },
            _ => Message::UpdateError { channel_id, round, error_code },
        };
        self.send(message);
    }

    /// Says that the own confirmations of this transaction are reached.
    pub(crate) fn lock_message(&self, code: Code, tx: &SignedTx) -> Message {
        let channel_id = self.next.id.unwrap_or(ChannelId::ZERO);
        let tx_hash = tx.hash();
        match code {
            Code::DepositLocked => Message::DepositLocked { channel_id, tx_hash },
            Code::WithdrawLocked => Message::WithdrawLocked { channel_id, tx_hash },
            _ => Message::FundingLocked { temporary_id: self.next.temporary_id, channel_id },
        }
    }
}

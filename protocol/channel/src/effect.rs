//! What a step makes happen, once it is stored.

use strait_ledger::SignedTx;

use crate::input::{Answer, Ticket};
use crate::message::Message;
use crate::notice::Report;

/// Something to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request of the client.
    Answer(Ticket, Result<Answer, crate::Refusal>),
    /// Tell the client.
    Tell(Report),
    /// Send to the peer.
    Send(Message),
    /// Hand to the chain; the result comes back as [`Input::Submitted`](crate::Input::Submitted).
    Submit(SignedTx),
    /// Look for the peer: dial as initiator, listen as responder.
    Connect,
    /// End the session with the peer, after what was sent.
    Disconnect,
    /// Let the client go, after what it was told.
    Release,
    /// The channel needs nobody any more: forget it.
    Forget,
}

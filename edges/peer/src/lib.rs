//! Noise sessions over TCP, framing, and listeners shared by channels.
//!
//! Two services speak to each other over plain TCP, encrypted with `Noise_NN_25519_ChaChaPoly_BLAKE2b`
//! (`docs/protocol/p2p_wire.md` §1). The transport hides what is said but **authenticates neither side**:
//! whoever answers may be anyone, and trust comes from the signed transactions inside the messages alone.
//!
//! The side that connects is called the *dialler*, the side that accepts the *listener*. Either way the result
//! is a [`Session`], which [splits](Session::split) into an [`Outbound`] and an [`Inbound`] half:
//!
//! * [`Dialler::dial`] tries until a listener answers, as [`DialPolicy`] says, at the [`Hosts`] that the operator allows;
//! * [`Listeners::open`] opens a port, or shares it, and delivers an [`Accepted`] session with its first message.
//!
//! One message is one frame is one Noise message: nothing is fragmented, padded or joined. This crate knows
//! nothing of what is inside a message.

mod admission;
mod dial;
mod error;
mod frame;
mod handshake;
mod hosts;
mod link;
mod listen;
mod public;
mod session;

pub use dial::{DialPolicy, Dialler, Resolve, Resolving, SystemResolver, dial};
pub use error::{
    AllowedPorts, AttemptError, DialError, HandshakeError, HostNotAllowed, HostsError, ListenError,
    ReceiveError, SendError,
};
pub use frame::MAX_MESSAGE;
pub use hosts::{HostList, Hosts};
pub use listen::{Accepted, ListenConfig, ListenLimits, Listeners, Listening, Ports};
pub use session::{Inbound, Outbound, Session};

//! How a running program comes to an early end.

use crate::fault::Fault;
use crate::gas::Stopped;
use crate::host::HostError;
use crate::store::StoreFault;
use crate::value::Octets;

/// An early end.
pub(crate) struct Trap {
    pub cause: Cause,
    /// The gas that is left if nothing catches it.
    pub gas: u64,
    /// Can a protected call not catch it?
    pub uncaught: bool,
}

pub(crate) enum Cause {
    Fault(Fault),
    /// The program gave up with this text.
    Exit(Octets),
    /// The program takes everything back, with this text.
    Revert(Octets),
    /// The reference's engine would break down here.
    Crash(&'static str),
    /// More than the operator allows.
    Limit(&'static str),
    Host(HostError),
}

impl Cause {
    /// Can a protected call turn it into a value? Its set-up can turn anything into one.
    pub fn can_be_caught(&self) -> bool {
        matches!(self, Cause::Fault(_) | Cause::Exit(_) | Cause::Revert(_))
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        Cause::Fault(fault)
    }
}

impl From<HostError> for Cause {
    fn from(error: HostError) -> Self {
        Cause::Host(error)
    }
}

impl From<StoreFault> for Cause {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Host(error) => Cause::Host(error),
            StoreFault::Broken(what) => Cause::Crash(what),
            StoreFault::OutOfGas => Cause::Fault(Fault::OUT_OF_GAS),
        }
    }
}

impl From<crate::encoding::Unserializable> for Cause {
    fn from(error: crate::encoding::Unserializable) -> Self {
        Cause::Crash(error.0)
    }
}

impl<E: Into<Cause>> From<Stopped<E>> for Cause {
    fn from(stopped: Stopped<E>) -> Self {
        match stopped {
            Stopped::OutOfGas => Cause::Fault(Fault::OUT_OF_GAS),
            Stopped::Unknown => Cause::Crash("a value of a kind that has no price"),
            Stopped::Lookup(error) => error.into(),
        }
    }
}

//! Which virtual machine runs a contract, and how it is called (`docs/protocol/encodings` §4.2).

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// The call convention of the older virtual machines.
pub const ABI_AEVM: u64 = 1;
/// The call convention of FATE.
pub const ABI_FATE: u64 = 3;

const AEVM_MACHINES: [u64; 4] = [1, 3, 4, 6];
const AEVM_4: u64 = 6;
const FATE_1: u64 = 5;
const FATE_2: u64 = 7;
const FATE_3: u64 = 8;

/// Virtual machine and call convention of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtVersion {
    /// The virtual machine: 1, 3, 4 and 6 are AEVMs, 5, 7 and 8 are FATE.
    pub vm: u64,
    /// The call convention: 1 of the AEVM, 3 of FATE.
    pub abi: u64,
}

impl CtVersion {
    /// Reads the packed form.
    pub fn unpack(packed: u64) -> Self {
        match packed >> 16 {
            0 => Self { vm: packed, abi: packed },
            vm => Self { vm, abi: packed & 0xffff },
        }
    }

    /// The packed form.
    pub fn pack(self) -> u64 {
        if self.vm == self.abi && self.vm <= 2 { self.vm } else { self.vm << 16 | self.abi & 0xffff }
    }

    /// Whether there is such a virtual machine with such a call convention (`docs/protocol/contracts` §1).
    pub fn is_known(self) -> bool {
        match self.abi {
            ABI_AEVM => AEVM_MACHINES.contains(&self.vm),
            ABI_FATE => [FATE_1, FATE_2, FATE_3].contains(&self.vm),
            _ => false,
        }
    }

    /// Whether a contract of this version may be called (`docs/protocol/channel_txs` §6).
    pub fn is_callable(self, protocol: Protocol) -> bool {
        match self.vm {
            FATE_1 => true,
            FATE_2 => protocol >= Protocol::Iris,
            FATE_3 => protocol >= Protocol::Ceres,
            vm => AEVM_MACHINES.contains(&vm),
        }
    }

    /// Whether a contract of this version may be made on chain (`docs/protocol/contracts` §1).
    pub fn is_creatable(self, protocol: Protocol) -> bool {
        match (self.abi, protocol) {
            (ABI_FATE, Protocol::Iris) => self.vm == FATE_2,
            (ABI_FATE, Protocol::Ceres) => self.vm == FATE_3,
            (ABI_FATE, Protocol::Lima) => self.vm == FATE_1,
            (ABI_AEVM, Protocol::Lima) => self.vm == AEVM_4,
            _ => false,
        }
    }

    /// Whether an account may be made generalized with a contract of this version.
    pub fn is_attachable(self, protocol: Protocol) -> bool {
        match (self.abi, protocol) {
            (ABI_AEVM, _) => self.vm == AEVM_4,
            (ABI_FATE, Protocol::Lima) => self.vm == FATE_1,
            (ABI_FATE, Protocol::Iris) => self.vm == FATE_2,
            (ABI_FATE, Protocol::Ceres) => self.vm >= FATE_3,
            _ => false,
        }
    }
}

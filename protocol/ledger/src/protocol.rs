//! Protocol versions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of the consensus protocol (`docs/protocol/channel_txs` §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Version 4: the last one with create transactions of version 1.
    Lima,
    /// Version 5.
    Iris,
    /// Version 6, today's.
    #[default]
    Ceres,
}

impl Protocol {
    /// The number on chain.
    pub fn version(self) -> u64 {
        match self {
            Protocol::Lima => 4,
            Protocol::Iris => 5,
            Protocol::Ceres => 6,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Lima => "lima",
            Protocol::Iris => "iris",
            Protocol::Ceres => "ceres",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "lima" => Ok(Protocol::Lima),
            "iris" => Ok(Protocol::Iris),
            "ceres" => Ok(Protocol::Ceres),
            other => Err(format!("unknown protocol {other:?}: expected ceres, iris or lima")),
        }
    }
}

use std::fmt;
use std::str::FromStr;

/// What a saved record survives; a setting of the operator (decision 9 of the design).
///
/// Written and read as `power` or `process`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Survives the loss of power: the disk confirms every commit before it is acknowledged.
    #[default]
    Power,
    /// Survives a crash of the program, not of the machine: the operating system holds what is acknowledged.
    ///
    /// A machine that stops without warning can lose the last saves of every channel, or damage the file.
    /// A store that was closed ([`crate::Store::close`]) is on disk in full.
    Process,
}

/// A durability that is neither `power` nor `process`; the fault of whoever wrote the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("durability: {found:?} is not known, expected \"power\" or \"process\"")]
pub struct UnknownDurability {
    found: String,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Power => "power",
            Self::Process => "process",
        })
    }
}

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "power" => Ok(Self::Power),
            "process" => Ok(Self::Process),
            _ => Err(UnknownDurability { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        for (durability, text) in [(Durability::Power, "power"), (Durability::Process, "process")] {
            assert_eq!(durability.to_string(), text);
            assert_eq!(text.parse(), Ok(durability));
        }
    }

    #[test]
    fn names_what_it_does_not_know() {
        let refused = "Power".parse::<Durability>().unwrap_err();
        assert_eq!(refused.to_string(), r#"durability: "Power" is not known, expected "power" or "process""#);
    }
}

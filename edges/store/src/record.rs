use std::fmt;

/// The longest state that is stored, in bytes.
pub const MAX_STATE_BYTES: usize = 16 * 1024 * 1024;

/// One side of one channel on this service: 32 bytes that the caller drew at random when the channel began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey([u8; 32]);

impl ChannelKey {
    /// The key with these bytes; the caller vouches that no other channel has them.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hex, 64 characters.
impl fmt::Display for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelKey({self})")
    }
}

/// Which party of the channel the service acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The party that opened the channel.
    Initiator,
    /// The party that the initiator opened it with.
    Responder,
}

/// The state of one side of one channel after a step.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Which side of which channel.
    pub key: ChannelKey,
    /// The number of the step; grows with every save of the key.
    pub step: u64,
    /// The channel's 32-byte id, known once its create transaction is signed.
    pub channel_id: Option<[u8; 32]>,
    /// The public key of the account that the service acts for.
    pub own_account: [u8; 32],
    /// Which party that account is.
    pub role: Role,
    /// The hash of the id that a client must show to come back to this channel.
    pub door: [u8; 32],
    /// The channel as its owner wrote it, at most [`MAX_STATE_BYTES`]; never looked into here.
    pub state: Vec<u8>,
}

/// Gives the length of the state, not the state: it would drown a log.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key)
            .field("step", &self.step)
            .field("role", &self.role)
            .field("state_bytes", &self.state.len())
            .finish_non_exhaustive()
    }
}

/// What a store held when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The channels, in the order in which they were first saved.
    pub records: Vec<Record>,
    /// What is there and cannot be trusted.
    pub quarantined: Vec<Quarantined>,
}

/// A stored channel that cannot be read back as it was written: the disk's fault, or of whoever edited the
/// file.
///
/// It stays on disk. Saves of its key are refused; [`crate::Store::delete`] gives it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Whose state it was; `None` where the damage took the key as well.
    pub key: Option<ChannelKey>,
    /// What is wrong, with the number of the row.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_in_hex() {
        let mut bytes = [0u8; 32];
        bytes[0] = 0x0a;
        bytes[31] = 0xff;
        let text = ChannelKey::new(bytes).to_string();
        assert_eq!(text, format!("0a{}ff", "00".repeat(30)));
    }

    #[test]
    fn debug_does_not_print_the_state() {
        let record = Record {
            key: ChannelKey::new([1; 32]),
            step: 7,
            channel_id: None,
            own_account: [2; 32],
            role: Role::Responder,
            door: [3; 32],
            state: b"balance".to_vec(),
        };
        let text = format!("{record:?}");
        assert!(text.contains("state_bytes: 7"), "{text}");
        assert!(!text.contains("98, 97, 108"), "{text}");
    }
}

//! One side: its process, its store, its client.

use strait_channel::{Channel, Durable, Role, Terms};
use strait_encoding::{Height, TxHash};
use strait_ledger::{SignedTx, TxKind};

use crate::client::Client;
use crate::signer::Signer;

/// One side of the channel.
#[derive(Clone, Debug)]
pub struct Party {
    /// Which party it is.
    pub role: Role,
    /// What its client asks for.
    pub terms: Terms,
    /// The key of its client.
    pub signer: Signer,
    /// What its service has on disk.
    pub store: Store,
    /// The channel in its service: none before it is opened, after a crash, and when it was forgotten.
    pub process: Option<Channel>,
    /// Whoever uses the service.
    pub client: Client,
    /// The channel ended, and the service forgot it.
    pub forgotten: bool,
    pub(crate) session: Option<u64>,
    pub(crate) listening: bool,
    pub(crate) dialling: Option<u64>,
    /// What the channel knows of its transactions on chain.
    pub(crate) known: Vec<(TxHash, Height)>,
    /// The last proposal of the peer that arrived and was not answered.
    pub(crate) unanswered: Option<SignedTx>,
}

/// The disk of a service, as far as it holds this channel.
#[derive(Clone, Debug, Default)]
pub struct Store {
    bytes: Option<Vec<u8>>,
    /// How often it was written.
    pub saves: usize,
}

impl Store {
    /// Writes the channel.
    ///
    /// # Panics
    /// It cannot be serialized.
    pub(crate) fn save(&mut self, channel: &Channel) -> Durable {
        self.bytes = Some(channel.to_stored().unwrap_or_else(|error| panic!("cannot store: {error}")));
        self.saves += 1;
        Durable::assertion(channel.step())
    }

    /// Reads what was written last.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn load(&self) -> Option<Channel> {
        let bytes = self.bytes.as_ref()?;
        Some(Channel::from_stored(bytes).unwrap_or_else(|error| panic!("cannot read back: {error}")))
    }

    /// Checks that what is read is what was written.
    pub(crate) fn check_round_trip(&self) {
        let again = self.load().and_then(|channel| channel.to_stored().ok());
        assert!(again == self.bytes, "the channel reads back differently: {again:?}");
    }

    /// Whether anything is there.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_none()
    }

    /// Whether what is stored holds this transaction with these signatures.
    pub(crate) fn knows(&self, tx: &SignedTx) -> bool {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        std::str::from_utf8(bytes).is_ok_and(|stored| stored.contains(&tx.to_text()))
    }

    /// Whether what is stored holds this transaction before anybody signed it.
    pub(crate) fn knows_unsigned(&self, tx: &SignedTx) -> bool {
        self.knows(&SignedTx::unsigned(tx.body().clone()))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes = None;
    }
}

impl Party {
    pub(crate) fn new(terms: Terms, signer: Signer, think: u64) -> Self {
        Self {
            role: terms.role,
            terms,
            signer,
            store: Store::default(),
            process: None,
            client: Client::new(think),
            forgotten: false,
            session: None,
            listening: false,
            dialling: None,
            known: Vec::new(),
            unanswered: None,
        }
    }

    /// The channel, while the program runs.
    ///
    /// # Panics
    /// There is none.
    pub fn channel(&self) -> &Channel {
        self.process.as_ref().unwrap_or_else(|| panic!("the {} has no channel", self.role))
    }

    /// Whether the channel's process is up.
    pub fn is_alive(&self) -> bool {
        self.process.as_ref().is_some_and(Channel::is_alive)
    }

    /// Whether the latest state is one that somebody forced on chain.
    pub(crate) fn is_forced(&self) -> bool {
        let latest = self.process.as_ref().and_then(Channel::agreed_tx);
        latest.is_some_and(|tx| tx.body().kind() == TxKind::ChannelForceProgress)
    }

    /// The round that this side holds for the latest; 0 where there is none.
    pub fn round(&self) -> u64 {
        self.process.as_ref().map_or(0, |channel| channel.round().0)
    }
}

//! A registry of channels that nobody opened, to measure what a block costs.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use strait_channel::{Place, Role, Time};
use strait_encoding::{AccountId, ChannelId, Coins, Round};
use strait_operator::{SideKey, Standing};
use strait_store::ChannelKey;
use tokio::sync::{Notify, mpsc};

use crate::registry::{Line, Mail, Registry};

/// Registered channels, one side of each, without what they do.
pub struct Watched {
    registry: Registry,
    ids: Vec<ChannelId>,
    _mailboxes: Vec<mpsc::Receiver<Mail>>,
}

impl Watched {
    /// Registers `count` channels. A tenth of them waits for confirmations.
    pub fn open(count: u64) -> Self {
        let (registry, mut ids, mut mailboxes) = (Registry::default(), Vec::new(), Vec::new());
        for number in 0..count {
            let id = ChannelId(numbered(number));
            let (mailbox, letters) = mpsc::channel(1);
            let line = Line {
                key: ChannelKey::new(numbered(number)),
                mailbox,
                news: Arc::new(Notify::new()),
                awaits_depth: Arc::new(AtomicBool::new(number % 10 == 0)),
                standing: Arc::new(Mutex::new(standing(id))),
            };
            registry.enter(&line);
            registry.name(id, Role::Initiator, &line);
            ids.push(id);
            mailboxes.push(letters);
        }
        Self { registry, ids, _mailboxes: mailboxes }
    }

    /// The channels.
    pub fn ids(&self) -> impl Iterator<Item = ChannelId> {
        self.ids.iter().copied()
    }

    /// Tells the channels of a block what the service tells them.
    pub fn announce(&self, touched: &BTreeSet<ChannelId>, key_block: bool) {
        self.registry.announce(touched, key_block);
    }
}

fn numbered(number: u64) -> [u8; 32] {
    strait_encoding::hash::blake2b(&number.to_be_bytes())
}

fn standing(id: ChannelId) -> Standing {
    Standing {
        key: SideKey(id.0),
        id: Some(id),
        role: Role::Initiator,
        initiator: None,
        responder: AccountId::ZERO,
        place: Place::Open,
        doing: "",
        round: Round(1),
        balances: None,
        reserve: Coins::ZERO,
        depth: None,
        lock: None,
        has_client: false,
        has_peer: false,
        since: Time(0),
        heard: Time(0),
    }
}

//! The service: its parts, and what ties them together.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use strait_api::{Attach, Desk, OpenRefusal, Seat};
use strait_chain::DevChain;
use strait_channel::{Channel, PinWindow, Reason, Role, Terms};
use strait_encoding::{ChannelId, FsmId};
use strait_operator::Metrics;
use strait_peer::{Dialler, Listeners};
use strait_store::{ChannelKey, Store};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::alertness::Alertness;
use crate::channel_task::{Beginning, ChannelTask};
use crate::door::Door;
use crate::links::Links;
use crate::registry::{Comer, Mail, Registry};
use crate::stored;

/// How long a client may wait for its seat.
const ATTACH_WITHIN: Duration = Duration::from_secs(10);

/// A handle on the service; cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    store: Store,
    chain: DevChain,
    listeners: Listeners,
    dialler: Dialler,
    max_channels: usize,
    /// Which blocks updates may be pinned to, where the client does not say.
    pin: PinWindow,
    registry: Registry,
    alertness: Alertness,
    metrics: Metrics,
    commits: AtomicU64,
    /// The height up to which channels were told of blocks.
    followed: AtomicU64,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

/// A step that waits for the disk.
pub(crate) struct Commit {
    service: Service,
    began: Instant,
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.service.0.commits.fetch_sub(1, Relaxed);
        self.service.metrics().committed(self.began.elapsed());
    }
}

impl Service {
    pub(crate) fn new(
        store: Store,
        chain: DevChain,
        listeners: Listeners,
        dialler: Dialler,
        max_channels: usize,
        pin: PinWindow,
        busy_poll: Duration,
    ) -> Self {
        Self(Arc::new(Parts {
            store,
            chain,
            listeners,
            dialler,
            max_channels,
            pin,
            registry: Registry::default(),
            alertness: Alertness::new(busy_poll),
            metrics: Metrics::new(),
            commits: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            tasks: std::sync::Mutex::default(),
        }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The chain that the channels live on.
    pub fn chain(&self) -> &DevChain {
        &self.0.chain
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.0.listeners
    }

    pub(crate) fn dialler(&self) -> &Dialler {
        &self.0.dialler
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn followed(&self) -> &AtomicU64 {
        &self.0.followed
    }

    /// How many steps wait for the disk.
    pub(crate) fn commits_under_way(&self) -> u64 {
        self.0.commits.load(Relaxed)
    }

    /// Counts a step that waits for the disk, until what it gives is dropped; then measures how long that took.
    pub(crate) fn count_commit(&self) -> Commit {
        self.0.commits.fetch_add(1, Relaxed);
        Commit { service: self.clone(), began: Instant::now() }
    }

    pub(crate) fn alertness(&self) -> &Alertness {
        &self.0.alertness
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// How many sides of channels the service holds, running and dormant.
    pub fn channels(&self) -> usize {
        self.registry().count()
    }

    /// Takes up every stored channel. One that cannot be read stays on disk and stops nothing else.
    pub(crate) fn restore(&self) -> Result<(), strait_store::StoreError> {
        let loaded = self.store().load()?;
        for quarantined in &loaded.quarantined {
            warn!(key = ?quarantined.key, why = %quarantined.why, "a stored channel is left alone");
        }
        for record in &loaded.records {
            match stored::read(record) {
                Ok((door, channel)) => {
                    let links = Links::new(self, record.key, door, &channel);
                    self.spawn(ChannelTask::new(channel, links, self), Beginning::Restored);
                }
                Err(why) => warn!(key = %record.key, %why, "a stored channel is left alone"),
            }
        }
        info!(channels = self.channels(), "stored channels are taken up");
        Ok(())
    }

    /// Stops every channel's task; each finishes the step in hand.
    pub(crate) async fn stop(&self) {
        for line in self.registry().all() {
            // A full mailbox belongs to a task that is about to look at it; it is aborted below at the latest.
            let _ = line.mailbox.try_send(Mail::Stop);
        }
        let mut tasks = std::mem::take(&mut *self.tasks());
        while tasks.join_next().await.is_some() {}
    }

    fn spawn(&self, mut task: ChannelTask, beginning: Beginning) {
        self.registry().enter(task.links.line());
        if !task.links.claim(&task.channel, self) {
            warn!(key = %task.links.key(), "two stored channels have one id: this one is not told of the chain");
        }
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task.run(beginning));
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.0.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn open(&self, mut terms: Terms) -> Result<Seat, OpenRefusal> {
        let limit = self.0.max_channels;
        if self.channels() >= limit {
            return Err(OpenRefusal::Internal {
                why: format!("the service holds its limit of {limit} channels"),
            });
        }
        if terms.pin == PinWindow::default() {
            terms.pin = self.0.pin;
        }
        let (door, fsm_id) = Door::new();
        let now = crate::links::now();
        let step = Channel::open(terms, rand::random(), now, &*self.chain().view()).map_err(open_refusal)?;
        let channel = step.next().clone();
        let key = ChannelKey::new(rand::random());
        let mut links = Links::new(self, key, door, &channel);
        links.prepare(&channel).await.map_err(|why| OpenRefusal::Internal { why })?;
        let seat = links.seat_client(fsm_id);
        self.spawn(ChannelTask::new(channel, links, self), Beginning::Opened(Box::new(step)));
        Ok(seat)
    }

    async fn come_back(&self, id: ChannelId, fsm_id: FsmId, role: Role) -> Result<Seat, OpenRefusal> {
        let mut refused = OpenRefusal::UnknownChannel { channel_id: id };
        for line in self.registry().find(id, role) {
            let (reply, answer) = oneshot::channel();
            if line.mailbox.send(Mail::Attach(Box::new(Comer { fsm_id, reply }))).await.is_err() {
                continue;
            }
            match answer.await {
                // Its secret may be that of an earlier try.
                Ok(Err(why @ OpenRefusal::InvalidFsmId)) => refused = why,
                Ok(seat) => return seat,
                Err(_) => {}
            }
        }
        Err(refused)
    }
}

impl Desk for Service {
    async fn attach(&self, attach: Attach) -> Result<Seat, OpenRefusal> {
        let seat = async {
            match attach {
                Attach::Open(terms) => self.open(terms).await,
                Attach::Existing { channel_id, fsm_id, role } => {
                    self.come_back(channel_id, fsm_id, role).await
                }
            }
        };
        let late = || OpenRefusal::Internal { why: "the service is too busy, try again".to_owned() };
        tokio::time::timeout(ATTACH_WITHIN, seat).await.unwrap_or_else(|_| Err(late()))
    }
}

fn open_refusal(refusal: strait_channel::Refusal) -> OpenRefusal {
    match refusal.reason {
        Reason::ParticipantNotFound { parameter, account } => {
            OpenRefusal::ParticipantNotFound { parameter, account }
        }
        _ => OpenRefusal::Refused(refusal),
    }
}

#[cfg(test)]
mod tests {
    use strait_client::{ClientError, OpenParams, Outcome, Party, Role as ClientRole, Terms as ClientTerms};
    use strait_encoding::Coins;
    use strait_store::Fault;

    use super::*;
    use crate::Dev;
    use crate::config::{Config, HostPort, WindowAddr};

    async fn dev() -> Dev {
        let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
        let durability = strait_store::Durability::Process;
        let config = Config {
            channel_addr: any_port(),
            node_addr: any_port(),
            operator_addr: WindowAddr(Some(any_port())),
            durability,
            ..Config::default()
        };
        Dev::start(&config).await.unwrap()
    }

    async fn open(dev: &Dev, number: usize) -> (Party, Party) {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let (ours, theirs) = (dev.accounts()[number].key.clone(), dev.accounts()[number + 1].key.clone());
        let terms = ClientTerms {
            initiator_amount: Coins(1_000_000),
            responder_amount: Coins(1_000_000),
            push_amount: Coins(0),
            channel_reserve: Coins(0),
            lock_period: 10,
        };
        let params = |role| {
            OpenParams::new(role, port, Some(ours.account()), theirs.account(), terms.clone())
                .host("127.0.0.1")
        };
        let (us, them) = (params(ClientRole::Initiator), params(ClientRole::Responder));
        let url = dev.channel_url();
        tokio::try_join!(Party::open(&url, &us, ours.clone()), Party::open(&url, &them, theirs.clone()))
            .unwrap()
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_channels_never_have_one_id() {
        let dev = dev().await;
        let keys = [0, 1].map(|number| dev.accounts()[number].key.clone());
        let terms = ClientTerms {
            initiator_amount: Coins(1_000_000),
            responder_amount: Coins(1_000_000),
            push_amount: Coins(0),
            channel_reserve: Coins(0),
            lock_period: 10,
        };
        let (url, accounts) = (dev.channel_url(), [keys[0].account(), keys[1].account()]);
        // Parties and nonce make the id.
        let open_again = async || {
            let port = free_port();
            let params = |role| {
                let params = OpenParams::new(role, port, Some(accounts[0]), accounts[1], terms.clone());
                params.host("127.0.0.1").nonce(strait_encoding::Nonce(1))
            };
            let (us, them) = (params(ClientRole::Initiator), params(ClientRole::Responder));
            let (ours, theirs) = keys.clone().into();
            tokio::try_join!(Party::open(&url, &us, ours), Party::open(&url, &them, theirs))
        };
        let holders = |id| {
            let lines =
                [Role::Initiator, Role::Responder].map(|role| dev.service().registry().find(id, role));
            lines.map(|lines| lines.iter().map(|line| line.key).collect::<Vec<_>>())
        };
        // At the same time: one of them opens.
        let [one, other] = {
            let (one, other) = tokio::join!(open_again(), open_again());
            [one, other]
        };
        let opened: Vec<_> = [one, other].into_iter().flatten().collect();
        let [(mut alice, mut bob)] = <[_; 1]>::try_from(opened).unwrap();
        let id = alice.channel().unwrap();
        let before = holders(id);
        assert!(before.iter().all(|keys| keys.len() == 1), "{before:?}");
        // And later: the one that is there goes on.
        assert!(open_again().await.is_err());
        assert_eq!(holders(id), before);
        let paid = pay(&mut alice, &mut bob).await.unwrap();
        assert!(matches!(paid, Outcome::Agreed { round, .. } if round.0 == 2));
        dev.stop().await;
    }

    async fn pay(payer: &mut Party, payee: &mut Party) -> Result<Outcome, ClientError> {
        tokio::select! {
            outcome = payer.pay(Coins(1), &[]) => outcome,
            ended = payee.serve() => panic!("the channel ended: {ended:?}"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_of_a_channel_tells_what_happened() {
        let dev = dev().await;
        let (mut alice, mut bob) = open(&dev, 0).await;
        pay(&mut alice, &mut bob).await.unwrap();
        let key = dev.service().registry().find(alice.channel().unwrap(), Role::Initiator).remove(0).key;
        let url = dev.window_url().unwrap();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let inspection = strait_operator::Inspection::new(address, None);
        let log = inspection.log(&strait_operator::SideKey(*key.as_bytes()).to_string(), 500).await.unwrap();
        let lines = strait_operator::log_lines(&log);
        for line in [
            "client < channels.info  open\n",
            "client > channels.update.new\n",
            "client < channels.sign.update  round 2, 1 aetto, ak_",
            "client > channels.update  signed\n",
            "client < channels.update  round 2\n",
        ] {
            assert_eq!(lines.matches(line).count(), 1, "{line} in\n{lines}");
        }
        dev.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_error_stops_its_channel_alone_and_nothing_signed_leaves() {
        let dev = dev().await;
        let (mut alice, mut bob) = open(&dev, 0).await;
        let (mut carol, mut dave) = open(&dev, 2).await;
        let service = dev.service();
        let line = service.registry().find(alice.channel().unwrap(), Role::Initiator).remove(0);
        service.store().inject(Fault::Save { key: line.key, nth: 1 });

        let refused = pay(&mut alice, &mut bob).await.unwrap_err().to_string();
        assert!(!refused.is_empty());
        assert!(
            service.registry().find(alice.channel().unwrap(), Role::Initiator).is_empty(),
            "it is quarantined"
        );
        // The proposal was signed but not stored, so the peer never saw it.
        assert_eq!(bob.book().unwrap().round().0, 1);
        let paid = pay(&mut carol, &mut dave).await.unwrap();
        assert!(matches!(paid, Outcome::Agreed { round, .. } if round.0 == 2));

        assert_eq!(service.store().stats().refused, 1, "the operator can see it");

        // A restart takes the channel up where it was stored last.
        let loaded = service.store().load().unwrap();
        let record = loaded.records.iter().find(|record| record.key == line.key).unwrap();
        let (_, channel) = stored::read(record).unwrap();
        assert_eq!(channel.round().0, 1);
        dev.stop().await;
    }
}

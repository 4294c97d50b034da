//! The clients: a thread a core, each channel with both of its clients on one; in it one task a channel.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use strait_client::{OpenParams, Outcome, Party, Role, Signer, Terms};
use strait_encoding::{Coins, SecretKey};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::Failure;
use crate::calls::Called;

/// How many channels are opened at once.
const OPENING: usize = 50;

/// What each side brings.
const AMOUNT: Coins = Coins(1_000_000_000_000_000_000);

/// The clients of a channel.
enum Clients {
    /// They pay.
    Paying(Box<Pair>),
    /// They call a contract.
    Calling(Box<Called>),
}

struct Pair {
    initiator: Party,
    responder: Party,
}

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Payments,
    Calls,
}

/// Open channels, each with the thread that its clients live on.
pub(crate) struct Channels {
    threads: Threads,
    open: Vec<(usize, Clients)>,
}

/// What a run came to.
pub(crate) struct Measured {
    pub took: Duration,
    /// From the request to the agreement, in microseconds.
    pub latency: Histogram<u64>,
}

impl Channels {
    pub(crate) async fn open(url: &str, accounts: &[SecretKey], work: Work) -> Result<Self, Failure> {
        let threads = Threads::start()?;
        let (mut open, mut number) = (Vec::new(), 0);
        for group in accounts.chunks(2 * OPENING) {
            let mut opening = JoinSet::new();
            for pair in group.chunks_exact(2) {
                let (url, initiator, responder) = (url.to_owned(), pair[0].clone(), pair[1].clone());
                let thread = number;
                number += 1;
                let clients = async move {
                    let clients = match work {
                        Work::Payments => {
                            Clients::Paying(Box::new(open_one(&url, initiator, responder).await?))
                        }
                        Work::Calls => {
                            Clients::Calling(Box::new(Called::open(&url, initiator, responder).await?))
                        }
                    };
                    Ok::<_, Failure>((thread, clients))
                };
                opening.spawn_on(clients, threads.of(thread));
            }
            while let Some(opened) = opening.join_next().await {
                open.push(opened??);
            }
        }
        Ok(Self { threads, open })
    }

    /// Makes `updates` updates in every channel at once.
    pub(crate) async fn update(&mut self, updates: u32, both: bool) -> Result<Measured, Failure> {
        let started = Instant::now();
        let mut updating = JoinSet::new();
        for (thread, clients) in self.open.drain(..) {
            let work = async move {
                let (clients, measured) = clients.update(updates, both).await?;
                Ok::<_, Failure>((thread, clients, measured))
            };
            updating.spawn_on(work, self.threads.of(thread));
        }
        let mut latency = histogram()?;
        while let Some(updated) = updating.join_next().await {
            let (thread, clients, measured) = updated??;
            latency.add(measured)?;
            self.open.push((thread, clients));
        }
        Ok(Measured { took: started.elapsed(), latency })
    }
}

impl Clients {
    async fn update(self, updates: u32, both: bool) -> Result<(Self, Histogram<u64>), Failure> {
        match self {
            Clients::Paying(pair) => {
                let (pair, latency) = pay_in(*pair, updates, both).await?;
                Ok((Clients::Paying(Box::new(pair)), latency))
            }
            Clients::Calling(called) => {
                let (called, latency) = called.run(updates, both).await?;
                Ok((Clients::Calling(Box::new(called)), latency))
            }
        }
    }
}

/// A thread a core, each with a runtime of its own, until this is dropped: what wakes a client is the service alone.
struct Threads(Vec<(Handle, oneshot::Sender<()>)>);

impl Threads {
    fn start() -> Result<Self, Failure> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let start = |_| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
            std::thread::Builder::new().name("clients".to_owned()).spawn(move || {
                // Nothing is ever sent: the sender is dropped.
                let _ = runtime.block_on(stopped);
            })?;
            Ok((handle, stop))
        };
        (0..count).map(start).collect::<Result<_, Failure>>().map(Self)
    }

    fn of(&self, channel: usize) -> &Handle {
        &self.0[channel % self.0.len()].0
    }
}

/// What the two sides of a channel ask for, on a port that is free now.
pub(crate) fn params(
    initiator: &SecretKey,
    responder: &SecretKey,
) -> Result<(OpenParams, OpenParams), Failure> {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let terms = Terms {
        initiator_amount: AMOUNT,
        responder_amount: AMOUNT,
        push_amount: Coins::ZERO,
        channel_reserve: Coins::ZERO,
        lock_period: 10,
    };
    let params = |role| {
        OpenParams::new(role, port, Some(initiator.account()), responder.account(), terms.clone())
            .host("127.0.0.1")
            .minimum_depth(0)
    };
    Ok((params(Role::Initiator), params(Role::Responder)))
}

async fn open_one(url: &str, initiator: SecretKey, responder: SecretKey) -> Result<Pair, Failure> {
    let (ours, theirs) = params(&initiator, &responder)?;
    // The states are verified by the service; the clients, whose CPU time is not what is measured, sign and nothing else.
    let signer = |key| Signer::new(key).verify_states(false);
    let (initiator, responder) = tokio::try_join!(
        Party::open(url, &ours, signer(initiator)),
        Party::open(url, &theirs, signer(responder))
    )?;
    Ok(Pair { initiator, responder })
}

async fn pay_in(mut pair: Pair, updates: u32, both: bool) -> Result<(Pair, Histogram<u64>), Failure> {
    let mut latency = histogram()?;
    for number in 0..updates {
        let turn = both && number % 2 == 1;
        let Pair { initiator, responder } = &mut pair;
        let (payer, payee) = if turn { (responder, initiator) } else { (initiator, responder) };
        let asked = Instant::now();
        let outcome = tokio::select! {
            outcome = payer.pay(Coins(1), &[]) => outcome?,
            ended = payee.serve() => return Err(format!("a channel ended: {}", ended?).into()),
        };
        let Outcome::Agreed { .. } = outcome else { return Err(format!("no agreement: {outcome:?}").into()) };
        latency.record(u64::try_from(asked.elapsed().as_micros())?)?;
    }
    Ok((pair, latency))
}

pub(crate) fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

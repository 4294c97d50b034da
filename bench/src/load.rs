//! The clients: one task a channel, both sides in it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use strait_client::{OpenParams, Outcome, Party, Role, Signer, Terms};
use strait_encoding::{Coins, SecretKey};
use tokio::task::JoinSet;

use crate::Failure;

/// How many channels are opened at once.
const OPENING: usize = 50;

/// What each side brings.
const AMOUNT: Coins = Coins(1_000_000_000_000_000_000);

/// Open channels.
pub(crate) struct Channels(Vec<(Party, Party)>);

/// What a run came to.
pub(crate) struct Measured {
    pub took: Duration,
    /// From the request to the agreement, in microseconds.
    pub latency: Histogram<u64>,
}

impl Channels {
    pub(crate) async fn open(url: &str, accounts: &[SecretKey]) -> Result<Self, Failure> {
        let mut channels = Vec::new();
        for group in accounts.chunks(2 * OPENING) {
            let mut opening = JoinSet::new();
            for pair in group.chunks_exact(2) {
                let (url, initiator, responder) = (url.to_owned(), pair[0].clone(), pair[1].clone());
                opening.spawn(async move { open_one(&url, initiator, responder).await });
            }
            while let Some(opened) = opening.join_next().await {
                channels.push(opened??);
            }
        }
        Ok(Self(channels))
    }

    /// Makes `updates` payments in every channel at once.
    pub(crate) async fn pay(&mut self, updates: u32, both: bool) -> Result<Measured, Failure> {
        let started = Instant::now();
        let mut paying = JoinSet::new();
        for (initiator, responder) in self.0.drain(..) {
            paying.spawn(pay_in(initiator, responder, updates, both));
        }
        let mut latency = histogram()?;
        while let Some(paid) = paying.join_next().await {
            let (initiator, responder, measured) = paid??;
            latency.add(measured)?;
            self.0.push((initiator, responder));
        }
        Ok(Measured { took: started.elapsed(), latency })
    }
}

async fn open_one(url: &str, initiator: SecretKey, responder: SecretKey) -> Result<(Party, Party), Failure> {
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
    let (ours, theirs) = (params(Role::Initiator), params(Role::Responder));
    // The states are verified by the service; the clients, whose CPU time is not what is measured, sign and nothing else.
    let signer = |key| Signer::new(key).verify_states(false);
    Ok(tokio::try_join!(
        Party::open(url, &ours, signer(initiator.clone())),
        Party::open(url, &theirs, signer(responder.clone()))
    )?)
}

async fn pay_in(
    mut initiator: Party,
    mut responder: Party,
    updates: u32,
    both: bool,
) -> Result<(Party, Party, Histogram<u64>), Failure> {
    let mut latency = histogram()?;
    for number in 0..updates {
        let turn = both && number % 2 == 1;
        let (payer, payee) =
            if turn { (&mut responder, &mut initiator) } else { (&mut initiator, &mut responder) };
        let asked = Instant::now();
        let outcome = tokio::select! {
            outcome = payer.pay(Coins(1), &[]) => outcome?,
            ended = payee.serve() => return Err(format!("a channel ended: {}", ended?).into()),
        };
        let Outcome::Agreed { .. } = outcome else { return Err(format!("no agreement: {outcome:?}").into()) };
        latency.record(u64::try_from(asked.elapsed().as_micros())?)?;
    }
    Ok((initiator, responder, latency))
}

fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

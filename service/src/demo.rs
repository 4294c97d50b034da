//! `strait demo`: two clients open a channel, pay each other and close it, through the same interfaces as anybody else.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use strait_client::{OpenParams, Outcome, Party, Role, Terms};
use strait_encoding::{AccountId, ChannelId, Coins};
use strait_ledger::{ChainView, TxLocation};

use crate::cli::DemoArgs;
use crate::config::{Config, HostPort, WindowAddr};
use crate::dev::Dev;

/// One AE in aettos.
const AE: u128 = 1_000_000_000_000_000_000;

/// What each payment moves: a thousandth of an AE.
const PAYMENT: Coins = Coins(AE / 1000);

type Failure = Box<dyn Error>;

/// Runs the demonstration; ends by itself.
///
/// # Errors
/// Something that should work did not: the error says what.
pub async fn run(args: &DemoArgs) -> Result<(), Failure> {
    let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let config = Config {
        channel_addr: any_port(),
        node_addr: any_port(),
        operator_addr: WindowAddr(None),
        durability: args.durability,
        ..Config::default()
    };
    let dev = Dev::start(&config).await?;
    say(&format!("service    {} (durability {})", dev.channel_url(), config.durability))?;
    say(&format!("chain      {} at height {}, network {}", dev.node_url(), height(&dev), config.network_id))?;
    let outcome = channel_life(&dev, args.payments).await;
    dev.stop().await;
    outcome
}

async fn channel_life(dev: &Dev, payments: u32) -> Result<(), Failure> {
    let [_, alice, bob, ..] = dev.accounts() else { return Err("there are no prefunded accounts".into()) };
    let (alice, bob) = (alice.key.clone(), bob.key.clone());
    let (initiator, responder) = (alice.account(), bob.account());
    show_chain_balances(dev, "before", initiator, responder)?;

    let port = free_port()?;
    let terms = Terms {
        initiator_amount: Coins(10 * AE),
        responder_amount: Coins(10 * AE),
        push_amount: Coins::ZERO,
        channel_reserve: Coins(AE / 10),
        lock_period: 10,
    };
    let params =
        |role| OpenParams::new(role, port, Some(initiator), responder, terms.clone()).host("127.0.0.1");
    let started = Instant::now();
    say("\nopening    both clients sign the create transaction, the chain confirms it")?;
    let url = dev.channel_url();
    let (initiator_params, responder_params) = (params(Role::Initiator), params(Role::Responder));
    let (mut alice, mut bob) = tokio::try_join!(
        Party::open(&url, &initiator_params, alice),
        Party::open(&url, &responder_params, bob)
    )?;
    let channel = alice.channel().ok_or("the channel has no id")?;
    say(&format!("open       {channel} after {:.1} s", started.elapsed().as_secs_f64()))?;

    pay(&mut alice, &mut bob, payments).await?;

    say("\nclosing    both clients sign how the coins are divided")?;
    let started = Instant::now();
    let (outcome, last) = tokio::try_join!(alice.shutdown(), bob.serve())?;
    match outcome {
        Outcome::Agreed { .. } => {
            say(&format!("closed     {last} after {:.1} s", started.elapsed().as_secs_f64()))?
        }
        other => return Err(format!("the channel was not closed: {other:?}").into()),
    }
    show_transactions(dev, channel)?;
    show_chain_balances(dev, "after", initiator, responder)
}

/// Payments in alternating directions; the other client signs meanwhile what it is asked to.
async fn pay(alice: &mut Party, bob: &mut Party, payments: u32) -> Result<(), Failure> {
    say(&format!("\npaying     {payments} payments of {} AE in turn", ae(PAYMENT)))?;
    let started = Instant::now();
    let mut shown = Duration::ZERO;
    for number in 1..=payments {
        let (payer, payee) =
            if number % 2 == 1 { (&mut *alice, &mut *bob) } else { (&mut *bob, &mut *alice) };
        let outcome = tokio::select! {
            outcome = payer.pay(PAYMENT, &[]) => outcome?,
            ended = payee.serve() => return Err(format!("the channel ended: {}", ended?).into()),
        };
        let Outcome::Agreed { round, .. } = outcome else {
            return Err(format!("payment {number} did not come about: {outcome:?}").into());
        };
        let elapsed = started.elapsed();
        if number == payments || elapsed >= shown + Duration::from_millis(250) {
            shown = elapsed;
            let rate = f64::from(number) / elapsed.as_secs_f64().max(f64::EPSILON);
            show_payments(alice, bob, number, round.0, rate)?;
        }
    }
    Ok(())
}

fn show_payments(alice: &Party, bob: &Party, number: u32, round: u64, rate: f64) -> Result<(), Failure> {
    let balance =
        |party: &Party| party.book().map_or_else(|| "?".to_owned(), |book| ae(book.balance(party.account())));
    let (alice, bob) = (balance(alice), balance(bob));
    say(&format!(
        "  {number:>6} paid   round {round:<6}  initiator {alice:>8} AE   responder {bob:>8} AE   {rate:>6.0}/s"
    ))
}

fn show_transactions(dev: &Dev, channel: ChannelId) -> Result<(), Failure> {
    say("\non chain")?;
    let view = dev.service().chain().view();
    for (hash, location) in view.txs_of_channel(channel) {
        let Some((tx, _)) = view.tx(&hash) else { continue };
        if let TxLocation::InBlock { height, .. } = location {
            let (name, fee) = (tx.kind().json_name(), tx.tx().fee());
            say(&format!("  height {height:<4} {name:<22} fee {} AE   {hash}", ae(fee)))?;
        }
    }
    Ok(())
}

fn show_chain_balances(
    dev: &Dev,
    when: &str,
    initiator: AccountId,
    responder: AccountId,
) -> Result<(), Failure> {
    let view = dev.service().chain().view();
    for (name, account) in [("initiator", initiator), ("responder", responder)] {
        let balance = view.account(account).map_or(Coins::ZERO, |found| found.balance);
        say(&format!("{when:<10} {name}  {account}  {} AE", ae(balance)))?;
    }
    Ok(())
}

fn height(dev: &Dev) -> u64 {
    dev.service().chain().view().top_height().0
}

fn ae(coins: Coins) -> String {
    let text = format!("{}.{:018}", coins.0 / AE, coins.0 % AE);
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// A port that nobody listens on now.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

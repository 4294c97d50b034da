//! Two parties open a channel, one pays the other three times, and they close it together.
//!
//! Start a development service first, then run this with two of the secret keys that it prints:
//!
//! ```text
//! strait dev
//! cargo run --example pay -p strait-client -- sk_… sk_…
//! ```
//!
//! Without arguments the keys are read from `ALICE` and `BOB`; the service's address from `STRAIT_WS`, if it is not the
//! default one.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use strait_client::{OpenParams, Outcome, Party, Role, Terms};
use strait_encoding::{Coins, SecretKey};

/// One thousandth of an AE, in aettos.
const MILLI_AE: u128 = 1_000_000_000_000_000;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(why) = paid().await else { return ExitCode::SUCCESS };
    eprintln!("{why}");
    ExitCode::FAILURE
}

async fn paid() -> Result<(), Box<dyn Error>> {
    let (alice, bob) = keys()?;
    let service = env::var("STRAIT_WS").unwrap_or("ws://127.0.0.1:3014/channel".to_owned());

    // Both must agree on these; the coins are locked on chain until the channel is closed.
    let terms = Terms {
        initiator_amount: Coins(10 * MILLI_AE),
        responder_amount: Coins(10 * MILLI_AE),
        push_amount: Coins(0),
        channel_reserve: Coins(1),
        lock_period: 10,
    };
    let side = |role| {
        OpenParams::new(role, 3_114, Some(alice.account()), bob.account(), terms.clone()).host("127.0.0.1")
    };

    // Both sides open at the same time: each signs the transaction that creates the channel, and waits until it is confirmed.
    let (alice_opens, bob_opens) = (side(Role::Initiator), side(Role::Responder));
    let (mut alice, mut bob) = tokio::try_join!(
        Party::open(&service, &alice_opens, alice.clone()),
        Party::open(&service, &bob_opens, bob.clone()),
    )?;
    let accounts = [alice.account(), bob.account()];
    println!("open: {}", alice.channel().ok_or("an open channel has an id")?);

    // Bob only answers: he signs whatever costs him nothing, until the channel is closed.
    let bob = tokio::spawn(async move { bob.serve().await });

    for amount in 1..=3 {
        // No chain is involved from here on: a payment is two signatures.
        match alice.pay(Coins(amount * MILLI_AE), &["a coffee"]).await? {
            Outcome::Agreed { round, .. } => println!("paid {amount} mAE, round {round}"),
            other => return Err(format!("not paid: {other:?}").into()),
        }
    }
    for (account, balance) in alice.balances(&accounts).await? {
        println!("{account} has {balance} aettos in the channel");
    }

    match alice.shutdown().await? {
        Outcome::Agreed { state, .. } => println!("closed by {}", state.hash()),
        other => return Err(format!("not closed: {other:?}").into()),
    }
    println!("Bob saw: {}", bob.await??);
    Ok(())
}

/// The keys of two accounts that have coins on chain.
fn keys() -> Result<(SecretKey, SecretKey), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut key = |name: &str| -> Result<SecretKey, Box<dyn Error>> {
        let text = arguments.next().map_or_else(|| env::var(name), Ok);
        let text = text.map_err(|_| format!("give two secret keys sk_…, or set {name}"))?;
        text.parse::<SecretKey>().map_err(|why| format!("the secret key of {name}: {why}").into())
    };
    Ok((key("ALICE")?, key("BOB")?))
}

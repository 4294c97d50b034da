//! Shows the operator's window over a service that is only played, with a thousand sides of channels.
//!
//! ```text
//! cargo run -p strait-operator --example window -- 127.0.0.1:3015 1000 400
//! ```
//!
//! The first argument is the address, the second how many sides there are, the third how many payments happen a second.
//! Off the loopback address it prints a token.

mod stage;

use std::error::Error;
use std::future::pending;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stage::Stage;
use strait_operator::{Access, Metrics, Token, serve};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let sides = arguments.next().unwrap_or_else(|| "1000".to_owned()).parse()?;
    let payments: usize = arguments.next().unwrap_or_else(|| "400".to_owned()).parse()?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let token = (!address.ip().is_loopback()).then(Token::random);
    match &token {
        Some(token) => println!("http://{address}/?token={}", token.expose()),
        None => println!("http://{address}/"),
    }
    let stage = Stage::new(sides, now());
    let access = Access::on(address, token.as_ref())?;
    tokio::spawn(play(stage.clone(), payments));
    serve(listener, stage, Metrics::new(), access, pending()).await;
    Ok(())
}

/// Ten times a second something happens; every second a key block, in between micro blocks.
async fn play(stage: Stage, payments: usize) {
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    for tenth in 0_usize.. {
        beat.tick().await;
        // Business comes in waves.
        let wave = [6, 7, 9, 12, 14, 13, 11, 10, 8, 7, 9, 14, 16, 12, 9, 8][tenth / 20 % 16];
        stage.play(payments * wave / 100, now());
        if tenth % 5 == 0 {
            stage.grow(tenth % 15 == 0, tenth % 10 == 0, now());
        }
    }
}

fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

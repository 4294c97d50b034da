//! Serves a chain that never moves, with a thousand accounts, on one thread: what a load tool measures is the interface
//! alone. It prints the address and the path of an account; the first argument is the address to listen on.
//!
//! ```text
//! cargo run --release -p strait-node-api --example still_chain -- 127.0.0.1:3013
//! wrk -t1 -c64 -d10s http://127.0.0.1:3013/v3/accounts/ak_…
//! ```

use std::error::Error;
use std::future::pending;
use std::sync::Arc;

use strait_encoding::{Coins, NetworkId, SecretKey, TxHash};
use strait_ledger::{Chain, ChainConfig, SignedTx};
use strait_node_api::{Node, Refused, serve};
use tokio::net::TcpListener;

struct Still(Arc<Chain>);

impl Node for Still {
    fn view(&self) -> Arc<Chain> {
        Arc::clone(&self.0)
    }

    async fn submit(&self, _: SignedTx) -> Result<TxHash, Refused> {
        Err(Refused::Unavailable("this chain takes no transactions".to_owned()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let key = |number: u16| {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        SecretKey::from_seed(seed).account()
    };
    let accounts = (0..1000).map(|number| (key(number), Coins(10_u128.pow(21)))).collect();
    let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), accounts));
    chain.mine_key_block(1);
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/v3/accounts/{}", listener.local_addr()?, key(500));
    serve(listener, Still(Arc::new(chain)), pending()).await;
    Ok(())
}

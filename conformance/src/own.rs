//! A service of our own, started for the sessions in this very process.

use std::time::Duration;

use strait_service::Dev;
use strait_service::config::{Config, HostPort, WindowAddr};
use tokio::sync::OnceCell;

use crate::node::NodeChain;
use crate::service::{Chain, Endpoint, Service, ServiceError};

/// How often key blocks come, so that a lock period of some blocks does not hold up a session.
const KEY_BLOCKS: Duration = Duration::from_millis(100);

/// A dev service with free ports and a temporary folder; it ends with the process.
#[derive(Default)]
pub struct Own {
    started: OnceCell<(Dev, NodeChain)>,
}

impl Own {
    /// One that starts when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    async fn started(&self) -> Result<&(Dev, NodeChain), ServiceError> {
        self.started.get_or_try_init(start).await
    }
}

async fn start() -> Result<(Dev, NodeChain), ServiceError> {
    let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let config = Config {
        channel_addr: any_port(),
        node_addr: any_port(),
        operator_addr: WindowAddr(None),
        key_block_interval: KEY_BLOCKS,
        ..Config::default()
    };
    let failed = |why: String| ServiceError::Start(why);
    let dev = Dev::start(&config).await.map_err(|why| failed(why.to_string()))?;
    let account = dev.accounts().first().ok_or_else(|| failed("nobody is prefunded".to_owned()))?;
    let chain = NodeChain::new(dev.node_url(), account.key.clone());
    Ok((dev, chain))
}

impl Service for Own {
    type Chain = NodeChain;

    async fn start(&self) -> Result<Endpoint, ServiceError> {
        let (dev, chain) = self.started().await?;
        Ok(Endpoint { ws_url: dev.channel_url(), network: chain.network().await? })
    }

    async fn chain(&self) -> Result<&NodeChain, ServiceError> {
        Ok(&self.started().await?.1)
    }
}

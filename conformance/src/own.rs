//! A service of our own, started for the sessions in this very process.

use strait_encoding::{AccountId, Coins};
use strait_service::Dev;
use strait_service::config::{Config, HostPort};
use tokio::sync::OnceCell;

use crate::node::NodeFunder;
use crate::service::{Endpoint, Funder, Service, ServiceError};

/// A dev service with free ports and a temporary folder; it ends with the process.
#[derive(Default)]
pub struct Own {
    started: OnceCell<(Dev, NodeFunder)>,
}

impl Own {
    /// One that starts when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    async fn started(&self) -> Result<&(Dev, NodeFunder), ServiceError> {
        self.started.get_or_try_init(start).await
    }
}

async fn start() -> Result<(Dev, NodeFunder), ServiceError> {
    let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let config = Config { channel_addr: any_port(), node_addr: any_port(), ..Config::default() };
    let failed = |why: String| ServiceError::Start(why);
    let dev = Dev::start(&config).await.map_err(|why| failed(why.to_string()))?;
    let account = dev.accounts().first().ok_or_else(|| failed("nobody is prefunded".to_owned()))?;
    let funder = NodeFunder::new(dev.node_url(), account.key.clone());
    Ok((dev, funder))
}

impl Service for Own {
    async fn start(&self) -> Result<Endpoint, ServiceError> {
        let (dev, funder) = self.started().await?;
        Ok(Endpoint { ws_url: dev.channel_url(), network: funder.network().await? })
    }

    async fn fund(&self, account: AccountId, coins: Coins) -> Result<(), ServiceError> {
        self.started().await?.1.fund(account, coins).await
    }
}

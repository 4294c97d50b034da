//! How a chain began, and the settings that decide what its blocks mean: a stored chain cannot go on with others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strait_encoding::{AccountId, Coins, Height};
use strait_ledger::ChainConfig;

/// What cannot change once a chain has begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    network: String,
    protocol: String,
    solo_round_switch: Height,
    min_gas_price: Coins,
    accounts: BTreeMap<AccountId, Coins>,
}

impl Origin {
    /// Of a chain with these settings.
    pub fn of(config: &ChainConfig) -> Self {
        Self {
            network: config.network.to_string(),
            protocol: config.protocol.to_string(),
            solo_round_switch: config.solo_round_switch,
            min_gas_price: config.min_gas_price,
            accounts: config.genesis_accounts.clone(),
        }
    }

    /// For storage.
    pub fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Reads what [`to_text`](Self::to_text) gives.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The first setting in which `self`, the stored one, differs from that of today, and both values.
    pub fn difference(&self, settings: &Self) -> Option<String> {
        let pairs = [
            ("network", self.network.clone(), settings.network.clone()),
            ("protocol", self.protocol.clone(), settings.protocol.clone()),
            ("solo round switch", self.solo_round_switch.to_string(), settings.solo_round_switch.to_string()),
            ("minimum gas price", self.min_gas_price.to_string(), settings.min_gas_price.to_string()),
        ];
        let differing = pairs.into_iter().find(|(_, stored, today)| stored != today);
        match differing {
            Some((name, stored, today)) => Some(format!("{name} {stored}, the settings say {today}")),
            None => self.account_difference(settings),
        }
    }

    fn account_difference(&self, settings: &Self) -> Option<String> {
        let all: BTreeMap<_, _> = self.accounts.iter().chain(&settings.accounts).collect();
        let balances = |id: &AccountId| (self.accounts.get(id), settings.accounts.get(id));
        let mut differing = all.into_keys().filter(|id| {
            let (stored, today) = balances(id);
            stored != today
        });
        let first = differing.next()?;
        let amount = |balance: Option<&Coins>| match balance {
            Some(balance) => format!("{balance} aettos"),
            None => "nothing".to_owned(),
        };
        let (stored, today) = balances(first);
        let more = match differing.count() {
            0 => String::new(),
            more => format!(" ({more} more accounts differ)"),
        };
        Some(format!(
            "{} for account {first} in its first block, the settings say {}{more}",
            amount(stored),
            amount(today)
        ))
    }
}

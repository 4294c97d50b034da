//! Which hosts may be dialled: clients name them, the operator bounds them (`docs/protocol/gaps` §4, no 40).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::{HostNotAllowed, HostsError};
use crate::public::is_public;

/// Hosts that may be dialled.
///
/// As text: `any`, or a list with commas of host names, IP addresses, networks in CIDR notation, and `public`, which stands for
/// every address that is globally reachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Every host that this machine reaches, itself and its inner network included, as in the reference.
    Any,
    /// The operator's list.
    List(HostList),
}

/// Hosts of the operator's list; read as [`Hosts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostList {
    public: bool,
    /// In lower case, without a dot at the end.
    names: BTreeSet<String>,
    networks: Vec<IpNet>,
}

impl Hosts {
    /// What can be said of `host` before it is resolved: an address is allowed or not; a name that is not on the list may be
    /// allowed if there are addresses that are.
    ///
    /// # Errors
    /// The host is not allowed, whatever it resolves to: the fault of who named it.
    pub fn check(&self, host: &str) -> Result<(), HostNotAllowed> {
        match self {
            Hosts::List(list) if !list.may_hold(host) => {
                Err(HostNotAllowed { host: host.to_owned(), allowed: list.clone() })
            }
            Hosts::List(_) | Hosts::Any => Ok(()),
        }
    }

    /// The list, if it does not allow `host` at this `address`, which is its own or the one it resolves to.
    pub(crate) fn forbids(&self, host: &str, address: IpAddr) -> Option<&HostList> {
        match self {
            Hosts::List(list) if !list.names.contains(&plain(host)) && !list.holds(address) => Some(list),
            Hosts::List(_) | Hosts::Any => None,
        }
    }
}

impl HostList {
    fn may_hold(&self, host: &str) -> bool {
        if let Ok(address) = host.parse() {
            return self.holds(address);
        }
        let name = plain(host);
        if self.names.contains(&name) {
            return true;
        }
        // No resolver may say otherwise of these (RFC 6761).
        if name == "localhost" || name.ends_with(".localhost") {
            let is_loopback = |net: &IpNet| LOOPBACK.iter().any(|own| own.contains(net) || net.contains(own));
            return self.networks.iter().any(is_loopback);
        }
        self.public || !self.networks.is_empty()
    }

    fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.public && is_public(address) || self.networks.iter().any(|net| net.contains(&address))
    }

    fn add(&mut self, entry: &str) -> Option<()> {
        if entry == "public" {
            self.public = true;
        } else if let Ok(address) = IpAddr::from_str(entry) {
            self.networks.push(address.to_canonical().into());
        } else if let Ok(network) = IpNet::from_str(entry) {
            self.networks.push(canonical(network)?);
        } else {
            self.names.insert(name(entry)?);
        }
        Some(())
    }
}

const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

/// How names are compared.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// A network, of IPv4 if it is one in the form of IPv6. One with bits behind its prefix is more likely a wrong prefix than meant.
fn canonical(network: IpNet) -> Option<IpNet> {
    if network.trunc() != network {
        return None;
    }
    let mapped = |network: &Ipv6Net| {
        let prefix = network.prefix_len().checked_sub(96)?;
        Ipv4Net::new(network.addr().to_ipv4_mapped()?, prefix).ok()
    };
    Some(match &network {
        IpNet::V6(v6) => mapped(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    })
}

/// A name as it is compared, if it can be one. What a resolver reads as an address in an old form (`127.1`, `0x7f000001`) is none.
fn name(entry: &str) -> Option<String> {
    const MAX_NAME: usize = 253;
    const MAX_LABEL: usize = 63;
    let name = plain(entry);
    let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(letter);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with("0x") || last.bytes().all(|c| c.is_ascii_digit());
    let is_name = name.len() <= MAX_NAME && name.split('.').all(label) && !is_number && name != "any";
    is_name.then_some(name)
}

impl FromStr for Hosts {
    type Err = HostsError;

    fn from_str(s: &str) -> Result<Hosts, HostsError> {
        if s == "any" {
            return Ok(Hosts::Any);
        }
        let mut list = HostList { public: false, names: BTreeSet::new(), networks: Vec::new() };
        for entry in s.split(',').map(str::trim) {
            list.add(entry).ok_or_else(|| HostsError { entry: entry.to_owned() })?;
        }
        Ok(Hosts::List(list))
    }
}

/// What is allowed, as an error's text says it; a long list is cut.
impl fmt::Display for HostList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        if self.public && self.names.is_empty() && self.networks.is_empty() {
            return f.write_str("a public address");
        }
        f.write_str("one of the operator's list: ")?;
        let public = self.public.then(|| "public addresses".to_owned());
        let networks = self.networks.iter().map(|net| {
            if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
        });
        let entries: Vec<String> =
            public.into_iter().chain(self.names.iter().cloned()).chain(networks).collect();
        f.write_str(&entries[..entries.len().min(SHOWN)].join(", "))?;
        match entries.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Hosts {
        text.parse().unwrap()
    }

    fn refusal(list: &str, host: &str) -> String {
        hosts(list).check(host).unwrap_err().to_string()
    }

    #[test]
    fn a_host_is_judged_before_it_is_resolved_where_it_can_be() {
        const LONG: &str = "public,hub.example.org,10.1.0.0/16,2001:db8::7,::1";
        for (list, allowed, refused) in [
            ("any", "127.0.0.1 ::1 localhost 10.0.0.1 hub 8.8.8.8 0.0.0.0 ::ffff:10.0.0.1", ""),
            (
                "public",
                "8.8.8.8 2606:4700::1111 ::ffff:8.8.8.8 hub.example.org hub 2130706433",
                "127.0.0.1 ::1 10.0.0.1 ::ffff:127.0.0.1 169.254.169.254 0.0.0.0 :: fd00::1 localhost LOCALHOST localhost. \
                 a.localhost",
            ),
            (
                "hub.example.org,Other.Example.",
                "hub.example.org HUB.example.org hub.example.org. other.example",
                "a.hub.example.org example.org hub.example.orgs 8.8.8.8 127.0.0.1 localhost 2130706433",
            ),
            (
                "10.1.0.0/16",
                "10.1.0.0 10.1.255.255 ::ffff:10.1.2.3 hub",
                "10.0.255.255 10.2.0.0 8.8.8.8 ::10.1.2.3 localhost",
            ),
            ("::ffff:10.1.0.0/112", "10.1.2.3 ::ffff:10.1.2.3", "10.2.0.0 ::ffff:10.2.0.0"),
            ("fd00:7::/32", "fd00:7::1", "fd00:8::1 ::1 127.0.0.1 localhost"),
            ("0.0.0.0/0", "10.0.0.1 127.0.0.1 localhost", "::1 2606:4700::1111"),
            ("127.0.0.1", "127.0.0.1 localhost a.localhost ::ffff:127.0.0.1", "127.0.0.2 ::1 8.8.8.8"),
            ("localhost", "localhost", "127.0.0.1 ::1 a.localhost hub"),
            (
                LONG,
                "8.8.8.8 hub.example.org 10.1.7.7 2001:db8::7 ::1 localhost hub",
                "10.2.0.1 2001:db8::8 127.0.0.1",
            ),
        ] {
            let rule = hosts(list);
            for host in allowed.split_whitespace() {
                assert_eq!(rule.check(host), Ok(()), "{list}: {host}");
            }
            for host in refused.split_whitespace() {
                assert!(rule.check(host).is_err(), "{list}: {host}");
            }
        }
    }

    #[test]
    fn the_address_that_a_name_resolves_to_decides_unless_the_name_is_listed() {
        for (list, host, address, allowed) in [
            ("any", "hub", "127.0.0.1", true),
            ("public", "hub", "127.0.0.1", false),
            ("public", "hub", "::ffff:127.0.0.1", false),
            ("public", "hub", "8.8.8.8", true),
            ("10.1.0.0/16", "hub", "::ffff:10.1.2.3", true),
            ("10.1.0.0/16", "hub", "10.2.2.3", false),
            ("hub,public", "Hub.", "10.2.2.3", true),
            ("hub,public", "hub.example", "10.2.2.3", false),
            ("127.0.0.0/8", "localhost", "127.0.0.1", true),
            ("127.0.0.0/8", "localhost", "::1", false),
        ] {
            let forbidden = hosts(list).forbids(host, address.parse().unwrap()).is_some();
            assert_eq!(!forbidden, allowed, "{list}: {host} at {address}");
        }
    }

    #[test]
    fn a_refusal_names_the_host_and_what_is_allowed() {
        assert_eq!(
            refusal("public", "10.0.0.1"),
            "host \"10.0.0.1\" is not allowed, expected a public address"
        );
        assert_eq!(
            refusal("10.1.0.0/16, public, 192.0.2.7,Hub.example.org", "localhost"),
            "host \"localhost\" is not allowed, expected one of the operator's list: public addresses, hub.example.org, \
             10.1.0.0/16, 192.0.2.7"
        );
        let many: Vec<String> = (0..20).map(|number| format!("10.0.0.{number}")).collect();
        let error = refusal(&many.join(","), "10.0.0.20");
        assert!(error.ends_with("10.0.0.14, 10.0.0.15 and 4 more"), "{error}");
    }

    #[test]
    fn what_is_no_host_is_not_taken_into_the_list() {
        let long = format!("{}.example", "a".repeat(64));
        for (text, entry) in [
            ("", ""),
            ("hub,", ""),
            ("hub,,other", ""),
            ("public,any", "any"),
            ("Any", "Any"),
            ("10.0.0.0/33", "10.0.0.0/33"),
            ("hub, 10.1.2.3/8", "10.1.2.3/8"),
            ("2001:db8::1/32", "2001:db8::1/32"),
            ("hub.example.org:3114", "hub.example.org:3114"),
            ("[::1]", "[::1]"),
            ("10.0.0", "10.0.0"),
            ("300.1.1.1", "300.1.1.1"),
            ("2130706433", "2130706433"),
            ("0x7f000001", "0x7f000001"),
            ("*.example.org", "*.example.org"),
            ("hub example", "hub example"),
            ("hub..example", "hub..example"),
            ("hüb.example", "hüb.example"),
            (&long, &long),
        ] {
            let error = text.parse::<Hosts>().unwrap_err();
            assert_eq!(error.entry, entry, "{text}");
            let (text, entry) = (error.to_string(), format!("{entry:?}"));
            assert!(text.contains(&entry) && text.contains("any, or a list"), "{text}");
        }
    }
}

//! Which addresses are public: globally reachable, for everybody.
//!
//! The standard library has no stable answer (`IpAddr::is_global`). The tables are those of IANA's registries of special-purpose
//! addresses, for IPv4 and for IPv6, without what is reachable there but stands for a service of the network itself, such as
//! anycast addresses of relays: no peer has one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Whether everybody's packets reach this address wherever they are sent. An IPv4 address in the form of an IPv6 address is judged
/// as what it is.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match behind_nat64(address) {
            Some(address) => is_public_v4(address),
            None => UNICAST.contains(&address) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&address)),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|net| net.contains(&address))
}

/// The address that a translator makes of one with the well-known prefix (RFC 6052): on a network without IPv4 names of
/// IPv4 hosts resolve to these.
fn behind_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    NAT64.contains(&address).then(|| Ipv4Addr::new(a, b, c, d))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// A network by the first three groups of its address.
const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const NOT_PUBLIC_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),       // this network; 0.0.0.0 itself reaches this machine
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // shared by a provider's customers
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, where clouds tell their machines secrets
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // relays of 6to4, given up
    v4(192, 168, 0, 0, 16),  // private
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, broadcast
];

/// All that is given out to be reached by everybody. Loopback, IPv4-compatible, unique-local, link-local, site-local and multicast
/// addresses lie outside.
const UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Of [`UNICAST`].
const NOT_PUBLIC_V6: &[Ipv6Net] = &[
    v6(0x2001, 0, 0, 23),     // protocol assignments: Teredo, benchmarking, …
    v6(0x2001, 0xdb8, 0, 32), // documentation
    v6(0x2002, 0, 0, 16),     // 6to4: has any IPv4 address in it
    v6(0x3fff, 0, 0, 20),     // documentation
];

const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(addresses: &str) -> Vec<(&str, bool)> {
        addresses.split_whitespace().map(|text| (text, is_public(text.parse().unwrap()))).collect()
    }

    /// The first and the last address of each network, and what stands for one in another form.
    #[test]
    fn what_is_not_reached_by_everybody_is_not_public() {
        let addresses = "
            0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.0.0.1 127.255.255.255
            169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0
            192.0.2.255 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255
            203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255
            :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254
            ::ffff:192.168.1.1 ::ffff:0:8.8.8.8 64:ff9b::0.0.0.0 64:ff9b::7f00:1 64:ff9b::10.1.2.3 64:ff9b:1::8.8.8.8
            100::1 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
            2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:20::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
            2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002::1 2002:7f00:1::1 2002:a00:1::1
            2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff::1 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff
            4000::1 5f00::1 fc00:: fd00:ec2::254 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80::1 febf::1 fec0::1
            ff00:: ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (address, public) in judged(addresses) {
            assert!(!public, "{address}");
        }
    }

    #[test]
    fn the_addresses_beside_those_are_public() {
        let addresses = "
            1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
            169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0
            192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
            223.255.255.255 ::ffff:8.8.8.8 ::ffff:1.1.1.1 64:ff9b::8.8.8.8
            2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9:: 2001:4860:4860::8888 2003::1 2606:4700::1111
            2a00:1450:4001:80b::200e 3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::";
        for (address, public) in judged(addresses) {
            assert!(public, "{address}");
        }
    }
}

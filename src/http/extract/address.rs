//! The client's address, seen through trusted proxies.

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use crate::http::Error;

/// Number of trusted reverse proxies.
#[derive(Debug, Clone, Copy)]
pub struct TrustedProxies(pub u8);

/// The client's address for rate limits: the peer's, or the one seen by the outermost trusted
/// proxy. An IPv6 address is reduced to its network, since one customer has 2⁶⁴ addresses.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the address of the client that sent `request`.
    pub fn of(request: &HttpRequest) -> Self {
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let trusted = request
            .app_data::<TrustedProxies>()
            .map_or(0, |proxies| proxies.0);
        Self(network(forwarded(request, trusted).unwrap_or(peer)))
    }
}

/// Returns an IPv4 address unchanged, and the /64 network of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Returns the address seen by the outermost of `trusted` proxies. Entries further left come from
/// the client and may contain any bytes. Returns none if the proxy's entry is not an address; the
/// limits then apply to the proxy itself.
fn forwarded(request: &HttpRequest, trusted: u8) -> Option<IpAddr> {
    let back = usize::from(trusted).checked_sub(1)?;
    let headers = request.headers().get_all("x-forwarded-for");
    let hops: Vec<&[u8]> = headers
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .collect();
    hop_address(hops.iter().rev().nth(back)?)
}

/// Parses the address of a hop, with or without a port. An ALB that preserves the client's port and
/// Azure's gateways write `6.6.6.6:4000` and `[2001:db8::1]:443`.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim().trim_matches('"');
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    address.or_else(|| hop.parse().ok().map(|hop: SocketAddr| hop.ip()))
}

impl FromRequest for ClientAddress {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_hops_of_trusted_proxies_count() {
        let request = TestRequest::default()
            .insert_header(("x-forwarded-for", "6.6.6.6, 1.2.3.4"))
            .append_header(("x-forwarded-for", "10.0.0.1"))
            .to_http_request();
        assert_eq!(forwarded(&request, 0), None);
        assert_eq!(forwarded(&request, 1), Some([10, 0, 0, 1].into()));
        assert_eq!(forwarded(&request, 2), Some([1, 2, 3, 4].into()));
        assert_eq!(forwarded(&request, 4), None);
    }

    #[test]
    fn hop_may_have_a_port_and_follow_arbitrary_bytes() {
        for (hop, address) in [
            ("6.6.6.6", Some("6.6.6.6")),
            ("6.6.6.6:4000", Some("6.6.6.6")),
            ("\"6.6.6.6:4000\"", Some("6.6.6.6")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("unknown", None),
            ("", None),
        ] {
            let value = [b"\xff\xfe, ", hop.as_bytes()].concat();
            let request = TestRequest::default()
                .insert_header(("x-forwarded-for", value.as_slice()))
                .to_http_request();
            let address = address.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(forwarded(&request, 1), address, "{hop}");
        }
    }

    #[test]
    fn addresses_of_one_customer_share_a_limit() {
        for (address, limited) in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address = network(address.parse().unwrap());
            assert_eq!(address, limited.parse::<IpAddr>().unwrap());
        }
    }
}

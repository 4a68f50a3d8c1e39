//! Where a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{app::App, error::ApiError, policy, time::UnixMillis};

/// A keyed digest of the network address of the client: enough to count and to compare, not to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressDigest(pub String);

impl FromRequestParts<App> for AddressDigest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let forwarded = if app.trust_forwarded_for { forwarded_for(&parts.headers) } else { None };
        let address = forwarded.or(peer).map(network).map_or_else(String::new, |address| address.to_string());
        Ok(Self(app.tokens.digest(&["address", &address])))
    }
}

/// The address that the nearest proxy has seen: the last of `X-Forwarded-For`. Those before it can be made up.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// Whoever has one IPv6 address has 2^64 of them: the network is what counts.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

/// Counts the requests of an address, and refuses those above the limit.
pub async fn limit_address(
    State(app): State<App>,
    address: AddressDigest,
    request: Request,
    next: Next,
) -> Response {
    let now = UnixMillis::now();
    let subject = format!("address:{}", address.0);
    let usage = match app.store.count_request(&subject, policy::ADDRESS_REQUESTS, now).await {
        Ok(usage) => usage,
        Err(error) => return ApiError::from(error).into_response(),
    };
    if usage.is_exceeded() {
        return ApiError::RateLimited { usage, now }.into_response();
    }
    let mut response = next.run(request).await;
    if !response.headers().contains_key(axum::http::header::RETRY_AFTER) {
        usage.write_headers(response.headers_mut(), now);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_that_the_nearest_proxy_saw_counts() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        headers.append("x-forwarded-for", "3.3.3.3,4.4.4.4".parse().unwrap());
        assert_eq!(forwarded_for(&headers), Some(IpAddr::from([4, 4, 4, 4])));
        headers.append("x-forwarded-for", "unknown".parse().unwrap());
        assert_eq!(forwarded_for(&headers), None);
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let network_of = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6"), network_of("2001:db8:1:2:ffff::"));
        assert_ne!(network_of("2001:db8:1:2::"), network_of("2001:db8:1:3::"));
        assert_eq!(network_of("::ffff:1.2.3.4"), "1.2.3.4");
    }
}

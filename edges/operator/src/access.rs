//! Who may look: on a loopback address everybody on the machine, elsewhere who shows the token.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, ORIGIN};
use strait_encoding::hash::blake2b_of;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::question::Question;

const SHORTEST_TOKEN: usize = 16;
const LONGEST_TOKEN: usize = 128;

/// The secret of an operator. It is never shown but by [`expose`](Self::expose).
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text that is no [`Token`]; it is not repeated here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the token must have {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters, digits or any of -._~+/=")]
pub struct NoToken;

impl Token {
    /// A new one: 32 random bytes in hex.
    pub fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }

    /// The text, to be printed once at the start.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = NoToken;

    /// Takes what fits behind `Bearer` (RFC 6750 §2.1).
    fn from_str(s: &str) -> Result<Self, NoToken> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
        let is_token = (SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&s.len()) && s.bytes().all(fits);
        if is_token { Ok(Self(s.to_owned())) } else { Err(NoToken) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Who may look at the window on an address.
#[derive(Clone)]
pub struct Access {
    /// Names in requests are checked: another site may have had its name point to this address.
    on_loopback: bool,
    /// Digests of the token and of what a browser is given for it.
    asked: Option<([u8; 32], String)>,
    cookie_name: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asks = self.asked.is_some();
        f.debug_struct("Access").field("on_loopback", &self.on_loopback).field("asks", &asks).finish()
    }
}

/// An address that everybody can reach, without a token: the operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("operator-addr {0} is not a loopback address: a token is needed")]
pub struct TokenNeeded(pub SocketAddr);

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Denied {
    #[error("a token is needed: Authorization: Bearer TOKEN, or once /?token=TOKEN in a browser")]
    Missing,
    #[error("the token is wrong")]
    Wrong,
    #[error(
        "a token in the address is taken at / alone: addresses end up in logs; use Authorization: Bearer TOKEN"
    )]
    WrongPlace,
    #[error("the Host of the request is not a name of this machine's loopback address")]
    ForeignHost,
    #[error("the request comes from another site")]
    ForeignOrigin,
}

/// What a request may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Be answered.
    Answer,
    /// Be sent to the page without the token, with this cookie.
    Welcome(String),
}

impl Access {
    /// Access to the window on `address`. With a token it is asked for on any address.
    ///
    /// # Errors
    /// Others can reach the address, and there is no token.
    pub fn on(address: SocketAddr, token: Option<&Token>) -> Result<Self, TokenNeeded> {
        let on_loopback = address.ip().to_canonical().is_loopback();
        if !on_loopback && token.is_none() {
            return Err(TokenNeeded(address));
        }
        let asked = token.map(|token| (digest(&token.0), hex::encode(cookie_digest(&token.0))));
        // A browser sends cookies to every port of a host.
        Ok(Self { on_loopback, asked, cookie_name: format!("strait_operator_{}", address.port()) })
    }

    /// Checks where a request goes and comes from, without a token.
    pub(crate) fn check_site(&self, headers: &HeaderMap, changes_something: bool) -> Result<(), Denied> {
        let host = one(headers, HOST.as_str());
        if self.on_loopback && !host.is_some_and(names_loopback) {
            return Err(Denied::ForeignHost);
        }
        let site = headers.get("sec-fetch-site").map(hyper::header::HeaderValue::as_bytes);
        let other_site = site.is_some_and(|site| site != b"same-origin" && site != b"none");
        let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        let other_origin = origin.is_some_and(|origin| {
            origin.split_once("://").map(|(_, authority)| authority) != host || host.is_none()
        });
        if changes_something && (other_site || other_origin) {
            return Err(Denied::ForeignOrigin);
        }
        Ok(())
    }

    /// Checks the token of a request.
    pub(crate) fn check_token(
        &self,
        headers: &HeaderMap,
        question: &Question,
        at_the_door: bool,
    ) -> Result<Pass, Denied> {
        let Some((token, cookie)) = &self.asked else { return Ok(Pass::Answer) };
        let is_token = |given: &str| bool::from(digest(given)[..].ct_eq(&token[..]));
        if let Some(given) = question.text("token") {
            return match (at_the_door, is_token(given)) {
                (false, _) => Err(Denied::WrongPlace),
                (true, false) => Err(Denied::Wrong),
                (true, true) => Ok(Pass::Welcome(self.cookie(cookie))),
            };
        }
        if headers.contains_key(AUTHORIZATION) {
            let bearer = one(headers, AUTHORIZATION.as_str()).and_then(|value| value.split_once(' '));
            let given = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let is_right = given.is_some_and(|(_, given)| is_token(given.trim()));
            return if is_right { Ok(Pass::Answer) } else { Err(Denied::Wrong) };
        }
        match self.shown_cookie(headers) {
            None => Err(Denied::Missing),
            Some(shown) if bool::from(shown.as_bytes().ct_eq(cookie.as_bytes())) => Ok(Pass::Answer),
            Some(_) => Err(Denied::Wrong),
        }
    }

    fn cookie(&self, value: &str) -> String {
        const MONTH: u32 = 30 * 86_400;
        let name = &self.cookie_name;
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={MONTH}")
    }

    fn shown_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie_name).map(|(_, value)| value)
    }
}

/// Digests are compared, so that the time says nothing of the length either.
fn digest(token: &str) -> [u8; 32] {
    blake2b_of(&[b"strait operator token", token.as_bytes()])
}

/// A browser keeps something from which the token cannot be had.
fn cookie_digest(token: &str) -> [u8; 32] {
    blake2b_of(&[b"strait operator cookie", token.as_bytes()])
}

/// The value of a header that must not come twice.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether `name` or `name:port` is the loopback address, in numbers or as `localhost`.
fn names_loopback(host: &str) -> bool {
    let ends_in_digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(ends_in_digits);
        return port_fits && address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_local && ends_in_digits(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_loopback_address_are_known_and_others_are_not() {
        for local in [
            "localhost",
            "LOCALHOST:3015",
            "127.0.0.1:3015",
            "127.8.9.1",
            "[::1]:3015",
            "[::1]",
            "a.localhost:1",
        ] {
            assert!(names_loopback(local), "{local}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:3015",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:3015",
            "0.0.0.0:3015",
            "[::2]:3015",
            "[::1]evil.example",
            "[::1",
            "localhost:3015@evil.example",
            "notlocalhost",
        ] {
            assert!(!names_loopback(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_never_shown_and_a_weak_one_is_not_taken() {
        let token = Token::random();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token.expose().parse::<Token>(), Ok(token.clone()));
        assert_ne!(token, Token::random());
        let access = Access::on(SocketAddr::from(([0, 0, 0, 0], 3015)), Some(&token)).unwrap();
        assert!(!format!("{access:?}").contains(&token.expose()[..8]));
        for weak in
            ["", "short", "fifteen-letters", "sixteen letters!", "sixteen\nletters.", &"x".repeat(129)]
        {
            assert_eq!(weak.parse::<Token>(), Err(NoToken), "{weak:?}");
        }
    }

    #[test]
    fn off_the_loopback_address_there_is_no_window_without_a_token() {
        for (address, needs) in [
            ("127.0.0.1:3015", false),
            ("[::1]:3015", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:3015", true),
            ("[::]:3015", true),
            ("192.168.1.5:3015", true),
        ] {
            assert_eq!(Access::on(address.parse().unwrap(), None).is_err(), needs, "{address}");
        }
    }
}

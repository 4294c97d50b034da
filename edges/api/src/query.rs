//! The query string of a socket: what the client wants to attach to (`docs/protocol/ws_api` §2).
//!
//! Where the reference closes the socket without a word, the client is told which parameter is wrong. Checks run in this order, the
//! first failure wins: the parameters of every socket, then those of an opening, then its amounts and lock period.
//! Accounts are looked up by the service afterwards; the reference looks at a negative lock period only then.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use strait_channel::{DepthRule, Patience, PinWindow, Reports, Role, Terms, TxOptions};
use strait_encoding::{AccountId, ChannelId, Coins, FsmId, Height, Nonce};

use crate::desk::{Attach, OpenRefusal};
use crate::int::Int;

/// How many entries of the history a channel keeps at most.
pub const MAX_LOG_KEEP: usize = 1_000;
/// The longest host name there can be.
const MAX_HOST: usize = 253;
/// The longest label for logs, in bytes.
const MAX_SLOGAN: usize = 256;
/// How much of a wrong value an error repeats, in characters.
const SHOWN: usize = 64;

/// Reads a query string as it stands behind the `?`, still percent-encoded. Unknown parameters are ignored; the same one twice
/// with different values is refused.
///
/// # Errors
/// A parameter is missing, malformed, out of range or ambiguous: the client's fault, and it is told which.
pub fn parse(query: &str) -> Result<Attach, OpenRefusal> {
    let query = Query::read(query);
    query.required("protocol", "json-rpc", |value| (value == "json-rpc").then_some(()))?;
    let role = query.required("role", "initiator or responder", |value| Role::from_str(value).ok())?;
    let host = match role {
        Role::Initiator => query.required("host", HOST, host)?,
        Role::Responder => query.optional("host", HOST, host)?.unwrap_or_default(),
    };
    let port = query.required("port", "an integer from 1 to 65535", port)?;
    match query.optional("existing_channel_id", "ch_…", |value| ChannelId::from_str(value).ok())? {
        Some(channel_id) => existing(&query, channel_id, role),
        None => open(&query, role, host, port).map(Attach::Open),
    }
}

const HOST: &str = "a host name or address of 1 to 253 characters";
const AMOUNT: &str = "an integer from 0 to 2^128 - 1";
const COUNT: &str = "an integer from 0 to 2^64 - 1";
const MILLISECONDS: &str = "an integer from 0 to 2^32 - 1, in milliseconds";

fn existing(query: &Query<'_>, channel_id: ChannelId, role: Role) -> Result<Attach, OpenRefusal> {
    // Two different secrets are not repeated in an error, which may get into a log.
    let fsm_id = query.one("existing_fsm_id").map_err(|_| OpenRefusal::InvalidFsmId)?;
    let fsm_id = fsm_id.ok_or(OpenRefusal::MissingFsmId)?;
    let fsm_id = FsmId::from_str(fsm_id).map_err(|_| OpenRefusal::InvalidFsmId)?;
    Ok(Attach::Existing { channel_id, fsm_id, role })
}

fn open(query: &Query<'_>, role: Role, host: String, port: u16) -> Result<Terms, OpenRefusal> {
    let initiator = initiator(query, role)?;
    let responder = query.required("responder_id", "ak_…", |value| AccountId::from_str(value).ok())?;
    let asked = AskedAmounts {
        push: query.amount("push_amount")?,
        initiator: query.amount("initiator_amount")?,
        responder: query.amount("responder_amount")?,
        reserve: query.amount("channel_reserve")?,
    };
    let lock_period = query.amount("lock_period")?;
    let terms = Terms {
        role,
        initiator,
        responder,
        initiator_amount: Coins::ZERO,
        responder_amount: Coins::ZERO,
        push_amount: Coins::ZERO,
        channel_reserve: Coins::ZERO,
        lock_period: 0,
        depth: depth(query)?,
        ttl: query.optional("ttl", COUNT, count)?.map(Height).unwrap_or_default(),
        create: TxOptions {
            fee: query.optional("fee", AMOUNT, coins)?,
            gas_price: query.optional("gas_price", AMOUNT, coins)?,
            nonce: query.optional("nonce", COUNT, count)?.map(Nonce),
        },
        // The reference drops it for an initiator, which has a peer to dial again.
        keep_running: query.flag("keep_running", true)? && role == Role::Responder,
        msg_forwarding: query.flag("msg_forwarding", false)?,
        log_keep: query.optional("log_keep", "an integer", log_keep)?.unwrap_or(DEFAULT_LOG_KEEP),
        slogan: query.optional("slogan", "at most 256 bytes", slogan)?,
        patience: patience(query)?,
        reports: reports(query)?,
        pin: pin(query)?,
        host,
        port,
    };
    asked.check(terms, lock_period)
}

fn initiator(query: &Query<'_>, role: Role) -> Result<Option<AccountId>, OpenRefusal> {
    let (expected, may_be_open) = match role {
        Role::Initiator => ("ak_…", false),
        Role::Responder => ("ak_… or any", true),
    };
    query.required("initiator_id", expected, |value| match value {
        "any" if may_be_open => Some(None),
        account => AccountId::from_str(account).ok().map(Some),
    })
}

/// The amounts as the client wrote them; below zero still possible.
struct AskedAmounts {
    push: Int,
    initiator: Int,
    responder: Int,
    reserve: Int,
}

impl AskedAmounts {
    /// Fills the amounts and the lock period into `terms`, checked in the reference's order (`docs/protocol/ws_api` §2.2).
    fn check(self, terms: Terms, lock_period: Int) -> Result<Terms, OpenRefusal> {
        let reserve = at_least("channel_reserve", self.reserve, Some(0), "0")?;
        let push = at_least("push_amount", self.push, Some(0), "0")?;
        let least = push.checked_add(reserve);
        let initiator = at_least("initiator_amount", self.initiator, least, "push_amount + channel_reserve")?;
        let least = reserve.saturating_sub(push);
        let responder = at_least(
            "responder_amount",
            self.responder,
            Some(least),
            "channel_reserve - push_amount, and 0",
        )?;
        if initiator.checked_add(responder).is_none() {
            return Err(OpenRefusal::Invalid {
                parameter: "responder_amount",
                value: responder.to_string(),
                expected: "both amounts together to be at most 2^128 - 1".into(),
            });
        }
        let lock_period = at_least("lock_period", lock_period, Some(0), "0")?;
        let lock_period = u64::try_from(lock_period).map_err(|_| OpenRefusal::Invalid {
            parameter: "lock_period",
            value: lock_period.to_string(),
            expected: COUNT.into(),
        })?;
        Ok(Terms {
            initiator_amount: Coins(initiator),
            responder_amount: Coins(responder),
            push_amount: Coins(push),
            channel_reserve: Coins(reserve),
            lock_period,
            ..terms
        })
    }
}

/// `value`, if it reaches `least`; a `least` of `None` lies beyond every number.
fn at_least(
    parameter: &'static str,
    value: Int,
    least: Option<u128>,
    rule: &'static str,
) -> Result<u128, OpenRefusal> {
    match (value, least) {
        (Int::Fits(value), Some(least)) if value >= least => Ok(value),
        (Int::Fits(value), _) => {
            Err(OpenRefusal::ValueTooLow { parameter, value: value.to_string(), least: rule.into() })
        }
        (Int::Negative, _) => {
            Err(OpenRefusal::ValueTooLow { parameter, value: "a negative number".into(), least: rule.into() })
        }
        (Int::TooLarge, _) => Err(OpenRefusal::Invalid {
            parameter,
            value: "more than 2^128 - 1".into(),
            expected: AMOUNT.into(),
        }),
    }
}

/// What the client asks for; unset where it leaves the choice to the peer (`docs/protocol/ws_api` §2.2).
fn depth(query: &Query<'_>) -> Result<Option<DepthRule>, OpenRefusal> {
    let depth = query.optional("minimum_depth", COUNT, count)?;
    let strategy = query.optional("minimum_depth_strategy", "txfee or plain", |value| match value {
        "txfee" => Some(Strategy::TxFee),
        "plain" => Some(Strategy::Plain),
        _ => None,
    })?;
    match (strategy, depth) {
        (None, None) => Ok(None),
        (Some(Strategy::Plain), depth) => Ok(Some(DepthRule::Plain(depth.unwrap_or(3)))),
        (Some(Strategy::TxFee) | None, depth) => {
            let degree = u32::try_from(depth.unwrap_or(10)).map_err(|_| {
                query.invalid("minimum_depth", "an integer from 0 to 2^32 - 1 for the strategy txfee")
            })?;
            Ok(Some(DepthRule::TxFee(degree)))
        }
    }
}

enum Strategy {
    TxFee,
    Plain,
}

fn patience(query: &Query<'_>) -> Result<Patience, OpenRefusal> {
    let default = Patience::default();
    let wait = |parameter| query.optional(parameter, MILLISECONDS, milliseconds);
    Ok(Patience {
        accept: wait("timeout_accept")?.unwrap_or(default.accept),
        funding_create: wait("timeout_funding_create")?.unwrap_or(default.funding_create),
        funding_sign: wait("timeout_funding_sign")?.unwrap_or(default.funding_sign),
        funding_lock: wait("timeout_funding_lock")?.unwrap_or(default.funding_lock),
        idle: wait("timeout_idle")?.unwrap_or(default.idle),
        sign: wait("timeout_sign")?.unwrap_or(default.sign),
        initialized: wait("timeout_initialized")?.or(default.initialized),
        awaiting_open: wait("timeout_awaiting_open")?.or(default.awaiting_open),
    })
}

fn reports(query: &Query<'_>) -> Result<Reports, OpenRefusal> {
    let default = Reports::default();
    Ok(Reports {
        info: query.flag("report_info", default.info)?,
        update: query.flag("report_update", default.update)?,
        leave: query.flag("report_leave", default.leave)?,
        conflict: query.flag("report_conflict", default.conflict)?,
        message: query.flag("report_message", default.message)?,
        error: query.flag("report_error", default.error)?,
        on_chain_tx: query.flag("report_on_chain_tx", default.on_chain_tx)?,
        min_depth: query.flag("report_min_depth", default.min_depth)?,
        debug: query.flag("report_debug", default.debug)?,
    })
}

/// All three and consistent, or the defaults: so the reference does, without a word (`docs/protocol/ws_api` §2.2).
fn pin(query: &Query<'_>) -> Result<PinWindow, OpenRefusal> {
    let delta = |parameter| query.optional(parameter, "an integer", Int::of_decimal);
    let not_newer_than = delta("bh_delta_not_newer_than")?;
    let not_older_than = delta("bh_delta_not_older_than")?;
    let pick = delta("bh_delta_pick")?;
    let fits = |delta: Option<Int>| delta.and_then(Int::as_u64);
    let window = match (fits(not_newer_than), fits(not_older_than), fits(pick)) {
        (Some(not_newer_than), Some(not_older_than), Some(pick)) => {
            PinWindow { not_newer_than, not_older_than, pick }
        }
        _ => return Ok(PinWindow::default()),
    };
    let holds =
        window.not_newer_than.checked_add(window.pick).is_some_and(|deep| window.not_older_than >= deep);
    Ok(if holds { window } else { PinWindow::default() })
}

fn host(value: &str) -> Option<String> {
    let clean = |c: char| !c.is_whitespace() && !c.is_control();
    (!value.is_empty() && value.len() <= MAX_HOST && value.chars().all(clean)).then(|| value.to_owned())
}

fn port(value: &str) -> Option<u16> {
    Int::of_decimal(value)?.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

fn slogan(value: &str) -> Option<String> {
    (value.len() <= MAX_SLOGAN).then(|| value.to_owned())
}

fn count(value: &str) -> Option<u64> {
    Int::of_decimal(value)?.as_u64()
}

fn coins(value: &str) -> Option<Coins> {
    Int::of_decimal(value)?.up_to(u128::MAX).map(Coins)
}

fn milliseconds(value: &str) -> Option<u64> {
    Int::of_decimal(value)?.as_u64().filter(|wait| *wait <= u64::from(u32::MAX))
}

/// What is kept where the client asks for nothing, or for less than nothing.
const DEFAULT_LOG_KEEP: usize = 10;

fn log_keep(value: &str) -> Option<usize> {
    Some(match Int::of_decimal(value)? {
        Int::Negative => DEFAULT_LOG_KEEP,
        Int::TooLarge => MAX_LOG_KEEP,
        Int::Fits(keep) => usize::try_from(keep).unwrap_or(MAX_LOG_KEEP).min(MAX_LOG_KEEP),
    })
}

/// The decoded parameters, in the order of the query.
struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    fn read(query: &'a str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    /// The value of a parameter, if it is there and has only one.
    fn one(&self, parameter: &'static str) -> Result<Option<&str>, OpenRefusal> {
        let mut values = self.0.iter().filter(|(name, _)| name == parameter).map(|(_, value)| &**value);
        let Some(first) = values.next() else { return Ok(None) };
        match values.find(|other| *other != first) {
            None => Ok(Some(first)),
            Some(other) => Err(OpenRefusal::Invalid {
                parameter,
                value: shown(other),
                expected: format!("one value, which was {:?} before", shown(first)).into(),
            }),
        }
    }

    fn optional<T>(
        &self,
        parameter: &'static str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, OpenRefusal> {
        let Some(value) = self.one(parameter)? else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.invalid(parameter, expected)),
        }
    }

    fn required<T>(
        &self,
        parameter: &'static str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, OpenRefusal> {
        self.optional(parameter, expected, read)?.ok_or(OpenRefusal::Missing { parameter })
    }

    fn amount(&self, parameter: &'static str) -> Result<Int, OpenRefusal> {
        self.required(parameter, "an integer >= 0", Int::of_decimal)
    }

    fn flag(&self, parameter: &'static str, default: bool) -> Result<bool, OpenRefusal> {
        let flag = self.optional(parameter, "true or false", |value| match value {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })?;
        Ok(flag.unwrap_or(default))
    }

    fn invalid(&self, parameter: &'static str, expected: &'static str) -> OpenRefusal {
        let value = self.0.iter().find(|(name, _)| name == parameter).map(|(_, value)| shown(value));
        OpenRefusal::Invalid { parameter, value: value.unwrap_or_default(), expected: expected.into() }
    }
}

/// One name or value; a `+` is a space, as in forms.
fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8_lossy().into_owned().into();
    }
    percent_decode_str(text).decode_utf8_lossy()
}

fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

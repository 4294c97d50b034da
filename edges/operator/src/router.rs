//! Which path gives what.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use strait_channel::{Role, Time};
use strait_encoding::ChannelId;

use crate::access::{Access, Denied, Pass};
use crate::answer::{Answer, Fault, bytes_answer, json_answer, seal};
use crate::gallery::Gallery;
use crate::listing::{Listing, row};
use crate::metrics::{MEDIA_TYPE, Metrics, Moment};
use crate::operated::{ForkRefused, LogEntry, Operated, SideKey};
use crate::page::{DOOR, PAGE, asset};
use crate::question::{Question, Wrong};
use crate::series::tenths;
use crate::server::Limits;
use crate::shown;

/// The most log entries of an answer.
pub const MOST_ENTRIES: usize = 500;

/// The log entries that the page shows.
const ENTRIES_ON_PAGE: usize = 60;

/// The longest body.
const MOST_BODY: usize = 1024;

/// A service and its window.
pub(crate) struct Window<O> {
    operated: O,
    metrics: Metrics,
    access: Access,
    limits: Limits,
    gallery: Mutex<Gallery>,
}

type Given = Result<Answer, Fault>;

impl<O: Operated> Window<O> {
    pub fn new(operated: O, metrics: Metrics, access: Access, limits: Limits) -> Self {
        let gallery = Mutex::new(Gallery::new(now(), Instant::now()));
        Self { operated, metrics, access, limits, gallery }
    }

    /// What happens once a second.
    pub fn measure(&self) {
        self.gallery().measure(&self.operated, Instant::now());
    }

    /// Answers a request. It never fails: what is wrong is told.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let question = Question::read(head.uri.query());
        let path = head.uri.path();
        let given = match self.admit(&head.method, path, &question, &head.headers) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) if head.method == Method::POST => self.change(path, &head.headers, body).await,
            Ok(None) => self.show(path, &question, &head.headers).await,
            Err(denied) => Err(denied.into()),
        };
        seal(given.unwrap_or_else(Answer::from))
    }

    /// The answer to who need not, or must not, be let in; nothing where the request may be answered.
    fn admit(
        &self,
        method: &Method,
        path: &str,
        question: &Question,
        headers: &HeaderMap,
    ) -> Result<Option<Answer>, Denied> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        self.access.check_site(headers, !reads)?;
        if let Some(asset) = asset(path).filter(|_| reads && question.text("token").is_none()) {
            return Ok(Some(asset.answer(headers)));
        }
        let at_the_door = reads && path == "/";
        match self.access.check_token(headers, question, at_the_door) {
            Ok(Pass::Answer) => Ok(None),
            Ok(Pass::Welcome(cookie)) => Ok(Some(welcome(&cookie))),
            Err(Denied::Missing | Denied::Wrong) if at_the_door && wants_page(headers) => {
                let mut door = DOOR.answer(&HeaderMap::new());
                *door.status_mut() = StatusCode::UNAUTHORIZED;
                Ok(Some(door))
            }
            Err(denied) => Err(denied),
        }
    }

    async fn show(&self, path: &str, question: &Question, headers: &HeaderMap) -> Given {
        match path.split('/').skip(1).collect::<Vec<_>>()[..] {
            [""] => Ok(PAGE.answer(headers)),
            ["metrics"] => Ok(bytes_answer(MEDIA_TYPE, self.metrics.text(&self.moment()))),
            ["api", "channels"] => {
                let listing = Listing::of(question)?;
                Ok(json_answer(&listing.answer(&self.fresh(), 0)))
            }
            ["api", "channels", name] => {
                let key = self.find(name, question)?;
                let gallery = self.fresh();
                let hung = gallery.hung.get(&key).ok_or_else(|| unknown(name))?;
                Ok(json_answer(&row(hung, &gallery)))
            }
            ["api", "channels", name, "log"] => {
                let key = self.find(name, question)?;
                let newest = question.number("newest", 50, MOST_ENTRIES)?;
                let entries = self.log(key, newest).await?.ok_or_else(|| unknown(name))?;
                Ok(json_answer(&json!({ "key": key.to_string(), "entries": shown_entries(&entries, 0) })))
            }
            ["api", "chain"] => Ok(json_answer(&shown::chain(&self.operated.chain()))),
            ["api", "updates"] => self.updates(question),
            ["api", "live"] => self.live(question).await,
            ["api", "chain", "fork"] => Err(wrong_method("POST")),
            _ => Err(Fault::new(StatusCode::NOT_FOUND, "there is nothing at this path")),
        }
    }

    async fn change<B>(&self, path: &str, headers: &HeaderMap, body: B) -> Given
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if path != "/api/chain/fork" {
            return Err(wrong_method("GET"));
        }
        let depth = self.depth(headers, body).await?;
        self.operated.fork(depth).await.map_err(|refused| {
            let status = match refused {
                ForkRefused::NotOurs => StatusCode::CONFLICT,
                ForkRefused::Depth(_) => StatusCode::BAD_REQUEST,
                ForkRefused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            Fault::new(status, refused.to_string())
        })?;
        Ok(json_answer(&json!({ "top": shown::chain(&self.operated.chain())["top"] })))
    }

    /// The body of a fork, `{"depth": n}`. It must be marked as JSON: a form of another site cannot do that.
    async fn depth<B>(&self, headers: &HeaderMap, body: B) -> Result<u64, Fault>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let reason = "Content-Type: expected application/json";
            return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
        let body = Limited::new(body, MOST_BODY).collect();
        let body = match tokio::time::timeout(self.limits.body_time, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => {
                let reason = format!("body: expected at most {MOST_BODY} bytes");
                return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, reason));
            }
            Err(_) => return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")),
        };
        let found = String::from_utf8_lossy(&body);
        let body: Option<Value> = serde_json::from_slice(&body).ok();
        let depth = body.as_ref().and_then(|body| body.get("depth")).and_then(Value::as_u64);
        let wrong = || Wrong::new("body", &found, "{\"depth\": n} with a number n from 1 on").into();
        depth.filter(|depth| *depth > 0).ok_or_else(wrong)
    }

    fn updates(&self, question: &Question) -> Given {
        let day = question.word("span", &["minutes", "day"])? == Some(1);
        let after = question.number("after", 0, usize::MAX)? as u64;
        let gallery = self.gallery();
        Ok(json_answer(&if day { gallery.series.minutes() } else { gallery.series.seconds(after) }))
    }

    /// What changed since the reader last asked. It says what it has: the mark `since` of the last answer, the mark `rows` of
    /// when it got the part of the list that it sees, how many `rates`, and up to which entry the `log` of the side `open`.
    async fn live(&self, question: &Question) -> Given {
        let listing = Listing::of(question)?;
        let rates = question.number("rates", 0, usize::MAX)? as u64;
        let after = question.number("log", 0, usize::MAX)? as u64;
        let open = question.text("open").filter(|key| !key.is_empty());
        let open =
            open.map(|key| key.parse::<SideKey>().map_err(|why| Wrong::new("open", key, why.to_string())));
        let open = open.transpose()?;
        let entries = match open {
            Some(key) => self.log(key, ENTRIES_ON_PAGE).await?,
            None => None,
        };
        let mut gallery = self.fresh();
        let since = gallery.look_of(question.text("since").unwrap_or_default());
        let (changed, picture) = gallery.chain(self.operated.chain());
        let chain = if changed > since { shown::chain(picture) } else { Value::Null };
        let hung = open.and_then(|key| gallery.hung.get(&key));
        // Rows that came into view need not be new.
        let known = question.text("rows").map_or(since, |mark| gallery.look_of(mark));
        let mut answer = listing.answer(&gallery, known);
        answer["mark"] = gallery.mark().into();
        answer["now"] = now().0.into();
        answer["rate"] = tenths(gallery.series.latest()).into();
        answer["rates"] = gallery.series.seconds(rates);
        answer["chain"] = chain;
        answer["open"] = json!({
            "key": open.map(|key| key.to_string()),
            "channel": hung.map(|hung| row(hung, &gallery)),
            "entries": entries.as_deref().map(|entries| shown_entries(entries, after)),
        });
        Ok(json_answer(&answer))
    }

    async fn log(&self, key: SideKey, newest: usize) -> Result<Option<Vec<LogEntry>>, Fault> {
        let entries = tokio::time::timeout(self.limits.log_time, self.operated.log(key, newest)).await;
        entries.map_err(|_| Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the channel is busy, try again"))
    }

    /// The side that a path names: by its key, or by the id of its channel and its role.
    fn find(&self, name: &str, question: &Question) -> Result<SideKey, Fault> {
        let name = &*percent_decode_str(name).decode_utf8_lossy();
        if let Ok(key) = name.parse() {
            return Ok(key);
        }
        let id: ChannelId = name.parse().map_err(|_| {
            Fault::from(Wrong::new("channel", name, "a key of 64 digits of hex, or an id ch_…"))
        })?;
        let role = question.word("role", &["initiator", "responder"])?;
        let role = role.map(|place| [Role::Initiator, Role::Responder][place]);
        let gallery = self.fresh();
        let sides = gallery
            .hung
            .values()
            .map(|hung| &hung.standing)
            .filter(|standing| standing.id == Some(id) && role.is_none_or(|role| role == standing.role));
        sides.min_by_key(|side| side.role).map(|side| side.key).ok_or_else(|| unknown(name))
    }

    fn moment(&self) -> Moment {
        let gallery = self.fresh();
        let clients = gallery.hung.values().filter(|hung| hung.standing.has_client).count();
        let (places, height) = (gallery.places(), gallery.top.0);
        drop(gallery);
        let made = self.operated.chain().top().map_or(now().0, |top| top.time_ms);
        let age = Duration::from_millis(now().0.saturating_sub(made));
        Moment { places, clients: clients as u64, height, age, load: self.operated.load() }
    }

    fn fresh(&self) -> MutexGuard<'_, Gallery> {
        let mut gallery = self.gallery();
        gallery.look(&self.operated, self.limits.fresh, Instant::now());
        gallery
    }

    fn gallery(&self) -> MutexGuard<'_, Gallery> {
        self.gallery.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown_entries(entries: &[LogEntry], after: u64) -> Value {
    entries.iter().filter(|entry| entry.number > after).map(shown::entry).collect()
}

/// Sends a browser to the page, with what it is to show from now on in place of the token.
fn welcome(cookie: &str) -> Answer {
    let mut answer = Answer::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get(hyper::header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

fn unknown(name: &str) -> Fault {
    let wrong = Wrong::new("channel", name, "one that this service holds");
    Fault::new(StatusCode::NOT_FOUND, wrong.to_string())
}

fn wrong_method(expected: &str) -> Fault {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, format!("method: expected {expected}"))
}

fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Time(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

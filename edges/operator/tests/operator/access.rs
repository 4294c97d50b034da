//! Who is answered.

use std::io::Write;
use std::sync::{Arc, Mutex};

use strait_operator::{InspectError, Token};

use crate::support::{Reply, Served, limits};

const RIGHT: &str = "this-is.the_token~of+tests/=";

async fn guarded() -> Served {
    Served::with(3, Some(&RIGHT.parse().unwrap()), limits()).await
}

impl Served {
    async fn with_headers(&self, path: &str, more: &str) -> Reply {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{more}\r\n",
            self.address
        ))
        .await
    }
}

#[tokio::test]
async fn a_token_is_taken_in_the_right_place_and_nowhere_else() {
    let served = guarded().await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for (path, headers, status, reason) in [
        ("/api/channels", String::new(), 401, "token is needed"),
        ("/metrics", String::new(), 401, "token is needed"),
        ("/", String::new(), 401, "token is needed"),
        ("/api/nothing", String::new(), 401, "token is needed"),
        ("/api/channels", bearer(&RIGHT[..27]), 401, "wrong"),
        ("/api/channels", bearer(&format!("{RIGHT}x")), 401, "wrong"),
        ("/api/channels", bearer(""), 401, "wrong"),
        ("/api/channels", format!("Authorization: Basic {RIGHT}\r\n"), 401, "wrong"),
        ("/api/channels", format!("Authorization: {RIGHT}\r\n"), 401, "wrong"),
        ("/api/channels", bearer(RIGHT) + &bearer("another-one-that-is-wrong"), 401, "wrong"),
        ("/api/channels", format!("X-Token: {RIGHT}\r\n"), 401, "token is needed"),
        ("/api/channels?token=this-is.the_token~of%2Btests/=", String::new(), 401, "at / alone"),
        ("/api/channels?token=this-is.the_token~of%2Btests/=", bearer(RIGHT), 401, "at / alone"),
        ("/window.js?token=this-is.the_token~of%2Btests/=", String::new(), 401, "at / alone"),
        ("/?token=wrong", String::new(), 401, "wrong"),
        ("/?token=", String::new(), 401, "wrong"),
    ] {
        let reply = served.with_headers(path, &headers).await;
        assert_eq!(reply.status, status, "{path} {headers}");
        assert!(reply.reason().contains(reason), "{path} {headers}: {}", reply.body);
        assert!(!reply.body.contains(RIGHT) && !reply.head.contains("set-cookie"), "{path} {headers}");
        assert_eq!(reply.header("www-authenticate"), Some("bearer realm=\"strait\""));
    }
    for path in ["/api/channels", "/metrics", "/", "/api/chain"] {
        assert_eq!(served.with_headers(path, &bearer(RIGHT)).await.status, 200, "{path}");
        let small = format!("authorization: bearer  {RIGHT} \r\n");
        assert_eq!(served.with_headers(path, &small).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_browser_gets_a_cookie_for_the_token_and_an_address_without_it() {
    let served = guarded().await;
    let door = served.with_headers("/", "Accept: text/html,*/*\r\n").await;
    assert_eq!((door.status, door.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(door.body.contains("name=\"token\""));

    let welcome = served.get("/?token=this-is.the_token~of%2Btests/%3D").await;
    assert_eq!((welcome.status, welcome.header("location")), (303, Some("/")));
    assert_eq!(welcome.header("cache-control"), Some("no-store"));
    let cookie = welcome.header("set-cookie").unwrap();
    for attribute in ["; httponly", "; samesite=strict", "; path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    assert!(pair.starts_with(&format!("strait_operator_{}=", served.address.port())));
    assert!(!pair.contains(RIGHT));

    for (cookies, status) in [
        (pair.to_owned(), 200),
        (format!("other=1; {pair}; more=2"), 200),
        (format!("{pair}0"), 401),
        (pair[..pair.len() - 1].to_owned(), 401),
        (pair.split('=').next().unwrap().to_owned() + "=" + RIGHT, 401),
        ("other=1".to_owned(), 401),
    ] {
        let reply = served.with_headers("/api/channels", &format!("Cookie: {cookies}\r\n")).await;
        assert_eq!(reply.status, status, "{cookies}");
    }
    let another = Served::with(1, Some(&"another-token-than-that".parse().unwrap()), limits()).await;
    let value = pair.split('=').nth(1).unwrap();
    let moved = format!("Cookie: strait_operator_{}={value}\r\n", another.address.port());
    assert_eq!(another.with_headers("/api/channels", &moved).await.status, 401);
}

#[tokio::test]
async fn on_the_loopback_address_no_token_is_needed_but_the_right_name() {
    let served = Served::new(3).await;
    let port = served.address.port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        ("localhost:8080".to_owned(), 200),
        ("[::1]:3015".to_owned(), 200),
        (format!("evil.example:{port}"), 403),
        (format!("127.0.0.1.evil.example:{port}"), 403),
        (String::new(), 403),
    ] {
        for path in ["/", "/api/channels", "/metrics", "/window.js"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let reply = served.send(&request).await;
            assert_eq!(reply.status, status, "{host} {path}");
        }
    }
    let nameless = served.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(nameless.status, 403);
    let twice = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_ne!(served.send(twice).await.status, 200);
}

#[tokio::test]
async fn every_answer_is_sealed() {
    let served = guarded().await;
    for path in ["/", "/window.css", "/api/channels", "/nothing", "/?token=x"] {
        let reply = served.get(path).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        assert!(["no-store", "no-cache"].contains(&reply.header("cache-control").unwrap()), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let served = Served::new(1).await;
    let first = served.get("/window.css").await;
    let tag = first.header("etag").unwrap().to_owned();
    let again = served.with_headers("/window.css", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let other = served.with_headers("/window.css", "If-None-Match: \"x\"\r\n").await;
    assert_eq!((other.status, other.body), (200, first.body));
}

#[tokio::test]
async fn the_command_line_shows_its_token() {
    let served = guarded().await;
    let right: Token = RIGHT.parse().unwrap();
    assert_eq!(served.inspection(Some(right)).list("").await.unwrap()["count"], 3);
    let missing = served.inspection(None).list("").await.unwrap_err();
    assert!(matches!(missing, InspectError::Refused { status: 401, .. }), "{missing}");
    let wrong = served.inspection(Some(Token::random())).list("").await.unwrap_err().to_string();
    assert!(wrong.contains("the token is wrong"), "{wrong}");
}

/// Everything that is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_is_logged_right_or_wrong() {
    let logged = Logged::default();
    let writer = logged.clone();
    let log = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    // Everything runs on this thread.
    let _guard = tracing::subscriber::set_default(log.with_writer(move || writer.clone()).finish());
    let served = guarded().await;
    tracing::debug!("the log is read");
    for secret in ["this-is.the_token~of%2Btests/=", "a-wrong-one-that-is-close"] {
        for path in ["/", "/api/channels"] {
            served.get(&format!("{path}?token={secret}")).await;
        }
        served.with_headers("/api/channels", &format!("Authorization: Bearer {secret}\r\n")).await;
        // A connection that breaks off is logged.
        served.send(&format!("GET /?token={secret} HTTP/9\r\n\r\n")).await;
    }
    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the log is read") && text.contains("broke off"), "{text}");
    for secret in ["this-is", "wrong-one", "token="] {
        assert!(!text.contains(secret), "{text}");
    }
}

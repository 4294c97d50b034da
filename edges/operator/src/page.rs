//! The page, in the binary.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Response, StatusCode};
use strait_encoding::hash::blake2b;

use crate::answer::{Answer, bytes_answer};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The page itself.
pub(crate) const PAGE: Asset =
    Asset { path: "/", media_type: HTML, text: include_str!("../page/window.html") };

/// What is shown in its place to who has no token yet.
pub(crate) const DOOR: Asset = Asset { path: "/", media_type: HTML, text: include_str!("../page/door.html") };

/// What the page loads. There is no secret in it: it is given to everybody.
const ASSETS: &[Asset] = &[
    Asset { path: "/window.css", media_type: CSS, text: include_str!("../page/window.css") },
    Asset { path: "/parts.css", media_type: CSS, text: include_str!("../page/parts.css") },
    Asset { path: "/window.js", media_type: JS, text: include_str!("../page/window.js") },
    Asset { path: "/list.js", media_type: JS, text: include_str!("../page/list.js") },
    Asset { path: "/channel.js", media_type: JS, text: include_str!("../page/channel.js") },
    Asset { path: "/chain.js", media_type: JS, text: include_str!("../page/chain.js") },
    Asset { path: "/plot.js", media_type: JS, text: include_str!("../page/plot.js") },
    Asset { path: "/words.js", media_type: JS, text: include_str!("../page/words.js") },
    Asset { path: "/mark.svg", media_type: SVG, text: include_str!("../page/mark.svg") },
];

/// A file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// The file of this path, if there is one.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    /// The file, or that the browser's copy is still right.
    pub fn answer(&self, asked: &HeaderMap) -> Answer {
        let tag = format!("\"{}\"", hex::encode(&blake2b(self.text.as_bytes())[..12]));
        let is_known = asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut answer = if is_known {
            let mut same = Response::new(Full::new(Bytes::new()));
            *same.status_mut() = StatusCode::NOT_MODIFIED;
            same
        } else {
            bytes_answer(self.media_type, self.text)
        };
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_that_is_not_here() {
        for text in ASSETS.iter().chain([&PAGE, &DOOR]).map(|asset| asset.text) {
            for (at, _) in text.match_indices("://") {
                let address = &text[at.saturating_sub(5)..(at + 20).min(text.len())];
                assert!(address.contains("www.w3.org"), "the page names another site: {address}");
            }
        }
        for quoted in PAGE.text.split(['"', '\'']).filter(|quoted| quoted.starts_with('/')) {
            assert!(quoted == "/" || asset(quoted).is_some(), "{quoted} is not served");
        }
        for asset in ASSETS.iter().filter(|asset| asset.media_type == JS) {
            for line in asset.text.lines().filter(|line| line.starts_with("import ")) {
                let path = line.rsplit_once('\'').and_then(|(head, _)| head.rsplit_once('\'')).unwrap().1;
                let path = path.strip_prefix('.').unwrap();
                assert!(super::asset(path).is_some(), "{path} is not served");
            }
        }
    }

    #[test]
    fn the_page_is_small() {
        let size: usize = ASSETS.iter().chain([&PAGE]).map(|asset| asset.text.len()).sum();
        assert!(size < 100_000, "{size} bytes");
    }
}

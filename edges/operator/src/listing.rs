//! Which sides a reader wants to see, in which order, from where to where.

use std::cmp::Reverse;

use serde_json::{Value, json};
use strait_encoding::{AccountId, ChannelId};

use crate::gallery::{Gallery, Hung, order};
use crate::question::{Question, Wrong};
use crate::shown;

/// The most sides that an answer has.
pub(crate) const MOST: usize = 500;

/// The longest text that is searched for.
const LONGEST_SEARCH: usize = 80;

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Listing {
    place: Option<usize>,
    /// A part of a key, an id or an account, in lower case.
    find: String,
    sort: Sort,
    offset: usize,
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sort {
    Newest,
    Active,
    Round,
    Coins,
    Attention,
}

const SORTS: [(&str, Sort); 5] = [
    ("newest", Sort::Newest),
    ("active", Sort::Active),
    ("round", Sort::Round),
    ("coins", Sort::Coins),
    ("attention", Sort::Attention),
];

const PLACES: [&str; 4] = ["opening", "open", "closing", "closed"];

impl Listing {
    /// Reads `place`, `find`, `sort`, `offset` and `limit`.
    pub fn of(question: &Question) -> Result<Self, Wrong> {
        let place = question.word("place", &PLACES)?;
        let sort = question.word("sort", &SORTS.map(|(name, _)| name))?.unwrap_or(0);
        let find = question.text("find").unwrap_or_default();
        if find.len() > LONGEST_SEARCH {
            return Err(Wrong::new("find", find, format!("at most {LONGEST_SEARCH} bytes")));
        }
        Ok(Self {
            place,
            find: find.to_lowercase(),
            sort: SORTS[sort].1,
            offset: question.number("offset", 0, usize::MAX)?,
            limit: question.number("limit", 100, MOST)?,
        })
    }

    /// The sides that are asked for, in order, and how many there were before they were cut to a page.
    pub fn pick<'a>(&self, gallery: &'a Gallery) -> (Vec<&'a Hung>, usize) {
        let mut picked: Vec<&Hung> = gallery.hung.values().filter(|hung| self.fits(hung)).collect();
        let matching = picked.len();
        self.sort(&mut picked);
        let page = picked.into_iter().skip(self.offset).take(self.limit).collect();
        (page, matching)
    }

    /// The answer; of the sides themselves only those that changed after the look `since`.
    pub fn answer(&self, gallery: &Gallery, since: u64) -> Value {
        let (page, matching) = self.pick(gallery);
        let places: serde_json::Map<_, _> = PLACES
            .iter()
            .zip(gallery.places())
            .map(|(name, count)| ((*name).to_owned(), count.into()))
            .collect();
        let fresh = page.iter().filter(|hung| hung.changed > since);
        json!({
            "count": gallery.hung.len(),
            "matching": matching,
            "offset": self.offset,
            "places": places,
            "order": page.iter().map(|hung| hung.standing.key.to_string()).collect::<Value>(),
            "channels": fresh.map(|hung| row(hung, gallery)).collect::<Value>(),
        })
    }

    fn fits(&self, hung: &Hung) -> bool {
        let standing = &hung.standing;
        if self.place.is_some_and(|place| place != order(standing.place)) {
            return false;
        }
        if self.find.is_empty() {
            return true;
        }
        let has = |text: String| text.to_lowercase().contains(&self.find);
        has(standing.key.to_string())
            || standing.id.as_ref().map(ChannelId::to_string).is_some_and(has)
            || standing.initiator.as_ref().map(AccountId::to_string).is_some_and(has)
            || has(standing.responder.to_string())
    }

    fn sort(&self, picked: &mut [&Hung]) {
        let coins =
            |hung: &Hung| hung.standing.balances.map_or(0, |[ours, theirs]| ours.0.saturating_add(theirs.0));
        let newest = |hung: &Hung| (Reverse(hung.standing.since), hung.standing.key);
        match self.sort {
            Sort::Newest => picked.sort_by_key(|hung| newest(hung)),
            Sort::Active => {
                picked.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| newest(a).cmp(&newest(b))))
            }
            Sort::Round => picked.sort_by_key(|hung| (Reverse(hung.standing.round), newest(hung))),
            Sort::Coins => picked.sort_by_key(|hung| (Reverse(coins(hung)), newest(hung))),
            Sort::Attention => picked.sort_by_key(|hung| (Reverse(attention(hung)), newest(hung))),
        }
    }
}

/// A side as a row.
pub(crate) fn row(hung: &Hung, gallery: &Gallery) -> Value {
    shown::standing(&hung.standing, gallery.top, hung.rate)
}

/// How much a person should look: closing alone more than waiting for the chain, that more than being cut off.
fn attention(hung: &Hung) -> u8 {
    let standing = &hung.standing;
    if standing.lock.is_some() {
        4
    } else if standing.depth.is_some() {
        3
    } else if !standing.has_peer {
        2
    } else {
        u8::from(!standing.has_client)
    }
}

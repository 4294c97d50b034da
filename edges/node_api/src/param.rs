//! The parameters of paths and queries: their names, where they stand, what fits.

use serde_json::{Value, json};

/// A parameter of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    /// Its name in the path's template, or in the query.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What fits.
    pub kind: Kind,
    /// What it is, for the document.
    pub says: &'static str,
}

/// Where a parameter stands. One of the path is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
}

/// What fits a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A text form; the endpoint says what is wrong with one.
    Text,
    /// An integer of these limits.
    Number { least: u64, most: u64 },
    /// One of some words; the first where there is none.
    Choice(&'static [&'static str]),
    /// True or false; false where there is none.
    Flag,
}

/// An account, or a contract's.
pub(crate) const ACCOUNT: Param = in_path("pubkey", "The account: ak_…, or ct_… for that of a contract");
/// A channel.
pub(crate) const CHANNEL: Param = in_path("pubkey", "The channel: ch_…");
/// A contract.
pub(crate) const CONTRACT: Param = in_path("pubkey", "The contract: ct_…");
/// An oracle.
pub(crate) const ORACLE: Param = in_path("pubkey", "The oracle: ok_…");
/// A query of an oracle.
pub(crate) const ORACLE_QUERY: Param = in_path("query-id", "The query: oq_…");
/// A name.
pub(crate) const NAME: Param = in_path("name", "The name, with its registrar: something.chain");
/// The hash of a name.
pub(crate) const NAME_HASH: Param = in_path("name_hash", "The hash of the name: nm_…");
/// A transaction.
pub(crate) const TX_HASH: Param = in_path("hash", "The transaction: th_…");
/// Any block.
pub(crate) const BLOCK_HASH: Param = in_path("hash", "The block: kh_… or mh_…");
/// A key block.
pub(crate) const KEY_BLOCK_HASH: Param = in_path("hash", "The key block: kh_…");
/// A micro block.
pub(crate) const MICRO_BLOCK_HASH: Param = in_path("hash", "The micro block: mh_…");
/// A height.
pub(crate) const HEIGHT: Param = Param {
    name: "height",
    place: Place::Path,
    kind: Kind::Number { least: 0, most: u64::MAX },
    says: "The height of the key block",
};
/// The place of a transaction in its block.
pub(crate) const INDEX: Param = Param {
    name: "index",
    place: Place::Path,
    kind: Kind::Number { least: 1, most: u64::MAX },
    says: "The place of the transaction in its block, counted from 1",
};
/// How the next nonce is chosen.
pub(crate) const STRATEGY: Param = Param {
    name: "strategy",
    place: Place::Query,
    kind: Kind::Choice(&["max", "continuity"]),
    says: "One more than the largest nonce that is known, or the first one that is missing",
};
/// How many queries of an oracle are listed.
pub(crate) const LIMIT: Param = Param {
    name: "limit",
    place: Place::Query,
    kind: Kind::Number { least: 1, most: 1000 },
    says: "How many queries are listed at most",
};
/// Which queries of an oracle are listed.
pub(crate) const QUERY_TYPE: Param = Param {
    name: "type",
    place: Place::Query,
    kind: Kind::Choice(&["all", "open", "closed"]),
    says: "Which queries are listed",
};
/// After which query of an oracle the list begins.
pub(crate) const FROM: Param = Param {
    name: "from",
    place: Place::Query,
    kind: Kind::Text,
    says: "The last query of the page before: oq_…",
};
/// Of every endpoint of the newer interface.
pub(crate) const INT_AS_STRING: Param = Param {
    name: "int-as-string",
    place: Place::Query,
    kind: Kind::Flag,
    says: "Whether every integer of the answer is to be a string",
};

const fn in_path(name: &'static str, says: &'static str) -> Param {
    Param { name, place: Place::Path, kind: Kind::Text, says }
}

impl Param {
    /// Its entry in the document.
    pub fn to_json(self) -> Value {
        let place = match self.place {
            Place::Path => "path",
            Place::Query => "query",
        };
        json!({
            "name": self.name,
            "in": place,
            "description": self.says,
            "required": self.place == Place::Path,
            "schema": self.kind.to_json(),
        })
    }
}

impl Kind {
    fn to_json(self) -> Value {
        match self {
            Kind::Text => json!({ "type": "string" }),
            Kind::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Kind::Choice(words) => json!({ "type": "string", "enum": words, "default": words.first() }),
            Kind::Flag => json!({ "type": "boolean", "default": false }),
        }
    }
}

//! The operator's window: one page, its JSON, metrics for Prometheus, and what the command line shows of a running service.
//!
//! [`serve`] answers from whatever is [`Operated`]. The page is three small files in the binary; it asks for what changed,
//! once a second and only while somebody sees it, so a tab that is left open costs next to nothing.
//!
//! | path | gives |
//! |---|---|
//! | `/` | the page |
//! | `/metrics` | numbers for Prometheus |
//! | `/api/channels` | sides of channels: `place`, `find`, `sort`, `offset`, `limit` choose |
//! | `/api/channels/{key or ch_…}` | one side; `role` chooses where both sides of a channel are here |
//! | `/api/channels/{key or ch_…}/log` | its latest log entries, `newest` of them |
//! | `/api/chain` | the newest blocks and what waits |
//! | `POST /api/chain/fork` | `{"depth": n}`: a dev chain takes another branch |
//! | `/api/updates` | updates a second: ten minutes, or with `span=day` a day |
//! | `/api/live` | what changed of all this, for the page |
//!
//! | module | holds |
//! |---|---|
//! | `operated`, `chain_picture` | what a service shows of itself |
//! | `gallery`, `listing`, `series` | what is new since a reader last looked, and which part of it is asked for |
//! | `metrics` | counting without locks |
//! | `access` | the token, and requests from other sites |
//! | `router`, `server`, `page` | HTTP |
//! | `inspection` | the client of the command line |
//! | `gist`, `amount` | what an entry of a log says in a line, and amounts with their unit |

mod access;
mod amount;
mod answer;
mod chain_picture;
mod gallery;
mod gist;
mod inspection;
mod listing;
mod metrics;
mod operated;
mod page;
mod question;
mod router;
mod series;
mod server;
mod shown;

pub use access::{Access, NoToken, Token, TokenNeeded};
pub use amount::amount;
pub use chain_picture::{BlockPicture, ChainPicture, MOST_BLOCKS, MOST_IN_BLOCK, MOST_PENDING};
pub use inspection::{InspectError, Inspection, channel_table, log_lines};
pub use metrics::{MEDIA_TYPE, Meter, Metrics, Outcome, Seen};
pub use operated::{Depth, ForkRefused, Load, Lock, LogEntry, NoSideKey, Operated, SideKey, Standing, Way};
pub use router::MOST_ENTRIES;
pub use server::{Limits, serve, serve_within};

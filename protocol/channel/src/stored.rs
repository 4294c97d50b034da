//! A channel as it stands in the store (`docs/decisions/0004`).

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strait_encoding::{AccountId, ChannelId, RootHash, Round, StateHash};
use strait_ledger::SignedTx;

use crate::channel::{Agreed, Assumed, Ceremony, Channel, Draft, Posted, Sighting, Stage, Stand, Talk};
use crate::flow::{Flow, Side};
use crate::forcing::Forced;
use crate::notice::OnChainEvent;
use crate::terms::{DepthRule, Terms};
use crate::time::Time;

/// What is written of a [`Channel`]; a field that a later version adds gets a default.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredForm<'a> {
    step: u64,
    terms: Cow<'a, Terms>,
    temporary_id: RootHash,
    id: Option<ChannelId>,
    depth: DepthRule,
    stand: Cow<'a, Stand>,
    agreed: Option<Arc<Agreed>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    forced: Cow<'a, [Arc<Forced>]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    generalized: Cow<'a, [AccountId]>,
    exposed: Cow<'a, [Arc<Draft>]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    offers: Cow<'a, [SignedTx]>,
    ceremony: Option<StoredCeremony>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    posted: Cow<'a, [Posted]>,
    seen: Cow<'a, [Sighting]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warned: Option<(Round, StateHash)>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    assumed: Cow<'a, [Assumed]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    unheard: Cow<'a, [(OnChainEvent, SignedTx)]>,
}

#[derive(Serialize, Deserialize)]
struct StoredCeremony {
    flow: Flow,
    side: Side,
    stage: Stage,
    since: Time,
    /// Left out where it is the last exposed draft, as it mostly is.
    draft: Option<Arc<Draft>>,
}

impl<'a> StoredForm<'a> {
    pub(crate) fn of(channel: &'a Channel) -> Self {
        let ceremony =
            channel.ceremony.as_ref().and_then(|ceremony| Some((ceremony, ceremony.stored_stage()?)));
        let exposed = channel.exposures();
        let is_exposed =
            |draft: &Arc<Draft>| exposed.last().is_some_and(|exposed| Arc::ptr_eq(exposed, draft));
        Self {
            step: channel.step,
            terms: Cow::Borrowed(&channel.terms),
            temporary_id: RootHash(channel.temporary_id),
            id: channel.id,
            depth: channel.depth,
            stand: Cow::Borrowed(&channel.stand),
            agreed: channel.agreed.clone(),
            forced: Cow::Borrowed(&channel.forced),
            generalized: Cow::Borrowed(&channel.generalized),
            ceremony: ceremony.map(|(ceremony, stage)| StoredCeremony {
                flow: ceremony.flow,
                side: ceremony.side,
                stage,
                since: ceremony.since,
                draft: (!is_exposed(&ceremony.draft)).then(|| ceremony.draft.clone()),
            }),
            exposed,
            offers: Cow::Borrowed(&channel.offers),
            posted: Cow::Borrowed(&channel.posted),
            seen: Cow::Borrowed(&channel.seen),
            warned: channel.warned,
            assumed: Cow::Borrowed(&channel.assumed),
            unheard: Cow::Borrowed(&channel.unheard),
        }
    }

    pub(crate) fn into_channel(self) -> Result<Channel, &'static str> {
        let exposed = self.exposed.into_owned();
        let ceremony = self.ceremony.map(|stored| {
            let draft = stored
                .draft
                .or_else(|| exposed.last().cloned())
                .ok_or("a flow is under way, but its draft is missing")?;
            let StoredCeremony { flow, side, stage, since, .. } = stored;
            Ok::<_, &'static str>(Ceremony { flow, side, stage, draft, since })
        });
        let calls = self.agreed.as_ref().map(|agreed| agreed.trees.calls.clone()).unwrap_or_default();
        let talk = Talk { calls_count: calls.iter().count(), calls, ..Talk::default() };
        Ok(Channel {
            step: self.step,
            terms: Arc::new(self.terms.into_owned()),
            temporary_id: self.temporary_id.0,
            id: self.id,
            depth: self.depth,
            stand: self.stand.into_owned(),
            agreed: self.agreed,
            forced: self.forced.into_owned(),
            generalized: self.generalized.into_owned(),
            ceremony: ceremony.transpose()?,
            exposed,
            offers: self.offers.into_owned(),
            posted: self.posted.into_owned(),
            seen: self.seen.into_owned(),
            warned: self.warned,
            assumed: self.assumed.into_owned(),
            unheard: self.unheard.into_owned(),
            talk,
        })
    }
}

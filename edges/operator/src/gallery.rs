//! The standings as they were when somebody last looked, and since when each has been as it is: what changed is told from
//! what did not without asking every side again for every reader.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use strait_channel::{Place, Time};
use strait_encoding::{ChannelId, Height};

use crate::chain_picture::ChainPicture;
use crate::operated::{Operated, SideKey, Standing};
use crate::series::{Series, tenths};

/// Standings, each with the number of the look at which it last changed.
#[derive(Debug)]
pub(crate) struct Gallery {
    /// Tells this run of the service from others: when it began, in milliseconds since 1970.
    pub run: u64,
    /// How many looks brought something new.
    pub look: u64,
    pub top: Height,
    pub hung: HashMap<SideKey, Hung>,
    /// Updates a second of all channels.
    pub series: Series,
    /// The look at which the chain last changed, and how it then was.
    chain: Option<(u64, ChainPicture)>,
    looked: Instant,
    measured: Instant,
    /// The latest round of each channel when the rates were measured.
    rounds: HashMap<ChannelId, u64>,
}

/// A standing that hangs in the gallery.
#[derive(Clone, Debug)]
pub(crate) struct Hung {
    pub standing: Standing,
    /// The look at which it last changed.
    pub changed: u64,
    /// Rounds a second.
    pub rate: f64,
    /// What of it depends on the height of the chain.
    reached: (u64, u64),
    measured_round: u64,
}

impl Gallery {
    pub fn new(run: Time, now: Instant) -> Self {
        Self {
            run: run.0,
            look: 0,
            top: Height(0),
            hung: HashMap::new(),
            series: Series::default(),
            chain: None,
            looked: now,
            measured: now,
            rounds: HashMap::new(),
        }
    }

    /// Looks again, unless the last look is no older than `fresh`.
    pub fn look(&mut self, operated: &impl Operated, fresh: Duration, now: Instant) {
        if self.look > 0 && now.saturating_duration_since(self.looked) < fresh {
            return;
        }
        self.looked = now;
        self.top = operated.top();
        self.hang(operated.standings());
    }

    /// Looks again and measures the rates since the last time; to be called once a second.
    pub fn measure(&mut self, operated: &impl Operated, now: Instant) {
        self.look(operated, Duration::ZERO, now);
        let seconds = now.saturating_duration_since(self.measured).as_secs_f64().max(0.001);
        self.measured = now;
        let (mut rounds, mut updates) = (HashMap::with_capacity(self.rounds.len()), 0);
        let look = self.look + 1;
        let mut changed = false;
        for hung in self.hung.values_mut() {
            let round = hung.standing.round.0;
            if let Some(id) = hung.standing.id {
                let latest = rounds.entry(id).or_insert(0);
                *latest = round.max(*latest);
            }
            let rate = tenths(counted(round.saturating_sub(hung.measured_round)) / seconds);
            hung.measured_round = round;
            if rate != hung.rate {
                (hung.rate, hung.changed, changed) = (rate, look, true);
            }
        }
        for (id, round) in &rounds {
            // What was there when the channel was first seen did not happen in this second.
            updates += self.rounds.get(id).map_or(0, |before| round.saturating_sub(*before));
        }
        self.rounds = rounds;
        self.series.push(counted(updates) / seconds);
        if changed {
            self.look = look;
        }
    }

    /// The chain now, and the look at which it became as it is.
    pub fn chain(&mut self, picture: ChainPicture) -> (u64, &ChainPicture) {
        let look = match &self.chain {
            Some((look, hanging)) if same_chain(hanging, &picture) => *look,
            _ => {
                self.look += 1;
                self.look
            }
        };
        let hanging = self.chain.insert((look, picture));
        (look, &hanging.1)
    }

    /// The look that a reader names `run.look`; 0 where it saw another run, or names none.
    pub fn look_of(&self, mark: &str) -> u64 {
        let read = |text: &str| text.parse::<u64>().ok();
        let mark = mark.split_once('.').and_then(|(run, look)| Some((read(run)?, read(look)?)));
        mark.filter(|(run, look)| *run == self.run && *look <= self.look).map_or(0, |(_, look)| look)
    }

    /// What a reader names to get what is new.
    pub fn mark(&self) -> String {
        format!("{}.{}", self.run, self.look)
    }

    /// How many sides are in each place, in the order of life.
    pub fn places(&self) -> [u64; 4] {
        let mut places = [0; 4];
        for hung in self.hung.values() {
            places[order(hung.standing.place)] += 1;
        }
        places
    }

    fn hang(&mut self, standings: Vec<Standing>) {
        let look = self.look + 1;
        let mut changed = self.look == 0 || standings.len() != self.hung.len();
        let mut hung = HashMap::with_capacity(standings.len());
        for standing in standings {
            let reached = reached(&standing, self.top);
            let kept = self.hung.remove(&standing.key);
            let since = match &kept {
                Some(kept) if kept.standing == standing && kept.reached == reached => kept.changed,
                _ => {
                    changed = true;
                    look
                }
            };
            let (rate, measured_round) =
                kept.map_or((0.0, standing.round.0), |kept| (kept.rate, kept.measured_round));
            hung.insert(standing.key, Hung { standing, changed: since, rate, reached, measured_round });
        }
        self.hung = hung;
        if changed {
            self.look = look;
        }
    }
}

/// The number of a place in the order of life.
pub(crate) fn order(place: Place) -> usize {
    match place {
        Place::Opening => 0,
        Place::Open => 1,
        Place::Closing => 2,
        Place::Closed => 3,
    }
}

fn reached(standing: &Standing, top: Height) -> (u64, u64) {
    let depth = standing.depth.map_or(0, |depth| top.0.saturating_sub(depth.seen.0).min(depth.needed));
    let left = standing.lock.map_or(0, |lock| lock.until.0.saturating_sub(top.0));
    (depth, left)
}

fn same_chain(before: &ChainPicture, now: &ChainPicture) -> bool {
    let top = |picture: &ChainPicture| picture.top().map(|top| top.hash);
    top(before) == top(now) && before.pending_count == now.pending_count && before.pending == now.pending
}

/// A count as a number for rates; those of a second are far below what it holds exactly.
fn counted(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use strait_channel::Role;
    use strait_encoding::{AccountId, Coins, NetworkId, Round};

    use super::*;
    use crate::operated::{Depth, ForkRefused, Load, LogEntry};

    #[derive(Default)]
    struct Few(Mutex<(Vec<Standing>, u64)>);

    impl Operated for Few {
        fn standings(&self) -> Vec<Standing> {
            self.0.lock().unwrap().0.clone()
        }
        async fn log(&self, _: SideKey, _: usize) -> Option<Vec<LogEntry>> {
            None
        }
        fn top(&self) -> Height {
            Height(self.0.lock().unwrap().1)
        }
        fn chain(&self) -> ChainPicture {
            ChainPicture {
                network: NetworkId("ae_test".to_owned()),
                blocks: Vec::new(),
                pending: Vec::new(),
                pending_count: 0,
                can_fork: false,
            }
        }
        async fn fork(&self, _: u64) -> Result<(), ForkRefused> {
            Err(ForkRefused::NotOurs)
        }
        fn load(&self) -> Load {
            Load::default()
        }
    }

    fn standing(number: u8, round: u64) -> Standing {
        let role = if number.is_multiple_of(2) { Role::Initiator } else { Role::Responder };
        Standing {
            key: SideKey([number; 32]),
            id: Some(ChannelId([number / 2; 32])),
            role,
            initiator: Some(AccountId([1; 32])),
            responder: AccountId([2; 32]),
            place: Place::Open,
            doing: "idle",
            round: Round(round),
            balances: Some([Coins(5), Coins(6)]),
            reserve: Coins(0),
            depth: None,
            lock: None,
            has_client: true,
            has_peer: true,
            since: Time(1),
            heard: Time(2),
        }
    }

    fn changed_after(gallery: &Gallery, look: u64) -> Vec<u8> {
        let mut keys: Vec<u8> = gallery.hung.values().filter(|hung| hung.changed > look).map(key).collect();
        keys.sort_unstable();
        keys
    }

    fn key(hung: &Hung) -> u8 {
        hung.standing.key.0[0]
    }

    #[test]
    fn only_what_changed_is_new() {
        let now = Instant::now();
        let few = Few::default();
        let mut gallery = Gallery::new(Time(9), now);
        few.0.lock().unwrap().0 = vec![standing(0, 1), standing(1, 1), standing(2, 1)];
        gallery.look(&few, Duration::ZERO, now);
        assert_eq!(changed_after(&gallery, 0), [0, 1, 2]);
        let first = gallery.look;
        gallery.look(&few, Duration::ZERO, now);
        assert_eq!(gallery.look, first, "nothing is new");

        let waits = Depth { seen: Height(4), needed: 10 };
        few.0.lock().unwrap().0 = vec![standing(0, 1), Standing { depth: Some(waits), ..standing(1, 1) }];
        gallery.look(&few, Duration::ZERO, now);
        assert_eq!(changed_after(&gallery, first), [1]);
        assert_eq!(gallery.hung.len(), 2);
        let second = gallery.look;

        few.0.lock().unwrap().1 = 6;
        gallery.look(&few, Duration::ZERO, now);
        assert_eq!(changed_after(&gallery, second), [1], "the chain grew on top of what it waits for");
    }

    #[test]
    fn a_fresh_look_is_used_again() {
        let now = Instant::now();
        let few = Few::default();
        let mut gallery = Gallery::new(Time(9), now);
        gallery.look(&few, Duration::from_millis(400), now);
        few.0.lock().unwrap().0.push(standing(0, 1));
        gallery.look(&few, Duration::from_millis(400), now + Duration::from_millis(399));
        assert!(gallery.hung.is_empty());
        gallery.look(&few, Duration::from_millis(400), now + Duration::from_millis(400));
        assert_eq!(gallery.hung.len(), 1);
    }

    #[test]
    fn an_update_of_a_channel_whose_sides_are_both_here_is_one_update() {
        let now = Instant::now();
        let few = Few::default();
        let mut gallery = Gallery::new(Time(9), now);
        few.0.lock().unwrap().0 = vec![standing(0, 100), standing(1, 99), standing(2, 7)];
        gallery.measure(&few, now + Duration::from_secs(1));
        assert_eq!(gallery.series.latest(), 0.0, "these rounds are older");
        few.0.lock().unwrap().0 = vec![standing(0, 110), standing(1, 110), standing(2, 8), standing(4, 50)];
        gallery.measure(&few, now + Duration::from_secs(3));
        assert_eq!(gallery.series.latest(), 5.5);
        let rate = |number: u8| gallery.hung[&SideKey([number; 32])].rate;
        assert_eq!([rate(0), rate(1), rate(2), rate(4)], [5.0, 5.5, 0.5, 0.0]);
    }

    #[test]
    fn a_mark_of_another_run_is_worth_nothing() {
        let now = Instant::now();
        let mut gallery = Gallery::new(Time(9), now);
        gallery.look(&Few::default(), Duration::ZERO, now);
        assert_eq!(gallery.look_of(&gallery.mark()), 1);
        for other in ["8.1", "9.2", "9", "", "9.x", "9.-1", "9.1.1"] {
            assert_eq!(gallery.look_of(other), 0, "{other}");
        }
    }
}

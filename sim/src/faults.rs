//! Where a crash or a loss strikes.

use strait_channel::Role;

/// A fault that is armed; counting starts when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program of this side ends in the middle of its `turn`-th step (0 is the next one).
    Crash {
        /// Whose program.
        role: Role,
        /// In which of its steps.
        turn: usize,
        /// Where in the step.
        place: Place,
        /// The peer does not notice, because the whole machine is gone.
        silent: bool,
    },
    /// The `message`-th message from now on, of either side, is lost with all that follow in its session.
    Lose {
        /// Which message.
        message: usize,
    },
}

/// Where in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It was decided, and not stored. Of a step that is not stored: before its first effect.
    BeforeStore,
    /// The client was asked to sign, and the step not stored. Does not exist in a step that is not stored.
    AfterPrompt,
    /// It was stored, and none of its effects performed. Does not exist in a step that is not stored.
    AfterStore,
    /// This effect, counted from 0, was performed.
    AfterEffect(usize),
}

/// The armed fault and how far the count is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    armed: Option<Fault>,
    turns: [usize; 2],
    messages: usize,
    pub struck: bool,
}

impl Faults {
    pub fn arm(&mut self, fault: Fault) {
        *self = Self { armed: Some(fault), ..Self::default() };
    }

    pub fn begin_turn(&mut self, role: Role) {
        self.turns[crate::network::place(role)] += 1;
    }

    /// Whether the program ends here; and whether the peer is left in the dark.
    pub fn crashes(&mut self, now: Role, here: Place) -> Option<bool> {
        let begun = self.turns[crate::network::place(now)];
        match self.armed {
            Some(Fault::Crash { role, turn, place, silent })
                if role == now && turn + 1 == begun && place == here =>
            {
                self.armed = None;
                self.struck = true;
                Some(silent)
            }
            _ => None,
        }
    }

    /// Whether the message that is being sent is lost.
    pub fn loses(&mut self) -> bool {
        self.messages += 1;
        let lost = self.armed == Some(Fault::Lose { message: self.messages - 1 });
        if lost {
            self.armed = None;
            self.struck = true;
        }
        lost
    }
}

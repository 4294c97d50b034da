// Proposals that are declined, given up, or made at the same moment.

import assert from 'node:assert/strict';
import { it } from 'node:test';

// docs/protocol/fsm: the SDK sends 1 for a signature that is null.
const REFUSED = 1;
const CONFLICT = 2;

const ACTIONS = {
  update: (side, other, sign) => side.channel.update(side.address, other.address, 100, sign),
  deposit: (side, _other, sign) => side.channel.deposit(100, sign),
  withdraw: (side, _other, sign) => side.channel.withdraw(100, sign),
};

/** Registers the steps, with a channel that is open before and after. */
export function refusals(pair) {
  for (const [name, act] of Object.entries(ACTIONS)) {
    it(`${name}: the other side declines`, () => changesNothing(pair(), async ({ initiator, responder }) => {
      const outcome = await answering(responder, null, () => act(initiator, responder, initiator.own));
      assert.deepEqual([outcome.accepted, outcome.errorCode], [false, REFUSED]);
    }));

    it(`${name}: the other side declines with a code`, () => changesNothing(pair(), async ({ initiator, responder }) => {
      const outcome = await answering(responder, 1234, () => act(initiator, responder, initiator.own));
      assert.deepEqual(outcome, { accepted: false, errorCode: 1234, errorMessage: 'user-defined' });
    }));

    it(`${name}: the proposer thinks better of it`, () => changesNothing(pair(), async ({ initiator, responder }) => {
      const heard = responder.asked.length;
      assert.deepEqual(await act(initiator, responder, async () => 12_345), { accepted: false });
      assert.equal(responder.asked.length, heard);
    }));
  }

  it('two proposals at once are both lost', () => changesNothing(pair(), async ({ initiator, responder }) => {
    const together = meeting(2);
    const whenBothAreAsked = (side) => async (tx) => {
      await together();
      return side.own(tx);
    };
    const outcomes = await Promise.all([
      ACTIONS.update(initiator, responder, whenBothAreAsked(initiator)),
      ACTIONS.update(responder, initiator, whenBothAreAsked(responder)),
    ]);
    const lost = { accepted: false, errorCode: CONFLICT, errorMessage: 'conflict' };
    assert.deepEqual(outcomes, [lost, lost]);
  }));

  it('and the next proposals are accepted', async () => {
    const { initiator, responder } = pair();
    await pair().pay(responder, 7);
    await pair().pay(initiator, 8);
    await pair().assertInside();
  });
}

/** Runs what must leave rounds and balances as they are. */
async function changesNothing(pair, action) {
  const rounds = pair.sides.map(({ round }) => round);
  await action(pair);
  assert.deepEqual(pair.sides.map(({ round }) => round), rounds);
  await pair.assertInside();
}

/** Has `side` answer so what it is asked while `action` runs. */
async function answering(side, answer, action) {
  const usual = side.answer;
  side.answer = async () => answer;
  try {
    return await action();
  } finally {
    side.answer = usual;
  }
}

/** A function that returns to nobody before `count` have called it. */
function meeting(count) {
  let begin;
  const complete = new Promise((resolve) => { begin = resolve; });
  let here = 0;
  return () => {
    here += 1;
    if (here === count) begin();
    return complete;
  };
}

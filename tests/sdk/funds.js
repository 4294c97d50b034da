// Deposits, withdrawals and snapshots of a running channel.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Tag, buildTx, unpackTx } from '@aeternity/aepp-sdk';
import { checkedFee } from './chain.js';

const DEPOSIT = 1_000_000_000_000_000;
const WITHDRAWAL = 200_000_000_000_001;

/** Registers the steps, with a channel that is open before and after. */
export function coinsInAndOut(pair) {
  for (const i of [0, 1]) {
    const party = ['initiator', 'responder'][i];

    it(`the ${party} deposits`, async () => {
      const side = pair()[party];
      const fee = await move(pair(), i, 'Deposit', DEPOSIT);
      assert.deepEqual(side.asked.at(-1).updates, [{ op: 'OffChainDeposit', from: side.address, amount: String(DEPOSIT) }]);
      pair().onChain[i] -= BigInt(DEPOSIT) + fee;
      pair().inside[i] += BigInt(DEPOSIT);
      await pair().assertOnChain();
      await pair().assertInside();
    });

    it(`the ${party} withdraws`, async () => {
      const side = pair()[party];
      const fee = await move(pair(), i, 'Withdraw', WITHDRAWAL);
      assert.deepEqual(side.asked.at(-1).updates, [{ op: 'OffChainWithdrawal', to: side.address, amount: String(WITHDRAWAL) }]);
      pair().onChain[i] += BigInt(WITHDRAWAL) - fee;
      pair().inside[i] -= BigInt(WITHDRAWAL);
      await pair().assertOnChain();
      await pair().assertInside();
    });
  }

  it('a snapshot that the SDK builds tells the chain the round', async () => {
    const { initiator, sides, chain } = pair();
    const payload = await pair().pay(initiator, 5);
    const marks = sides.map(({ log }) => log.length);
    await pair().send(initiator, { tag: Tag.ChannelSnapshotSoloTx, payload });
    await Promise.all(sides.map((side, i) => side.hearsOnChain('channel_changed', marks[i])));
    const { round, stateHash } = await chain.channel(initiator.id);
    assert.equal(Number(round), initiator.round);
    assert.equal(stateHash, unpackTx(payload, Tag.SignedTx).encodedTx.stateHash);
    await pair().assertOnChain();
  });
}

/** The `i`-th party's deposit or withdrawal until both know it; gives its fee. */
async function move(pair, i, name, amount) {
  const [side, other] = [pair.sides[i], pair.sides[1 - i]];
  const action = name.toLowerCase();
  const calls = { onOnChainTx: 0, [`onOwn${name}Locked`]: 0, [`on${name}Locked`]: 0 };
  const counting = (key) => [key, () => { calls[key] += 1; }];
  const callbacks = Object.fromEntries(Object.keys(calls).map(counting));
  const mark = other.log.length;
  const { round } = side;

  const { accepted, signedTx } = await side.channel[action](amount, side.own, callbacks);
  assert.equal(accepted, true);
  assert.equal(side.round, round + 1);
  assert.equal(signedTx, buildTx((await side.channel.state()).signedTx));
  // Signed and handed in, then seen in a block.
  assert.deepEqual(Object.values(calls), [2, 1, 1]);

  await other.hears('stateChanged', (state) => state === signedTx, mark);
  await other.hears(`own${name}Locked`, undefined, mark);
  await other.hears(`${action}Locked`, undefined, mark);
  assert.equal(other.asked.at(-1).tag, `${action}_ack`);
  return checkedFee(side.asked.at(-1).tx);
}

// Clients that leave, get lost, and come back.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Tag, buildTx } from '@aeternity/aepp-sdk';

/** Registers the steps, with a channel that is open before and after. */
export function comingBack(pair) {
  it('leaves, and re-establishes with the responder that stayed', async () => {
    const { initiator, responder } = pair();
    const { signedTx: agreed } = await responder.channel.state();
    const { channelId, signedTx } = await initiator.channel.leave();
    assert.equal(channelId, initiator.id);
    assert.equal(signedTx, buildTx(agreed));
    await initiator.reaches('disconnected');
    await responder.hears('peerDisconnected');

    const back = await initiator.return({ reestablish: true });
    await back.reaches('open');
    await responder.hears('channelReestablished');
    assert.notEqual(back.channel.fsmId(), initiator.channel.fsmId());
    assert.equal(back.round, initiator.round);
    assert.deepEqual(back.asked, []);
    initiator.assertUntroubled();
    pair().initiator = back;
    await assertAlive(pair());
  });

  it('both go, and both come back', async () => {
    const { initiator, responder, sides } = pair();
    await responder.channel.leave();
    await Promise.all(sides.map((side) => side.reaches('disconnected')));
    const back = await Promise.all([initiator, responder].map((side) => side.return({ reestablish: true })));
    await Promise.all(back.map((side) => side.reaches('open')));
    pair().assertUntroubled();
    [pair().initiator, pair().responder] = back;
    await assertAlive(pair());
  });

  for (const party of ['initiator', 'responder']) {
    it(`the ${party} loses its connection, and reconnects`, async () => {
      const gone = pair()[party];
      await gone.disconnect();
      const back = await gone.return();
      await back.reaches('open');
      assert.equal(back.channel.fsmId(), gone.channel.fsmId());
      assert.equal(back.round, gone.round);
      assert.equal((await back.channel.state()).signedTx.encodedTx.tag, Tag.ChannelOffChainTx);
      gone.assertUntroubled();
      pair()[party] = back;
      await assertAlive(pair());
    });
  }

  it('a newer connection takes the place of an older one', async () => {
    const older = pair().initiator;
    const newer = await older.return();
    await Promise.all([newer.reaches('open'), older.reaches('disconnected')]);
    older.assertUntroubled();
    pair().initiator = newer;
    await assertAlive(pair());
  });
}

async function assertAlive(pair) {
  await pair.pay(pair.initiator, 3);
  await pair.pay(pair.responder, 1);
  await pair.assertInside();
}

// Channels that end on chain, by transactions that the SDK builds itself.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Encoding, Tag, encode } from '@aeternity/aepp-sdk';
import { Pair } from './pair.js';
import { TERMS } from './side.js';

/** Registers the disputes; `world` has the service and its chain once the tests run. */
export function disputes(world) {
  it('one closes alone and settles', async () => {
    const pair = await openPair(world);
    const { initiator } = pair;
    const payload = await pair.pay(initiator, 100_000_000_000_000);
    const height = await closeSolo(pair, initiator, { payload, poi: await proof(pair) });
    await assertClosing(pair, height);
    await settle(pair, initiator);
    await assertOver(pair);
  });

  it('one closes with an old state, and the other slashes', async () => {
    const pair = await openPair(world);
    const { initiator, responder, sides } = pair;
    const old = { payload: await pair.pay(initiator, 100), poi: await proof(pair) };
    const latest = { payload: await pair.pay(initiator, 250), poi: await proof(pair) };

    await closeSolo(pair, initiator, old);
    const told = await Promise.all(sides.map((side) => side.hearsOnChain('can_slash')));
    // What to slash with: the latest state that both have signed.
    assert.deepEqual(told.map(([tx]) => tx), [latest.payload, latest.payload]);

    const height = await pair.send(responder, { tag: Tag.ChannelSlashTx, ...latest });
    await assertClosing(pair, height);
    await settle(pair, responder);
    await assertOver(pair);
  });

  it('a snapshot keeps an older state from closing', async () => {
    const pair = await openPair(world);
    const { initiator, responder, chain } = pair;
    const old = { payload: await pair.pay(responder, 100), poi: await proof(pair) };
    const payload = await pair.pay(initiator, 250);
    await pair.send(responder, { tag: Tag.ChannelSnapshotSoloTx, payload });
    assert.equal(Number((await chain.channel(initiator.id)).round), responder.round);

    // The chain takes it into its pool, and drops it when it comes to be included.
    await assert.rejects(closeSolo(pair, initiator, old), /Transaction not found/);
    assert.equal(Number((await chain.channel(initiator.id)).lockedUntil), 0);

    // The chain knows the round itself now: the proof alone is enough.
    const none = encode(Buffer.alloc(0), Encoding.Transaction);
    const height = await closeSolo(pair, responder, { payload: none, poi: await proof(pair) });
    await assertClosing(pair, height);
    await settle(pair, responder);
    await assertOver(pair);
  });
}

async function openPair(world) {
  const pair = await Pair.create(world);
  await pair.open();
  return pair;
}

/** The proof of the latest balances, which both sides can make. */
function proof({ responder, addresses }) {
  return responder.channel.poi({ accounts: addresses });
}

function closeSolo(pair, side, evidence) {
  return pair.send(side, { tag: Tag.ChannelCloseSoloTx, ...evidence });
}

/** Asserts that the channel closes with the balances of the books, since `height`, and that both sides were told. */
async function assertClosing({ chain, sides, inside }, height) {
  await Promise.all(sides.map((side) => side.hearsOnChain('solo_closing')));
  const { lockedUntil, initiatorAmount, responderAmount } = await chain.channel(sides[0].id);
  assert.equal(Number(lockedUntil), height + TERMS.lockPeriod);
  assert.deepEqual([initiatorAmount, responderAmount].map(BigInt), inside);
}

/** Settles as soon as the lock period is over, and books it. */
async function settle(pair, side) {
  const { lockedUntil } = await pair.chain.channel(side.id);
  await pair.chain.sdk.awaitHeight(Number(lockedUntil));
  const [initiatorAmountFinal, responderAmountFinal] = pair.inside.map(String);
  await pair.send(side, { tag: Tag.ChannelSettleTx, initiatorAmountFinal, responderAmountFinal });
  pair.onChain = pair.onChain.map((coins, i) => coins + pair.inside[i]);
}

/** Asserts that the coins are where they should be, the channel is gone, and both sides were told. */
async function assertOver(pair) {
  await pair.assertOnChain();
  await pair.chain.assertClosed(pair.initiator.id);
  for (const side of pair.sides) {
    await Promise.all([side.hearsOnChain('channel_closed'), side.reaches('closed'), side.reaches('disconnected')]);
  }
  pair.assertUntroubled();
}

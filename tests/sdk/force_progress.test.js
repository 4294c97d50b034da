// A call that the other side does not answer, forced on chain.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Tag, buildTxHash, unpackTx } from '@aeternity/aepp-sdk';
import { DevChain } from './chain.js';
import { Compiled } from './compiled.js';
import { Pair } from './pair.js';
import { startService } from './service.js';

/** None takes long; a frame that does not come must not hold up the others. */
const LIMIT = { timeout: 15_000 };
const test = (name, run) => it(name, LIMIT, run);

// On chain only contracts of the machine of the protocol, and of those before it, can be called.
const VM = 5;
const ABI = 3;
const GAS = 20_000;
const GAS_PRICE = 1_000_000_000;

describe('forced progress', () => {
  const tally = new Compiled('Tally');
  let service;
  let chain;
  let pair;
  let initiator;
  let responder;
  let contract;

  before(async () => {
    service = await startService();
    chain = new DevChain(service);
    pair = await Pair.create({ service, chain });
    await pair.open();
    ({ initiator, responder } = pair);
    const creation = { code: tally.bytecode, callData: tally.call('init', 3), deposit: 0, vmVersion: VM, abiVersion: ABI };
    const made = await initiator.channel.createContract(creation, initiator.own);
    await responder.hears('stateChanged', (state) => state === made.signedTx);
    contract = made.address;
  });

  after(() => service?.stop());

  const calling = (amount, name, ...args) => ({ contract, abiVersion: ABI, amount, callData: tally.call(name, ...args) });

  /** `side` forces a call, and what it cost is booked; the result as the chain knows it, which both sides come to know. */
  async function force(side, amount, name, ...args) {
    const round = await roundOf(side) + 1;
    const marks = pair.sides.map(({ log }) => log.length);
    const request = { ...calling(amount, name, ...args), gasLimit: GAS, gasPrice: GAS_PRICE };
    const { accepted, tx } = await side.channel.forceProgress(request, side.own);
    assert.equal(accepted, true);
    const hash = buildTxHash(tx);
    await chain.sdk.poll(hash);
    await Promise.all(pair.sides.map((each, i) => each.hearsOnChain('consumed_forced_progress', marks[i])));
    const { callInfo } = await chain.node.getTransactionInfoByHash(hash);
    const { callerId, contractId, callerNonce, height } = callInfo;
    const expected = [side.address, hash.replace('th_', 'ct_'), round, round];
    assert.deepEqual([callerId, contractId, Number(callerNonce), Number(height)], expected);
    const forced = unpackTx(tx, Tag.SignedTx).encodedTx;
    assert.deepEqual([forced.tag, forced.round], [Tag.ChannelForceProgressTx, round]);
    pair.onChain[pair.sides.indexOf(side)] -= BigInt(forced.fee) + BigInt(callInfo.gasUsed) * BigInt(GAS_PRICE);
    await pair.assertOnChain();
    assert.deepEqual(await Promise.all(pair.sides.map(roundOf)), [round, round]);
    const shown = await chain.channel(side.id);
    assert.deepEqual([Number(shown.round), shown.stateHash], [round, forced.stateHash]);
    return { ...callInfo, said: tally.result(name, callInfo.returnValue, callInfo.returnType) };
  }

  /** What the service takes for the round: the SDK itself does not count the forced ones. */
  async function roundOf({ channel }) {
    const { signedTx } = await channel.state();
    return signedTx.encodedTx.round;
  }

  async function count() {
    const counts = await Promise.all(pair.sides.map(({ channel }) => channel.callContractStatic(calling(0, 'count'))));
    return counts.map(({ returnValue }) => tally.result('count', returnValue));
  }

  test('a call that is not answered is made on chain', async () => {
    const usual = responder.answer;
    responder.answer = async () => null;
    try {
      const { accepted } = await initiator.channel.callContract(calling(0, 'add', 4), initiator.own);
      assert.equal(accepted, false);
      const { returnType, said } = await force(initiator, 0, 'add', 4);
      assert.deepEqual([returnType, said], ['ok', 7n]);
    } finally {
      responder.answer = usual;
    }
    assert.deepEqual(await count(), [7n, 7n]);
  });

  test('the channel goes on from there', async () => {
    const { accepted, signedTx } = await responder.channel.callContract(calling(0, 'add', 1), responder.own);
    assert.equal(accepted, true);
    await initiator.hears('stateChanged', (state) => state === signedTx);
    assert.deepEqual(await count(), [8n, 8n]);
    await pair.pay(initiator, 5);
    await pair.assertInside();
  });

  test('the other side can do it, too, on top of a forced one', async () => {
    assert.equal((await force(responder, 0, 'add', 2)).said, 10n);
    assert.equal((await force(responder, 0, 'add', 3)).said, 13n);
    assert.deepEqual(await count(), [13n, 13n]);
  });

  test('a forced call that says no is a round like others', async () => {
    const { returnType, said } = await force(initiator, 0, 'add', 0);
    assert.deepEqual([returnType, said], ['revert', 'there must be more']);
    assert.deepEqual(await count(), [13n, 13n]);
    await pair.assertInside();
  });

  test('coins that go with it are the contract\'s', async () => {
    pair.inside[0] -= 11n;
    assert.equal((await force(initiator, 11, 'keep')).said, 11n);
    await pair.assertInside();
    pair.assertUntroubled();
  });
});

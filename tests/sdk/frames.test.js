// Frames on which the SDK throws, or waits for ever, as the reference node sends them (docs/protocol/gaps §3.1), and errors in general.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import {
  ChannelCallError, ChannelConnectionError, ChannelIncomingMessageError, IllegalArgumentError, InsufficientBalanceError,
  MemoryAccount, Tag, UnknownChannelStateError,
} from '@aeternity/aepp-sdk';
import { DevChain } from './chain.js';
import { startService } from './service.js';
import { Side, TERMS, openChannel, propose } from './side.js';

// Not exported: what the SDK itself sends requests with.
const SDK = new URL('./node_modules/@aeternity/aepp-sdk/es/channel/', import.meta.url);
const { call, notify } = await import(new URL('internal.js', SDK));
const { appendSignature } = await import(new URL('handlers.js', SDK));

/** None takes a second; a frame that does not come must not hold up the others. */
const LIMIT = { timeout: 10_000 };
const test = (name, run) => it(name, LIMIT, run);

describe('frames', () => {
  let service;
  let chain;
  let initiator;
  let responder;

  before(async () => {
    service = await startService();
    chain = new DevChain(service);
  });

  beforeEach(async () => {
    const accounts = await chain.newPair();
    [initiator, responder] = await openChannel(service, ...accounts);
  }, LIMIT);

  afterEach(() => {
    for (const side of [initiator, responder]) side?.channel.disconnect();
  });

  after(() => service?.stop());

  /** The error frame that the SDK had no use for: it must have been reported as such, and not have made the SDK throw something else. */
  async function reportedError(side) {
    const [why] = await side.hears('error');
    assert.ok(why instanceof ChannelIncomingMessageError, String(why));
    assert.ok(why.handlerError instanceof UnknownChannelStateError, String(why.handlerError));
    return why.incomingMessage.error;
  }

  function assertListed(error) {
    assert.ok(Array.isArray(error.data) && error.data.length > 0, JSON.stringify(error));
    for (const { code, message } of error.data) assert.deepEqual([typeof code, typeof message], ['number', 'string']);
  }

  async function assertUsable() {
    assert.equal((await propose(initiator, responder, 1)).accepted, true);
  }

  test('a pong names the channel', async () => {
    notify(initiator.channel, 'channels.system', { action: 'ping' });
    const [pong] = await initiator.hears('frame', ({ method }) => method === 'channels.system.pong');
    assert.equal(pong.params.channel_id, initiator.id);
  });

  test('an unknown method is an error with a list of reasons', async () => {
    notify(initiator.channel, 'channels.none');
    const error = await reportedError(initiator);
    assert.equal(error.message, 'Method not found');
    assertListed(error);
    await assertUsable();
  });

  test('an unknown method with an id rejects its call', async () => {
    await assert.rejects(call(initiator.channel, 'channels.none', {}), ChannelCallError);
    initiator.assertUntroubled();
    await assertUsable();
  });

  test('an error while an update is under way rejects the update', async () => {
    const update = initiator.channel.update(initiator.address, responder.address, 1, async (tx) => {
      notify(initiator.channel, 'channels.none');
      await initiator.hears('frame', ({ error }) => error !== undefined);
      return initiator.own(tx);
    });
    await assert.rejects(update, (why) => why instanceof ChannelConnectionError && why.message === 'Method not found');
    initiator.assertUntroubled();
  });

  test('an update of a channel that closes is rejected', async () => {
    const { signedTx: payload } = await propose(initiator, responder, 1);
    const poi = await initiator.channel.poi({ accounts: [initiator.address, responder.address] });
    const close = { tag: Tag.ChannelCloseSoloTx, channelId: initiator.id, fromId: initiator.address, poi, payload };
    await chain.send(initiator.account, close);
    await Promise.all([initiator, responder].map((side) => side.reaches('closing')));
    for (const [side, other] of [[initiator, responder], [responder, initiator]]) {
      await assert.rejects(propose(side, other, 1), ChannelConnectionError);
      side.assertUntroubled();
    }
  });

  test('an update that cannot be is rejected with its reason', async () => {
    const { address: stranger } = MemoryAccount.generate();
    const update = (from, amount) => initiator.channel.update(from, responder.address, amount, initiator.own);
    await assert.rejects(update(initiator.address, -10), IllegalArgumentError);
    await assert.rejects(update(initiator.address, 999e18), InsufficientBalanceError);
    for (const from of ['ak_123', stranger]) {
      await assert.rejects(update(from, 1), (why) => why instanceof ChannelConnectionError && why.message === 'Rejected');
    }
    assert.equal(initiator.round, 1);
    initiator.assertUntroubled();
    await assertUsable();
  });

  for (const [action, amounts] of [['deposit', [-1]], ['withdraw', [-1, 999e18]]]) {
    test(`a ${action} that cannot be is rejected`, async () => {
      for (const amount of amounts) {
        await assert.rejects(initiator.channel[action](amount, initiator.own), ({ wsMessage }) => {
          assertListed(wsMessage.error);
          return true;
        });
      }
      assert.equal(initiator.round, 1);
      initiator.assertUntroubled();
      await assertUsable();
    });
  }

  test('a message to a stranger is an error with a list of reasons', async () => {
    await initiator.channel.sendMessage('hello', MemoryAccount.generate().address);
    assertListed(await reportedError(initiator));
    await assertUsable();
  });

  test('what is not there cannot be proved, called or read', async () => {
    const { channel } = initiator;
    const { address: stranger } = MemoryAccount.generate();
    const contract = 'ct_6y3N9KqQb74QsvR9NrESyhWeLNiA9aJgJ7ua8CvsTuGot6uzh';
    const requests = {
      poi: () => channel.poi({ accounts: [stranger] }),
      'poi of a contract': () => channel.poi({ accounts: [], contracts: [contract] }),
      contract: () => channel.getContractState(contract),
      call: () => channel.getContractCall({ caller: initiator.address, contract, round: 1 }),
      'dry run': () => channel.callContractStatic({ contract, abiVersion: 3, amount: 0, callData: 'cb_KxFE1kQfP4oEp9E=' }),
    };
    for (const [name, request] of Object.entries(requests)) await assert.rejects(request, ChannelCallError, name);
    initiator.assertUntroubled();
    await assertUsable();
  });

  test('a channel that cannot be opened says why', async () => {
    const { address: initiatorId } = MemoryAccount.generate();
    const options = { ...initiator.options, ...TERMS };
    for (const [wrong, reason] of [[{ initiatorId }, 'Participant not found'], [{ lockPeriod: -1 }, 'Value too low']]) {
      const side = await new Side(initiator.account, options).connect(wrong);
      assert.deepEqual((await reportedError(side)).data.map(({ message }) => message), [reason]);
      await side.reaches('disconnected');
    }
  });

  test('a wrong secret does not re-establish, and the right one still does', async () => {
    await initiator.channel.leave();
    const wrong = await initiator.return({ reestablish: true, existingFsmId: responder.channel.fsmId() });
    const [error] = await wrong.hears('frame', (frame) => frame.error !== undefined);
    assert.deepEqual(error.error.data.map(({ code }) => code), [1016]);
    await wrong.reaches('disconnected');
    initiator = await initiator.return({ reestablish: true });
    await initiator.reaches('open');
    await assertUsable();
  });

  test('while one is away, only what both have signed is taken', async () => {
    await initiator.disconnect();
    const update = (sign) => responder.channel.update(initiator.address, responder.address, 100, sign);
    assert.equal((await update(responder.own)).accepted, false);
    assert.equal(responder.round, 1);
    const both = await update(async (tx) => appendSignature(await responder.own(tx), initiator.own));
    assert.equal(both.accepted, true);
    assert.equal(responder.round, 2);
    initiator = await initiator.return();
    await initiator.reaches('open');
    assert.equal(initiator.round, 2);
    responder.assertUntroubled();
    initiator.assertUntroubled();
  });

  const PROPOSALS = {
    update: () => initiator.channel.update(initiator.address, responder.address, 100, initiator.own),
    deposit: () => initiator.channel.deposit(100, initiator.own),
    withdraw: () => initiator.channel.withdraw(100, initiator.own),
  };
  for (const [name, start] of Object.entries(PROPOSALS)) {
    test(`who comes back is asked again to sign the ${name} that waits for it`, async () => {
      let asked;
      const wasAsked = new Promise((resolve) => { asked = resolve; });
      responder.answer = () => { asked(); return new Promise(() => {}); };
      const proposal = start();
      await wasAsked;
      await responder.disconnect();
      responder = await responder.return();
      const misunderstood = responder.hears('error').then(([why]) => { throw why; });
      const { accepted } = await Promise.race([proposal, misunderstood]);
      assert.equal(accepted, true);
      assert.deepEqual(responder.asked.map(({ tag }) => tag), [`${name}_ack`]);
      responder.assertUntroubled();
    });
  }
});

// One channel from its opening to its mutual close, with all that the SDK can do meanwhile.

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Tag, buildTx, unpackTx } from '@aeternity/aepp-sdk';
import { checkedFee } from './chain.js';
import { coinsInAndOut } from './funds.js';
import { Pair } from './pair.js';
import { refusals } from './refusals.js';
import { comingBack } from './returning.js';
import { TERMS } from './side.js';

/**
 * Registers the steps. `world` has the service and its chain once the tests run, `closer` is who closes the channel. A part is given a
 * function that gives the pair of the channel, there only when the tests run, too.
 */
export function channelLife(world, closer) {
  let created;
  const pair = () => created;

  before(async () => { created = await Pair.create(world); });

  describe('spending', () => spending(pair));
  describe('opening', () => opening(pair));
  describe('payments', () => payments(pair));
  describe('proposals that come to nothing', () => refusals(pair));
  describe('what can be asked', () => queries(pair));
  describe('coins in and out', () => coinsInAndOut(pair));
  describe('going and coming back', () => comingBack(pair));
  describe('the end', () => mutualClose(pair, closer));
}

function spending(pair) {
  it('moves coins, and takes its fee', async () => {
    const { chain, accounts: [sender, recipient], onChain } = pair();
    const spend = { tag: Tag.SpendTx, senderId: sender.address, recipientId: recipient.address, amount: 12_345 };
    const { fee } = await chain.send(sender, spend);
    onChain[0] -= 12_345n + fee;
    onChain[1] += 12_345n;
    await pair().assertOnChain();
  });
}

function opening(pair) {
  it('asks both for the create transaction of the terms', async () => {
    await pair().open();
    const { initiator, responder } = pair();
    assert.deepEqual([initiator.round, responder.round], [1, 1]);
    assert.equal(initiator.id, responder.id);
    assert.deepEqual(initiator.asked.map(({ tag }) => tag), ['initiator_sign']);
    assert.deepEqual(responder.asked.map(({ tag }) => tag), ['responder_sign']);
    const create = unpackTx(initiator.asked[0].tx, Tag.ChannelCreateTx);
    assert.deepEqual(unpackTx(responder.asked[0].tx), create);
    assert.deepEqual(create, {
      tag: Tag.ChannelCreateTx,
      version: 2,
      initiator: initiator.address,
      initiatorAmount: String(TERMS.initiatorAmount),
      responder: responder.address,
      responderAmount: String(TERMS.responderAmount),
      channelReserve: '0',
      lockPeriod: '1',
      ttl: 0,
      // As on the node: docs/protocol/channel_txs §5.
      fee: '17680000000000',
      initiatorDelegateIds: [],
      responderDelegateIds: [],
      nonce: 2,
      stateHash: create.stateHash,
    });
  });

  it('goes through the statuses of a channel', () => {
    const statuses = (side) => side.log.filter(({ event }) => event === 'statusChanged').map(({ args }) => args[0]);
    const { initiator, responder } = pair();
    assert.deepEqual(statuses(initiator), ['connecting', 'connected', 'accepted', 'signed', 'open']);
    assert.deepEqual(statuses(responder), ['connecting', 'connected', 'halfSigned', 'open']);
  });

  it('takes the coins on chain', async () => {
    await pair().assertOnChain();
    await pair().assertInside();
    const { channelAmount, round, lockPeriod } = await pair().chain.channel(pair().initiator.id);
    assert.deepEqual([channelAmount, round, lockPeriod].map(String), ['1000000000000000', '1', '1']);
  });
}

function payments(pair) {
  it('pays, and both know the round', async () => {
    const { initiator, responder } = pair();
    await pair().pay(initiator, 100_000_000_000_000);
    assert.deepEqual([initiator.round, responder.round], [2, 2]);
    const amount = '100000000000000';
    const updates = [{ op: 'OffChainTransfer', from: initiator.address, to: responder.address, amount }];
    for (const side of [initiator, responder]) {
      assert.equal(unpackTx(side.asked.at(-1).tx).tag, Tag.ChannelOffChainTx);
      assert.deepEqual(side.asked.at(-1).updates, updates);
    }
    assert.equal(responder.asked.at(-1).tag, 'update_ack');
    await pair().assertInside();
  });

  it('pays with meta data', async () => {
    const { initiator, responder } = pair();
    await pair().pay(responder, 42, ['an invoice', 'für Käse ✓']);
    const updates = [
      { op: 'OffChainTransfer', from: responder.address, to: initiator.address, amount: '42' },
      { op: 'OffChainMeta', data: 'an invoice' },
      { op: 'OffChainMeta', data: 'für Käse ✓' },
    ];
    for (const side of [initiator, responder]) assert.deepEqual(side.asked.at(-1).updates, updates);
    await pair().assertInside();
  });
}

function queries(pair) {
  it('messages go both ways', async () => {
    const { initiator, responder } = pair();
    const say = async (from, to, message, info) => {
      const mark = to.log.length;
      await from.channel.sendMessage(message, to.address);
      const [heard] = await to.hears('message', undefined, mark);
      assert.deepEqual({ ...heard }, { channel_id: initiator.id, from: from.address, to: to.address, info });
    };
    await say(initiator, responder, 'hello "world" ✓', 'hello "world" ✓');
    await say(responder, initiator, { likes: ['cheese'] }, '{"likes":["cheese"]}');
  });

  it('balances of strangers are left out', async () => {
    const stranger = await pair().chain.newAccount();
    assert.deepEqual(await pair().initiator.balances([stranger.address]), {});
  });

  it('the proofs of inclusion of both sides are equal and show the balances', async () => {
    const { addresses, sides, inside } = pair();
    const proofs = await Promise.all(sides.map((side) => side.channel.poi({ accounts: addresses })));
    assert.equal(proofs[0].accounts[0].isEqual(proofs[1].accounts[0]), true);
    for (const proof of proofs) {
      const shown = addresses.map((address) => proof.accounts[0].get(address).balance);
      assert.deepEqual(shown, inside.map(String));
    }
  });

  it('the state is the one both have signed', async () => {
    const { addresses, sides, inside } = pair();
    const states = await Promise.all(sides.map((side) => side.channel.state()));
    for (const { signedTx, halfSignedTx, trees } of states) {
      assert.equal(signedTx.encodedTx.tag, Tag.ChannelOffChainTx);
      assert.equal(signedTx.encodedTx.round, sides[0].round);
      assert.equal(signedTx.signatures.length, 2);
      assert.equal(halfSignedTx, undefined);
      assert.deepEqual(addresses.map((address) => trees.accounts[address].balance), inside.map(String));
    }
    assert.equal(buildTx(states[0].signedTx), buildTx(states[1].signedTx));
  });
}

function mutualClose(pair, closer) {
  it(`the ${closer} proposes to close, and the coins are on chain`, async () => {
    const { initiator, responder, chain, inside } = pair();
    const [starter, other] = closer === 'initiator' ? [initiator, responder] : [responder, initiator];
    const closed = await starter.channel.shutdown(starter.own);
    const close = unpackTx(closed, Tag.SignedTx).encodedTx;
    assert.equal(close.tag, Tag.ChannelCloseMutualTx);
    assert.equal(close.fromId, starter.address);
    assert.equal(other.asked.at(-1).tag, 'shutdown_sign_ack');
    assert.equal(other.asked.at(-1).tx, starter.asked.at(-1).tx);
    // Each pays half of the fee out of the channel; an odd coin is the initiator's (docs/protocol/channel_txs §4.4).
    const fee = checkedFee(starter.asked.at(-1).tx);
    const shares = [inside[0] - (fee + 1n) / 2n, inside[1] - fee / 2n];
    assert.deepEqual([close.initiatorAmountFinal, close.responderAmountFinal], shares.map(String));
    await Promise.all([starter, other].map((side) => side.reaches('disconnected')));
    await other.reaches('closed');
    pair().onChain = pair().onChain.map((coins, i) => coins + shares[i]);
    await pair().assertOnChain();
    await chain.assertClosed(initiator.id);
  });

  it('and the SDK understood every frame', () => pair().assertUntroubled());
}

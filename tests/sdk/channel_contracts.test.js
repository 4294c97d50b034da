// Contracts in a channel, as the SDK makes, calls and reads them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  ChannelCallError, Encoding, MemoryAccount, Tag, buildContractId, buildTx, decode, encode, unpackTx,
} from '@aeternity/aepp-sdk';
import { DevChain, checkedFee } from './chain.js';
import { Compiled } from './compiled.js';
import { Pair } from './pair.js';
import { startService } from './service.js';

/** None takes long; a frame that does not come must not hold up the others. */
const LIMIT = { timeout: 10_000 };
const test = (name, run) => it(name, LIMIT, run);

// The SDK reads the state of a channel only where its contracts are of this one (docs/protocol/chain_service §7).
const VM = 5;
const ABI = 3;

describe('contracts in a channel', () => {
  const tally = new Compiled('Tally');
  let service;
  let pair;
  let initiator;
  let responder;
  /** The contract, and what it holds. */
  let contract;
  let held = 0n;

  before(async () => {
    service = await startService();
    pair = await Pair.create({ service, chain: new DevChain(service) });
    await pair.open();
    ({ initiator, responder } = pair);
  });

  after(() => service?.stop());

  const other = (side) => (side === initiator ? responder : initiator);
  const creation = (deposit, more) => ({
    code: tally.bytecode, callData: tally.call('init', 3), deposit, vmVersion: VM, abiVersion: ABI, ...more,
  });
  const calling = (amount, name, ...args) => ({ contract, abiVersion: ABI, amount, callData: tally.call(name, ...args) });

  /** `side` makes a contract, the other accepts, and the deposit is booked. */
  async function create(side, deposit) {
    const marks = pair.sides.map(({ log }) => log.length);
    const made = await side.channel.createContract(creation(deposit), side.own);
    assert.equal(made.accepted, true);
    await other(side).hears('stateChanged', (state) => state === made.signedTx);
    pair.inside[pair.sides.indexOf(side)] -= BigInt(deposit);
    assert.equal(made.address, buildContractId(side.address, side.round));
    await Promise.all(pair.sides.map((each, i) => each.hears('newContract', (id) => id === made.address, marks[i])));
    return made;
  }

  /** `side` calls the contract with coins, the other accepts; the result as both know it. `back` is what the call gave to the caller. */
  async function call(side, amount, back, name, ...args) {
    const { accepted, signedTx } = await side.channel.callContract(calling(amount, name, ...args), side.own);
    assert.equal(accepted, true);
    await other(side).hears('stateChanged', (state) => state === signedTx);
    const moved = BigInt(amount) - back;
    pair.inside[pair.sides.indexOf(side)] -= moved;
    held += moved;
    const of = { caller: side.address, contract, round: side.round };
    const [result, same] = await Promise.all(pair.sides.map(({ channel }) => channel.getContractCall(of)));
    assert.deepEqual(result, same);
    assert.deepEqual([result.callerId, result.contractId, result.callerNonce], [side.address, contract, side.round]);
    await assertInside();
    return { ...result, said: tally.result(name, result.returnValue, result.returnType) };
  }

  async function assertInside() {
    await pair.assertInside();
    const account = encode(decode(contract), Encoding.AccountAddress);
    for (const side of pair.sides) assert.deepEqual(await side.balances([account]), { [account]: String(held) });
  }

  /** Runs what must leave everything as it is. */
  async function changesNothing(action) {
    const before = await Promise.all(pair.sides.map(({ channel }) => channel.state()));
    await action();
    const after = await Promise.all(pair.sides.map(({ channel }) => channel.state()));
    assert.deepEqual(after.map(({ signedTx }) => buildTx(signedTx)), before.map(({ signedTx }) => buildTx(signedTx)));
    await assertInside();
  }

  test('one is made', async () => {
    const { address, signedTx } = await create(initiator, 1000);
    contract = address;
    held = 1000n;
    const update = {
      op: 'OffChainNewContract', owner: initiator.address, vm_version: VM, abi_version: ABI, deposit: 1000,
      code: tally.bytecode, call_data: tally.call('init', 3),
    };
    const [asked] = responder.asked.slice(-1);
    assert.equal(asked.tag, 'update_ack');
    assert.deepEqual(asked.updates, [update]);
    assert.equal(buildTx((await initiator.channel.state()).signedTx), signedTx);
    await assertInside();
  });

  test('the other side makes one, too', async () => {
    const { address } = await create(responder, 100_000_000_000_000);
    for (const { channel } of pair.sides) {
      const { trees } = await channel.state();
      assert.deepEqual(Object.keys(trees.contracts).sort(), [contract, address].sort());
    }
    await assertInside();
  });

  test('is called by both', async () => {
    const first = await call(initiator, 0, 0n, 'add', 4);
    assert.deepEqual([first.returnType, first.said], ['ok', 7n]);
    assert.equal((await call(responder, 0, 0n, 'add', 5)).said, 12n);
    assert.equal((await call(responder, 0, 0n, 'by', initiator.address)).said, 4n);
    assert.equal(responder.asked.at(-1).updates[0].op, 'OffChainCallContract');
  });

  test('shows its events', async () => {
    const { log: [event, ...more] } = await call(responder, 0, 0n, 'add', 1);
    assert.deepEqual(more, []);
    assert.equal(event.address, contract);
    assert.deepEqual(tally.event(event), { Added: [responder.address, 1n] });
  });

  test('takes coins, and gives them back', async () => {
    // Here a deposit is the contract's own.
    assert.equal((await call(responder, 11, 0n, 'keep')).said, 1011n);
    assert.equal((await call(initiator, 0, 400n, 'give_back', 400)).returnType, 'ok');
    assert.equal(held, 611n);
  });

  test('a call that comes to nothing is a round like others', async () => {
    const revert = await call(initiator, 0, 0n, 'add', 0);
    assert.deepEqual([revert.returnType, revert.said], ['revert', 'there must be more']);
    for (const [name, args, reason] of [['share', [0], 'division by zero'], ['never', [], 'Out of gas']]) {
      const { returnType, said } = await call(initiator, 0, 0n, name, ...args);
      assert.equal(returnType, 'error');
      assert.ok(said.includes(reason), said);
    }
    // The coins that went with it come back.
    const paid = await call(responder, 7, 7n, 'add', 2);
    assert.deepEqual([paid.returnType, paid.said.includes('payable')], ['error', true]);
  });

  test('is tried', () => changesNothing(async () => {
    for (const { channel, address } of pair.sides) {
      const result = await channel.callContractStatic(calling(0, 'add', 100));
      assert.deepEqual([result.returnType, tally.result('add', result.returnValue)], ['ok', 113n]);
      assert.deepEqual([result.callerId, result.contractId], [address, contract]);
      const { returnValue } = await channel.callContractStatic(calling(0, 'count'));
      assert.equal(tally.result('count', returnValue), 13n);
    }
  }));

  const ACTIONS = {
    'a contract': (side, sign) => side.channel.createContract(creation(10), sign),
    'a call': (side, sign) => side.channel.callContract(calling(0, 'add', 1), sign),
  };
  for (const [what, act] of Object.entries(ACTIONS)) {
    for (const [how, answer, errors] of [
      ['', null, { errorCode: 1 }], [' with a code', 12_345, { errorCode: 12_345, errorMessage: 'user-defined' }],
    ]) {
      test(`${what} is declined${how}`, () => changesNothing(async () => {
        const usual = responder.answer;
        responder.answer = async () => answer;
        const outcome = await act(initiator, initiator.own);
        responder.answer = usual;
        assert.equal(outcome.accepted, false);
        for (const [name, value] of Object.entries(errors)) assert.equal(outcome[name], value);
      }));
    }

    test(`the proposer of ${what} thinks better of it`, () => changesNothing(async () => {
      assert.deepEqual(await act(initiator, async () => 12_345), { accepted: false });
    }));
  }

  test('what cannot be is refused', () => changesNothing(async () => {
    const nowhere = 'ct_6y3N9KqQb74QsvR9NrESyhWeLNiA9aJgJ7ua8CvsTuGot6uzh';
    const { channel, own } = initiator;
    const asBytes = (bytes) => encode(bytes, Encoding.ContractBytearray);
    // docs/protocol/ws_api §10; without a number of their own where the reference breaks down.
    const creations = [
      ['half of the code', { code: asBytes(decode(tally.bytecode).subarray(0, 100)) }, -32603],
      ['a machine that nobody has', { vmVersion: 77 }, -32603],
      ['a call of another function', { callData: tally.call('count') }, 1007],
      ['no call', { callData: asBytes(Buffer.from('nothing')) }, 1007],
      ['a deposit over the balance', { deposit: 999e18 }, 1001],
    ];
    const calls = [
      ['a contract that is not there', { contract: nowhere }, 100],
      ['another convention', { abiVersion: 1 }, 1019],
      ['coins over the balance', { amount: 999e18 }, 1001],
    ];
    const saying = (code) => ({ wsMessage }) => {
      assert.deepEqual(wsMessage.error.data.map((reason) => reason.code), [code]);
      return true;
    };
    for (const [name, wrong, code] of creations) {
      await assert.rejects(channel.createContract(creation(10, wrong), own), saying(code), name);
    }
    for (const [name, wrong, code] of calls) {
      const request = { ...calling(0, 'add', 1), ...wrong };
      await assert.rejects(channel.callContract(request, own), saying(code), name);
      await assert.rejects(channel.callContractStatic(request), ChannelCallError, name);
    }
    const { address: stranger } = MemoryAccount.generate();
    await assert.rejects(channel.getContractCall({ caller: stranger, contract, round: initiator.round }), ChannelCallError);
    initiator.assertUntroubled();
  }));

  test('arguments that do not fit are an error of the call', async () => {
    const other = new Compiled('Authority');
    for (const [callData, reason] of [
      [other.call('used'), 'Trying to call undefined function'],
      [other.call('init', initiator.address), 'Trying to call'],
    ]) {
      const { accepted } = await initiator.channel.callContract({ ...calling(0, 'count'), callData }, initiator.own);
      assert.equal(accepted, true);
      const of = { caller: initiator.address, contract, round: initiator.round };
      const { returnType, returnValue } = await initiator.channel.getContractCall(of);
      assert.equal(returnType, 'error');
      assert.ok(decode(returnValue).toString().includes(reason), decode(returnValue).toString());
    }
  });

  test('is read', async () => {
    for (const { channel } of pair.sides) {
      const { contract: shown, contractState } = await channel.getContractState(contract);
      assert.deepEqual(shown, {
        id: contract, ownerId: initiator.address, vmVersion: VM, abiVersion: ABI, active: true, deposit: 1000, referrerIds: [],
      });
      assert.ok(Object.keys(contractState).length > 0);
      for (const [key, value] of Object.entries(contractState)) assert.match(`${key} ${value}`, /^ck_\S+ cv_\S+$/);
    }
  });

  test('is proved', async () => {
    const account = encode(decode(contract), Encoding.AccountAddress);
    for (const { channel } of pair.sides) {
      const proof = await channel.poi({ accounts: [...pair.addresses, account], contracts: [contract] });
      assert.equal(proof.accounts[0].get(account).balance, String(held));
      assert.equal(proof.contracts[0].get(contract).owner, initiator.address);
    }
  });

  test('its calls are forgotten', async () => {
    const { said } = await call(responder, 0, 0n, 'count');
    assert.equal(said, 13n);
    const of = { caller: responder.address, contract, round: responder.round };
    for (const { channel } of pair.sides) {
      await channel.getContractCall(of);
      await channel.cleanContractCalls();
      await assert.rejects(channel.getContractCall(of), ChannelCallError);
    }
    // What was forgotten by one or both changes nothing for the next round.
    assert.equal((await call(initiator, 0, 0n, 'add', 2)).said, 15n);
    await pair.pay(responder, 5);
    await assertInside();
  });

  test('is left behind when the channel closes', async () => {
    const closed = await initiator.channel.shutdown(initiator.own);
    const { initiatorAmountFinal, responderAmountFinal } = unpackTx(closed, Tag.SignedTx).encodedTx;
    const fee = checkedFee(initiator.asked.at(-1).tx);
    const shares = [pair.inside[0] - (fee + 1n) / 2n, pair.inside[1] - fee / 2n];
    assert.deepEqual([initiatorAmountFinal, responderAmountFinal], shares.map(String));
    await Promise.all(pair.sides.map((side) => side.reaches('disconnected')));
    pair.onChain = pair.onChain.map((coins, i) => coins + shares[i]);
    await pair.assertOnChain();
    pair.assertUntroubled();
  });
});

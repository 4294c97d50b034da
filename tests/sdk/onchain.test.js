// Contracts on chain, as the SDK deploys and calls them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Contract, DryRunError, NodeInvocationError, Tag, unpackTx } from '@aeternity/aepp-sdk';
import { DevChain, FUNDS } from './chain.js';
import { Compiled } from './compiled.js';
import { startService } from './service.js';

/** None takes long; an answer that does not come must not hold up the others. */
const LIMIT = { timeout: 15_000 };
const test = (name, run) => it(name, LIMIT, run);

describe('a contract on chain', () => {
  const tally = new Compiled('Tally');
  let service;
  let chain;
  let owner;
  let contract;
  /** What the owner should have. */
  let coins = FUNDS;

  before(async () => {
    service = await startService();
    chain = new DevChain(service);
    owner = await chain.newAccount();
    contract = await at(owner);
  });

  after(() => service?.stop());

  /** The contract in the hands of `account`; of nobody where there is none. */
  function at(account, address) {
    const { bytecode, aci } = tally;
    const context = { onNode: chain.node, ...(account && { onAccount: account }) };
    return Contract.initialize({ ...context, aci, ...(address ? { address } : { bytecode }) });
  }

  /** What a call cost its caller, without the amount that went with it. */
  async function cost({ hash, rawTx }) {
    const { callInfo } = await chain.node.getTransactionInfoByHash(hash);
    const { fee, gasPrice } = unpackTx(rawTx).encodedTx;
    assert.equal(String(callInfo.gasPrice), gasPrice);
    return BigInt(fee) + BigInt(callInfo.gasUsed) * BigInt(gasPrice);
  }

  async function assertCoins() {
    assert.equal(await chain.balance(owner.address), coins);
  }

  test('is deployed', async () => {
    const deployed = await contract.$deploy([3]);
    const { address, transaction } = deployed;
    coins -= await cost({ hash: transaction, rawTx: deployed.rawTx });
    await assertCoins();
    const { id, ownerId, vmVersion, abiVersion, deposit } = await chain.node.getContract(address);
    const shown = [id, ownerId, vmVersion, abiVersion, deposit].map(String);
    assert.deepEqual(shown, [address, owner.address, '8', '3', '0']);
    assert.deepEqual({ ...await chain.node.getContractCode(address) }, { bytecode: tally.bytecode });
    const { poi } = await chain.node.getContractPoI(address);
    assert.match(poi, /^pi_/);
  });

  test('is read without a transaction', async () => {
    const { decodedResult, result } = await contract.$call('count', [], { callStatic: true });
    assert.equal(decodedResult, 3n);
    assert.deepEqual([result.callerId, result.contractId], [owner.address, contract.$options.address]);
    // The SDK asks as nobody where it has no account.
    const nobody = await at(undefined, contract.$options.address);
    assert.equal((await nobody.$call('count', [], { callStatic: true })).decodedResult, 3n);
    await assertCoins();
  });

  test('is called, and its event is read', async () => {
    const called = await contract.$call('add', [4]);
    assert.equal(called.decodedResult, 7n);
    coins -= await cost(called);
    await assertCoins();
    const [event, ...more] = called.decodedEvents;
    assert.deepEqual([event.name, event.args, more], ['Added', [owner.address, 4n], []]);
    assert.equal((await contract.$call('by', [owner.address], { callStatic: true })).decodedResult, 4n);
  });

  test('was another one before', async () => {
    const { txData: { blockHash } } = await contract.$call('add', [1]);
    const { prevHash } = await chain.node.getMicroBlockHeaderByHash(blockHash);
    const count = (top) => contract.$call('count', [], { callStatic: true, top });
    assert.equal((await count(prevHash)).decodedResult, 7n);
    assert.equal((await count(blockHash)).decodedResult, 8n);
    coins = await chain.balance(owner.address);
  });

  test('takes coins, and gives them back', async () => {
    const kept = await contract.$call('keep', [], { amount: 11 });
    assert.equal(kept.decodedResult, 11n);
    coins -= 11n + await cost(kept);
    const given = await contract.$call('give_back', [5]);
    coins += 5n - await cost(given);
    await assertCoins();
    assert.equal(await chain.balance(contract.$options.address.replace('ct_', 'ak_')), 6n);
  });

  test('takes everything back where it says no', async () => {
    const says = (why) => why instanceof NodeInvocationError && why.message.includes('there must be more');
    await assert.rejects(contract.$call('add', [0], { callStatic: true }), says);
    // Without a limit the SDK tries it first.
    await assert.rejects(contract.$call('add', [0]), says);
    await assertCoins();
    await assert.rejects(contract.$call('add', [0], { gasLimit: 20_000 }), says);
    coins = await chain.balance(owner.address);
    // Once more, by a transaction of which is known what it cost.
    const call = { callerId: owner.address, contractId: contract.$options.address, callData: tally.call('add', 0) };
    const tx = await chain.sdk.buildTx({ tag: Tag.ContractCallTx, ...call, gasLimit: 20_000 });
    coins -= await cost(await chain.sdk.sendTransaction(tx, { onAccount: owner }));
    await assertCoins();
    assert.equal((await contract.$call('count', [], { callStatic: true })).decodedResult, 8n);
  });

  test('fails, and it is known why only where it was tried', async () => {
    for (const [name, args, reason] of [['share', [0], 'division by zero'], ['never', [], 'Out of gas']]) {
      const says = (why) => why instanceof NodeInvocationError && why.message.includes(reason);
      await assert.rejects(contract.$call(name, args, { callStatic: true }), says, name);
    }
    const before = await chain.balance(owner.address);
    const failed = (why) => why instanceof NodeInvocationError && why.message === 'Invocation failed: ""';
    await assert.rejects(contract.$call('share', [0], { callStatic: false, gasLimit: 20_000, gasPrice: 1e9 }), failed);
    // All of the gas, and the fee.
    const paid = before - await chain.balance(owner.address);
    assert.ok(paid > 20_000n * 1_000_000_000n, paid);
  });

  test('is not called by who cannot pay', async () => {
    const call = contract.$call('keep', [], { callStatic: true, amount: 10n ** 37n });
    await assert.rejects(call, (why) => why instanceof DryRunError && why.message.includes('insufficient_funds'));
  });
});

// A generalized account: attached by the SDK, and acting by meta transactions.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  AccountGeneralized, Contract, MemoryAccount, Tag, buildAuthTxHash, createGeneralizedAccount, decode, unpackTx,
} from '@aeternity/aepp-sdk';
import { DevChain, FUNDS } from './chain.js';
import { Compiled } from './compiled.js';
import { startService } from './service.js';

const LIMIT = { timeout: 15_000 };
const test = (name, run) => it(name, LIMIT, run);

/** The SDK asks for one, and has no use for it where the code is there. */
const NO_COMPILER = {};

const FEE = 300_000_000_000_000n;
const GAS_PRICE = 1_000_000_000n;
const GAS = 40_000;

describe('a generalized account', () => {
  const { bytecode, aci, call } = (() => {
    const authority = new Compiled('Authority');
    return { ...authority, call: authority.call.bind(authority) };
  })();
  const key = MemoryAccount.generate();
  let service;
  let chain;
  let account;
  let coins = FUNDS;

  before(async () => {
    service = await startService();
    chain = new DevChain(service);
  });

  after(() => service?.stop());

  /** Has the key authorize a transaction as the `number`-th. */
  async function authorized(tx, number) {
    const txHash = await buildAuthTxHash(tx, { fee: FEE, gasPrice: GAS_PRICE, onNode: chain.node });
    const place = Buffer.alloc(8);
    place.writeBigUInt64BE(BigInt(number));
    const signature = await key.unsafeSign(Buffer.concat([txHash, place]));
    return { callData: call('authorize', number, signature), fee: FEE, gasPrice: GAS_PRICE, gasLimit: GAS };
  }

  function acting(number) {
    return { onAccount: account, onCompiler: NO_COMPILER, authData: (tx) => authorized(tx, number) };
  }

  async function assertCoins() {
    assert.equal(await chain.balance(account.address), coins);
  }

  /** What the authentication of a transaction cost. */
  async function cost(hash) {
    const { gaInfo } = await chain.node.getTransactionInfoByHash(hash);
    assert.deepEqual([gaInfo.callerId, gaInfo.returnType], [account.address, 'ok']);
    return { gaInfo, paid: FEE + BigInt(gaInfo.gasUsed) * GAS_PRICE };
  }

  test('is attached to its contract', async () => {
    const basic = await chain.newAccount();
    const options = { onAccount: basic, onNode: chain.node, onCompiler: NO_COMPILER, bytecode, aci };
    const attached = await createGeneralizedAccount('authorize', [key.address], options);
    account = new AccountGeneralized(basic.address);
    const { kind, authFun, contractId, nonce } = await chain.node.getAccountByPubkey(basic.address);
    const expected = ['generalized', 'authorize', attached.gaContractId, 1];
    assert.deepEqual([kind, authFun, contractId, Number(nonce)], expected);
    const { callInfo } = await chain.node.getTransactionInfoByHash(attached.transaction);
    assert.equal(callInfo.returnType, 'ok');
    const { fee, gasPrice } = unpackTx(attached.rawTx).encodedTx;
    coins -= BigInt(fee) + BigInt(callInfo.gasUsed) * BigInt(gasPrice);
    await assertCoins();
  });

  test('pays by what its contract authorizes', async () => {
    const { address } = MemoryAccount.generate();
    const { hash, rawTx } = await chain.sdk.spend(12_345, address, acting(1));
    const meta = unpackTx(rawTx).encodedTx;
    assert.deepEqual([meta.tag, meta.gaId], [Tag.GaMetaTx, account.address]);
    const { gaInfo, paid } = await cost(hash);
    assert.deepEqual({ ...gaInfo.innerObject }, { txInfo: 'spend_tx' });
    coins -= 12_345n + paid + BigInt(meta.tx.encodedTx.fee);
    await assertCoins();
    assert.equal(await chain.balance(address), 12_345n);
  });

  test('does not pay twice by the same words', async () => {
    const { address } = MemoryAccount.generate();
    const { rawTx } = await chain.sdk.spend(1, address, acting(2));
    await assert.rejects(chain.node.postTransaction({ tx: rawTx }), /already_accepted/);
    // Words for a number that is past: the pool takes it, and no block does.
    const { hash } = await chain.sdk.spend(100, address, { ...acting(2), waitMined: false });
    await chain.sdk.spend(1, address, acting(3));
    assert.equal((await chain.node.getTransactionByHash(hash)).blockHeight, -1);
    assert.equal(await chain.balance(address), 2n);
    assert.equal((await chain.node.getAccountNextNonce(account.address)).nextNonce, 0);
  });

  test('calls a contract', async () => {
    const tally = new Compiled('Tally');
    const options = { onNode: chain.node, aci: tally.aci };
    const maker = await Contract.initialize({ ...options, bytecode: tally.bytecode, onAccount: await chain.newAccount() });
    const { address } = await maker.$deploy([3]);
    const contract = await Contract.initialize({ ...options, address, onAccount: account });
    // Nobody is asked to authorize what is only tried.
    assert.equal((await contract.$call('add', [4], { callStatic: true })).decodedResult, 7n);
    const tx = await chain.sdk.buildTx({
      tag: Tag.ContractCallTx, callerId: account.address, contractId: address, callData: tally.call('add', 4), gasLimit: 10_000,
    });
    const { hash } = await chain.sdk.sendTransaction(tx, acting(4));
    const { gaInfo: { innerObject: { callInfo } } } = await cost(hash);
    assert.deepEqual([callInfo.returnType, tally.result('add', callInfo.returnValue)], ['ok', 7n]);
    assert.equal((await contract.$call('count', [], { callStatic: true })).decodedResult, 7n);
  });
});

// Accounts and coins, by way of the node's HTTP interface.

import assert from 'node:assert/strict';
import { AeSdk, MemoryAccount, Node, Tag, decode, unpackTx } from '@aeternity/aepp-sdk';

/** What every account of a test is given. */
export const FUNDS = 3_000_000_000_000_000n;

/** The chain of a service, with the prefunded account as the one that pays where no other is named. */
export class DevChain {
  constructor(service) {
    // By itself the SDK asks four times, with pauses, for what is not there.
    this.node = new Node(service.nodeUrl, { retryCount: 0 });
    this.sdk = new AeSdk({
      nodes: [{ name: 'dev', instance: this.node }],
      accounts: [new MemoryAccount(service.funder)],
    });
  }

  /** A new account with `FUNDS` coins. */
  async newAccount() {
    const account = MemoryAccount.generate();
    await this.sdk.spend(FUNDS.toString(), account.address);
    return account;
  }

  /** Two of them, one after the other: who funds them can use each nonce once. */
  async newPair() {
    return [await this.newAccount(), await this.newAccount()];
  }

  async balance(address) {
    return BigInt(await this.sdk.getBalance(address));
  }

  /** Builds a transaction, signs it by `account`, waits until it is in a block; gives its fee and the height. */
  async send(account, fields) {
    const tx = await this.sdk.buildTx(fields);
    const { blockHeight } = await this.sdk.sendTransaction(tx, { onAccount: account });
    return { fee: BigInt(unpackTx(tx, fields.tag).fee), height: blockHeight };
  }

  channel(id) {
    return this.node.getChannelByPubkey(id);
  }

  /** Asserts that the chain knows no such channel any more. */
  async assertClosed(id) {
    await assert.rejects(this.channel(id), /Channel not found/);
  }
}

/**
 * The fee of a transaction that the service built, after checking it: 15000 gas and 20 for each byte of the unsigned transaction,
 * at a price of 10^9 (docs/protocol/channel_txs §5).
 */
export function checkedFee(tx) {
  const unsigned = decode(tx);
  const { fee, tag } = unpackTx(tx);
  assert.equal(BigInt(fee), (15_000n + 20n * BigInt(unsigned.length)) * 1_000_000_000n, `fee of a ${Tag[tag]}`);
  return BigInt(fee);
}

// Two parties, their channel, and the test's own books of what they should have.

import assert from 'node:assert/strict';
import { FUNDS, checkedFee } from './chain.js';
import { TERMS, openChannel, propose } from './side.js';

export class Pair {
  /** Two new accounts in the `world` of a service and its chain; what they have on chain and in the channel, the initiator first. */
  static async create({ service, chain }) {
    const pair = new Pair();
    const accounts = await chain.newPair();
    return Object.assign(pair, { service, chain, accounts, onChain: [FUNDS, FUNDS], inside: [0n, 0n] });
  }

  /** The two sides of the channel, the initiator first. */
  get sides() {
    return [this.initiator, this.responder];
  }

  get addresses() {
    return this.accounts.map(({ address }) => address);
  }

  /** Opens the channel, and books what goes into it. */
  async open() {
    [this.initiator, this.responder] = await openChannel(this.service, ...this.accounts);
    const { initiatorAmount, responderAmount, pushAmount } = TERMS;
    this.onChain[0] -= BigInt(initiatorAmount) + checkedFee(this.initiator.asked[0].tx);
    this.onChain[1] -= BigInt(responderAmount);
    this.inside = [BigInt(initiatorAmount - pushAmount), BigInt(responderAmount + pushAmount)];
  }

  /** `payer` pays, the other accepts, and it is booked; gives the transaction that both have signed. */
  async pay(payer, amount, meta) {
    const from = this.sides.indexOf(payer);
    const { accepted, signedTx } = await propose(payer, this.sides[1 - from], amount, meta);
    assert.equal(accepted, true);
    this.inside[from] -= BigInt(amount);
    this.inside[1 - from] += BigInt(amount);
    return signedTx;
  }

  /** Sends a transaction of `side` about the channel to the chain, and books its fee; gives the height of its block. */
  async send(side, fields) {
    const { fee, height } = await this.chain.send(side.account, { channelId: side.id, fromId: side.address, ...fields });
    this.onChain[this.sides.indexOf(side)] -= fee;
    return height;
  }

  /** Asserts what the parties have on chain, to the coin. */
  async assertOnChain() {
    const balances = await Promise.all(this.addresses.map((address) => this.chain.balance(address)));
    assert.deepEqual(balances, this.onChain);
  }

  /** Asserts what both services say that the parties have in the channel. */
  async assertInside() {
    const expected = Object.fromEntries(this.addresses.map((address, i) => [address, String(this.inside[i])]));
    for (const side of this.sides) assert.deepEqual(await side.balances(this.addresses), expected);
  }

  /** Asserts that the SDK understood everything that either side was told. */
  assertUntroubled() {
    for (const side of this.sides) side.assertUntroubled();
  }
}

// One side of a channel: its account, its SDK channel, and all that this has said.

import assert from 'node:assert/strict';
import { Channel } from '@aeternity/aepp-sdk';

const NETWORK = 'ae_dev';

const EVENTS = [
  'statusChanged', 'stateChanged', 'depositLocked', 'ownDepositLocked', 'withdrawLocked', 'ownWithdrawLocked',
  'peerDisconnected', 'channelReestablished', 'error', 'onChainTx', 'message', 'newContract',
];

/** What both sides of every channel agree on. */
export const TERMS = {
  pushAmount: 10_000_000_000_000,
  initiatorAmount: 500_000_000_000_000,
  responderAmount: 500_000_000_000_000,
  channelReserve: 0,
  lockPeriod: 1,
  minimumDepth: 0,
  minimumDepthStrategy: 'plain',
};

export class Side {
  /** All events of the SDK, and each `frame` before the SDK takes it, oldest first: `{ event, args }`. */
  log = [];

  /**
   * All transactions that were to be signed, oldest first: `{ tag, tx, updates }`; `tag` is null for an own action, amounts of
   * updates are text.
   */
  asked = [];

  /** What is answered to the other side's proposals: the signed transaction, unless a test says otherwise. */
  answer = (tag, tx) => this.signed(tx);

  #waiting = new Set();

  constructor(account, options) {
    this.account = account;
    this.options = { ...options, sign: (tag, tx, more) => this.#ask(tag, tx, more) };
  }

  get address() {
    return this.account.address;
  }

  get round() {
    return this.channel.round();
  }

  /**
   * Connects by the options that it was made with, and `more`. As `Channel.initialize` does, which gives the channel away too late to
   * hear what the service says at once.
   */
  async connect(more = {}) {
    this.channel = new Channel();
    for (const event of EVENTS) {
      this.channel.on(event, (...args) => this.#note({ event, args }));
    }
    const connected = Channel._initialize(this.channel, { ...this.options, ...more });
    const socket = this.channel._websocket;
    const take = socket.onmessage;
    socket.onmessage = (message) => {
      this.#note({ event: 'frame', args: [JSON.parse(message.data)] });
      take(message);
    };
    await connected;
    return this;
  }

  /** A new connection of the same party, for a channel that exists. */
  return(more) {
    const ids = { existingChannelId: this.id, existingFsmId: this.channel.fsmId() };
    const side = new Side(this.account, this.options);
    side.id = this.id;
    return side.connect({ ...ids, ...more });
  }

  /** What the SDK's actions are given to sign with. */
  own = (tx, more) => {
    this.#noteAsked(null, tx, more);
    return this.signed(tx);
  };

  signed(tx) {
    return this.account.signTransaction(tx, { networkId: NETWORK });
  }

  /** The arguments of the first event of this kind, from the `from`-th entry of the log on, that has come or will come. */
  hears(event, accepts = () => true, from = 0) {
    const find = () => this.log.slice(from).find((entry) => entry.event === event && accepts(...entry.args));
    const found = find();
    if (found) return Promise.resolve(found.args);
    return new Promise((resolve) => {
      const look = () => {
        const entry = find();
        if (!entry) return;
        this.#waiting.delete(look);
        resolve(entry.args);
      };
      this.#waiting.add(look);
    });
  }

  reaches(status) {
    return this.hears('statusChanged', (reached) => reached === status);
  }

  hearsOnChain(info, from = 0) {
    return this.hears('onChainTx', (_tx, details) => details.info === info, from);
  }

  /** What the service says of the balances in the channel, as text: the SDK reads large numbers as objects, small ones as numbers. */
  async balances(addresses) {
    const balances = await this.channel.balances(addresses);
    return Object.fromEntries(Object.entries(balances).map(([address, coins]) => [address, String(coins)]));
  }

  /** Asserts that the SDK understood everything. */
  assertUntroubled() {
    const troubles = this.log.filter(({ event }) => event === 'error').map(({ args: [why] }) => why);
    const text = troubles.map((why) => `${why} ${why.handlerError ?? ''} ${JSON.stringify(why.incomingMessage)}`);
    assert.deepEqual(text, []);
  }

  async disconnect() {
    this.channel.disconnect();
    await this.reaches('disconnected');
  }

  #ask(tag, tx, more) {
    this.#noteAsked(tag, tx, more);
    return this.answer(tag, tx, more);
  }

  #noteAsked(tag, tx, more) {
    const plain = ({ amount, ...rest }) => (amount === undefined ? rest : { ...rest, amount: String(amount) });
    this.asked.push({ tag, tx, updates: more?.updates?.map(plain) });
  }

  #note(entry) {
    this.log.push(entry);
    for (const look of [...this.#waiting]) look();
  }
}

/** Opens a channel between two accounts: its initiator and its responder, both open. */
export async function openChannel(service, initiatorAccount, responderAccount, terms = {}) {
  const shared = {
    ...TERMS,
    ...terms,
    url: service.channelUrl,
    port: service.peerPort,
    initiatorId: initiatorAccount.address,
    responderId: responderAccount.address,
  };
  const responder = await new Side(responderAccount, { ...shared, role: 'responder' }).connect();
  const initiator = await new Side(initiatorAccount, { ...shared, role: 'initiator', host: '127.0.0.1' }).connect();
  const sides = [initiator, responder];
  await Promise.all(sides.map((side) => side.reaches('open')));
  for (const side of sides) side.id = side.channel.id();
  return sides;
}

/** `payer` proposes to move coins to `payee`, who is asked. If that is accepted, both know the new round afterwards. */
export async function propose(payer, payee, amount, meta = []) {
  const outcome = await payer.channel.update(payer.address, payee.address, amount, payer.own, meta);
  if (outcome.accepted) await payee.hears('stateChanged', (state) => state === outcome.signedTx);
  return outcome;
}

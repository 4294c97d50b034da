// The whole life of channels, twice in a row against one service.

import { after, before, describe } from 'node:test';
import { DevChain } from './chain.js';
import { disputes } from './disputes.js';
import { channelLife } from './life.js';
import { startService } from './service.js';

describe('against one service', () => {
  const world = {};

  before(async () => {
    world.service = await startService();
    world.chain = new DevChain(world.service);
  });

  after(() => world.service?.stop());

  for (const [time, closer] of [['first', 'initiator'], ['second', 'responder']]) {
    // Both lives together must take less than a minute.
    describe(`a life, the ${time} time`, { timeout: 30_000 }, () => {
      describe('a channel', () => channelLife(world, closer));
      describe('disputes', () => disputes(world));
    });
  }
});

// The code in `contracts` is committed as the compiler made it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, hash } from '@aeternity/aepp-sdk';
import { Compiled } from './compiled.js';

for (const name of ['Tally', 'Authority']) {
  test(`the code of ${name} is that of its source`, () => {
    const { bytecode, compiler, source } = new Compiled(name);
    const code = decode(bytecode);
    // A container begins with the hash of the source, and ends with the compiler's version and a flag (docs/protocol/contracts §2.2).
    assert.ok(code.subarray(0, 40).includes(hash(source)));
    assert.equal(`Sophia ${code.subarray(-6, -1)}`, compiler);
  });
}

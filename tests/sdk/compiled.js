// The contracts in `contracts`: their compiled code, and how calls of them are written and read.

import { readFileSync } from 'node:fs';
import { AciContractCallEncoder } from '@aeternity/aepp-calldata';

export class Compiled {
  #encoder;

  constructor(name) {
    const read = (file) => readFileSync(new URL(`contracts/${file}`, import.meta.url), 'utf8');
    const { source, compiler, bytecode, aci } = JSON.parse(read(`${name}.json`));
    Object.assign(this, { name, compiler, bytecode, aci, source: read(source) });
    this.#encoder = new AciContractCallEncoder(aci);
  }

  /** The call data of a function. */
  call(name, ...args) {
    return this.#encoder.encodeCall(this.name, name, args);
  }

  /** What a function gave back; of a call that did not end well, its text. */
  result(name, value, kind = 'ok') {
    return this.#encoder.decodeResult(this.name, name, value, kind);
  }

  /** An event of a call, its arguments by their places. */
  event({ data, topics }) {
    return this.#encoder.decodeEvent(this.name, data, topics.map(BigInt));
  }
}

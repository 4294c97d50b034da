// Compiles the contracts of this folder with the compiler that the SDK carries, which needs `escript` (Debian: erlang-base). The
// results are committed: only who changes a contract needs to run this, by `npm run compile`.

import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const COMPILER = fileURLToPath(new URL('../node_modules/@aeternity/aepp-sdk/bin/aesophia_cli', import.meta.url));

const compiler = (...args) => execFileSync('escript', [COMPILER, ...args], { cwd: HERE, encoding: 'utf8' }).trim();

for (const source of readdirSync(HERE).filter((file) => file.endsWith('.aes'))) {
  const artifact = {
    source,
    compiler: compiler('--version').replace('Sophia compiler version ', 'Sophia '),
    bytecode: compiler(source),
    aci: JSON.parse(compiler(source, '--create_json_aci')),
  };
  writeFileSync(`${HERE}${source.replace('.aes', '.json')}`, `${JSON.stringify(artifact, null, 2)}\n`);
}

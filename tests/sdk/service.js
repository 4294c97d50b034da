// A `strait dev` of the tests' own, on ports that the system chooses.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const SETTINGS = {
  STRAIT_CHANNEL_ADDR: '127.0.0.1:0',
  STRAIT_NODE_ADDR: '127.0.0.1:0',
  STRAIT_OPERATOR_ADDR: '127.0.0.1:0',
  STRAIT_DURABILITY: 'process',
  STRAIT_LOG: 'warn',
};

/** In milliseconds: the program may have to be built first. */
const GREETING_WITHIN = 600_000;

/** The program named by STRAIT_BIN, or what cargo builds from this checkout. */
function command() {
  const program = process.env.STRAIT_BIN;
  if (program) return [program, ['dev']];
  return ['cargo', ['run', '--quiet', '--locked', '--package', 'strait-service', '--', 'dev']];
}

/**
 * Starts a service and waits until it says where it listens.
 * @returns {Promise<{channelUrl: string, nodeUrl: string, peerPort: number, funder: string, stop: () => Promise<void>}>}
 *   `funder` is the secret key of the first prefunded account.
 */
export async function startService() {
  const [program, args] = command();
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...SETTINGS },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const greeting = await greetingOf(child);
  // Whatever is printed later must not fill the pipe.
  child.stdout.removeAllListeners('data').resume();
  return {
    ...greeting,
    peerPort: await freePort(),
    async stop() {
      process.off('exit', kill);
      if (child.exitCode !== null) throw new Error(`the service ended before its time, with ${child.exitCode}`);
      const exit = once(child, 'exit');
      child.kill('SIGINT');
      const [code] = await exit;
      if (code !== 0) throw new Error(`the service ended with ${code}`);
    },
  };
}

function greetingOf(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const channelUrl = /^channels +(ws:\S+)\n/m.exec(text)?.[1];
      const nodeUrl = /^node +(http:\S+)\n/m.exec(text)?.[1];
      const funder = /^ +ak_\S+ +(sk_\S+) +\d+\n/m.exec(text)?.[1];
      if (channelUrl && nodeUrl && funder) resolve({ channelUrl, nodeUrl, funder });
    });
    const late = () => reject(new Error(`the service did not say where it listens, but: ${text}`));
    setTimeout(late, GREETING_WITHIN).unref();
    child.once('error', (why) => reject(new Error(`the service cannot be started: ${why.message}`)));
    child.once('exit', (code) => reject(new Error(`the service ended with ${code} and said: ${text}`)));
  });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

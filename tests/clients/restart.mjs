// graphql-ws as it is installed, which connects again by itself, over a stop of the program and a new start. Arguments: the program. Prints
// as one line of JSON with which codes its connections were closed and which texts came, each time they came.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const [program] = process.argv.slice(2);
const folder = await mkdtemp(path.join(tmpdir(), 'clientele-restart-'));
let child;
let port;

async function begin() {
  child = spawn(program, ['demo', '--quiet', '--customers=1', '--addr=127.0.0.1:0', '--data', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    port = Number(/^ready http:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1]);
    if (port) break;
  }
  if (!port) throw new Error('the program ended before it served');
  child.stdout.resume();
}

async function stop() {
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const [code] = await gone;
  if (code !== 0) throw new Error(`the program ended by ${code}`);
}

process.once('exit', () => child?.kill('SIGKILL'));
await begin();

// What stays at one address, as a proxy before the nodes does.
const proxy = net.createServer((client) => {
  const server = net.connect(port, '127.0.0.1');
  for (const [one, other] of [[client, server], [server, client]]) {
    one.on('error', () => other.destroy());
    one.pipe(other);
  }
}).listen(0, '127.0.0.1');
await once(proxy, 'listening');

const token = async (name) => `Bearer ${(await readFile(path.join(folder, 'tokens', `${name}.jwt`), 'utf8')).trim()}`;

async function ask(name, query, variables) {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: await token(name) }, body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const { viewer } = await ask('advisor-1', '{ viewer { advisor { qrCode { scene } } } }');
await ask('admin', 'mutation($s: Identifier!) { simulateFollow(input: {openid: "restart", scene: $s}) { customer { id } } }', { s: viewer.advisor.qrCode.scene });
const write = (text) => ask('admin', 'mutation($t: String!) { simulateMessage(input: {openid: "restart", text: $t}) { customer { id } } }', { t: text });

const codes = [];
const texts = [];
let told = () => {};
let comeBack;
const mayComeBack = new Promise((resolve) => { comeBack = resolve; });
const client = createClient({
  url: `ws://127.0.0.1:${proxy.address().port}/graphql`, webSocketImpl: WebSocket, connectionParams: async () => ({ Authorization: await token('advisor-1') }),
  retryWait: () => mayComeBack,
  on: { closed: ({ code }) => codes.push(code) },
});
// It sends this object again whenever it is back: with the last cursor, then.
const variables = { after: (await ask('advisor-1', '{ eventCursor }')).eventCursor };
const failed = new Promise((_, reject) => {
  client.subscribe(
    { query: 'subscription($after: String) { messages(after: $after) { ... on MessageReceived { message { content { ... on TextContent { text } } } } } }', variables },
    {
      next: ({ data, errors, extensions }) => {
        if (errors) reject(new Error(JSON.stringify(errors)));
        variables.after = extensions.cursor;
        texts.push(data.messages.message.content.text);
        told();
      },
      error: (error) => reject(new Error(`the subscription ended: ${JSON.stringify(error.code ?? error)}`)),
      complete: () => reject(new Error('the subscription ended')),
    },
  );
});
async function came(text) {
  while (!texts.includes(text)) await Promise.race([failed, new Promise((resolve) => { told = resolve; })]);
}

await write('before');
await came('before');
await stop();
await begin();
await write('while it was away');
comeBack();
await came('while it was away');
await write('after');
await came('after');
failed.catch(() => {});
const closed = [...codes]; // what ends it now is no concern
await client.dispose();
await stop();
proxy.close();
await rm(folder, { recursive: true, force: true });
console.log(JSON.stringify({ codes: closed, texts }));
process.exit(0);

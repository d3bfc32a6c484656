import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { Client, Refused, type MessageEvent } from '../src/client.js';
import { ANSWER, INBOX } from '../src/operations.js';
import { ADVISORS_CODE, FOLLOW, ISSUE, REVOKE, WRITE } from './operations.js';
import { App, Proxy, Server } from './server.js';

/** How often the follower writes while the connection is cut so many times. */
const WRITES = 60;
const CUTS = 5;
/** Bytes of the server between two cuts: a few events and a part of one. */
const BYTES = 2_345;
const TIMEOUT = 60_000;
const OPENID = 'oExampleFollower';

let server: Server;
let proxy: Proxy;
let advisorId: string;

/** The merchant's system and the advisor's app, each with a token of the demo and past the proxy: who asks is not who is cut off. */
const merchant = (): Client => new Client({ url: server.url, token: () => server.token('admin') });
const advisor = (): Client => new Client({ url: server.url, token: () => server.token('advisor-1') });

/** The advisor's app behind the proxy, which comes back at once. */
const app = (onBreak: (why: unknown) => void, token = () => server.token('advisor-1')): Client =>
  new Client({ url: proxy.url, token: async () => token(), pause: () => 5, onBreak });

const write = (text: string): Promise<unknown> => merchant().ask(WRITE, { input: { openid: OPENID, text } });

async function cursor(): Promise<string> {
  const { eventCursor } = await advisor().ask(INBOX, {});
  assert.ok(eventCursor);
  return eventCursor;
}

async function next(events: AsyncGenerator<MessageEvent, void>): Promise<MessageEvent> {
  const { value } = await events.next();
  assert.ok(value, 'the events ended');
  return value;
}

function textOf(event: MessageEvent): string {
  assert.ok(event.__typename === 'MessageReceived', event.__typename);
  assert.ok(event.message.content.__typename === 'TextContent');
  return event.message.content.text;
}

before(async () => {
  server = await Server.start();
  proxy = await Proxy.before(() => server.port);
  const { viewer } = await advisor().ask(ADVISORS_CODE, {});
  assert.ok(viewer?.advisor?.qrCode);
  advisorId = viewer.advisor.id;
  await merchant().ask(FOLLOW, { input: { openid: OPENID, scene: viewer.advisor.qrCode.scene } });
});

after(async () => {
  await proxy?.end();
  await server?.end();
});

test('every event comes once and in order, over connections that are cut in the middle of one', { timeout: TIMEOUT }, async () => {
  const texts = Array.from({ length: WRITES }, (_, n) => `text ${n}`);
  const events = app(() => {
    if (proxy.cuts < CUTS) proxy.left = BYTES;
  }).messages(await cursor());
  proxy.left = BYTES;
  const writing = (async () => {
    for (const text of texts) await write(text);
  })();
  const got: MessageEvent[] = [];
  while (got.length < WRITES) got.push(await next(events));
  await writing;
  await write('the last');
  assert.equal(textOf(await next(events)), 'the last', 'an event came twice');
  await events.return();
  assert.deepEqual(got.map(textOf), texts);
  assert.ok(got.every((event, n) => n === 0 || event.sequence > (got[n - 1]?.sequence ?? Infinity)));
  assert.equal(proxy.cuts, CUTS);
});

test('it goes on where it was when the server was killed', { timeout: TIMEOUT }, async () => {
  let breaks = 0;
  const events = app(() => breaks++).messages(await cursor());
  await write('before');
  assert.equal(textOf(await next(events)), 'before');
  const coming = next(events);
  await server.kill();
  await server.begin();
  await write('after');
  assert.equal(textOf(await coming), 'after');
  await events.return();
  assert.ok(breaks > 0);
});

test('it comes back with a fresh token when its own is revoked', { timeout: TIMEOUT }, async () => {
  const issued: string[] = [];
  const codes: unknown[] = [];
  const events = app(
    (why) => codes.push((why as { code?: number }).code),
    async () => {
      const { issueAdvisorToken } = await merchant().ask(ISSUE, { input: { advisor: { id: advisorId } } });
      assert.ok(issueAdvisorToken);
      issued.push(issueAdvisorToken.tokenId);
      return issueAdvisorToken.token;
    },
  ).messages(await cursor());
  await write('with the first');
  assert.equal(textOf(await next(events)), 'with the first');
  const coming = next(events);
  const [first] = issued;
  assert.ok(first && issued.length === 1);
  await merchant().ask(REVOKE, { input: { tokenId: first } });
  await write('with the second');
  assert.equal(textOf(await coming), 'with the second');
  await events.return();
  assert.deepEqual([issued.length, codes], [2, [4403]]);
});

test('an answer is pushed until it is SENT; an empty one is refused with a code', { timeout: TIMEOUT }, async () => {
  const events = app(assert.ifError).messages(await cursor());
  const input = { customer: { openid: OPENID }, text: '您好！', idempotencyKey: 'example-1' };
  const { sendMessage } = await advisor().ask(ANSWER, { input });
  const statuses: string[] = [];
  while (statuses.at(-1) !== 'SENT') {
    const event = await next(events);
    assert.ok(event.__typename === 'MessageStatusChanged', event.__typename);
    assert.equal(event.message.id, sendMessage?.message.id);
    statuses.push(event.message.status);
  }
  await events.return();
  await assert.rejects(
    advisor().ask(ANSWER, { input: { ...input, text: ' ', idempotencyKey: 'example-2' } }),
    (why) => why instanceof Refused && why.code === 'INVALID' && why.field === 'input.text',
  );
});

test('a cursor that cannot be read ends the events, and an abort does without an error', { timeout: TIMEOUT }, async () => {
  await assert.rejects(app(assert.ifError).messages('no cursor').next(), (why) => why instanceof Refused && why.code === 'INVALID');
  const stop = new AbortController();
  const events = app(assert.ifError).messages(await cursor(), stop.signal);
  await write('seen');
  assert.equal(textOf(await next(events)), 'seen');
  const coming = events.next();
  stop.abort();
  assert.deepEqual(await coming, { value: undefined, done: true });
});

test('the app shows what came while it was stopped, once, and goes on without the state', { timeout: TIMEOUT }, async () => {
  const seen = (line: string): boolean => line.includes(`${OPENID}:`);
  let running = await App.start(server, 'advisor-1');
  await running.shows(seen);
  await write('to the app');
  await running.shows((line) => line.includes('writes: to the app'));
  assert.equal(await running.stop(), 0);

  await write('while it was away');
  running = await App.start(server, 'advisor-1');
  await running.shows((line) => line.includes('writes: while it was away'));
  assert.equal(running.lines.filter((line) => line.includes('#')).length, 1, `more than one event: ${running.lines.join('\n')}`);
  assert.ok(!running.lines.some(seen), 'the state was read anew, though the cursor was good');
  assert.equal(await running.stop(), 0);
});

/** How much the app says is unread: in a line of the state, or in that of a message which came. */
const unread = (line: string | undefined): number => Number(/(\d+) unread/.exec(line ?? '')?.[1] ?? NaN);

/** What the app has shown since the state was read for the last time: that, and the messages behind it. */
function sinceState(running: App): { state: number; states: number; texts: string[]; unread: number } {
  const isState = (line: string): boolean => line.startsWith(`${OPENID}:`);
  const at = running.lines.map(isState).lastIndexOf(true);
  const messages = running.lines.slice(at + 1).filter((line) => line.includes(' writes: '));
  return {
    state: unread(running.lines[at]),
    states: running.lines.filter(isState).length,
    texts: messages.map((line) => /writes: (.*) \(\d+ unread\)$/.exec(line)?.[1] ?? line),
    unread: unread(messages.at(-1)),
  };
}

/** Everything that is unread is in the state that the app has read, or has come behind it, once. */
function withoutGap(running: App): void {
  const { state, texts, unread } = sinceState(running);
  assert.equal(unread, state + texts.length, running.lines.join('\n'));
}

test('the app that starts with a cursor which is no good any more reads the state anew, and goes on from there', { timeout: TIMEOUT }, async () => {
  const old = await cursor();
  await write('behind the old cursor');
  await server.restore();
  let running = await App.start(server, 'advisor-1', old);
  await running.shows((line) => line.startsWith(`${OPENID}:`));
  await write('behind the state');
  await running.shows((line) => line.includes('writes: behind the state'));
  const { states, texts } = sinceState(running);
  assert.deepEqual([states, texts], [1, ['behind the state']]);
  withoutGap(running);
  assert.equal(await running.stop(), 0);

  running = await App.start(server, 'advisor-1');
  await write('with the new cursor');
  await running.shows((line) => line.includes('writes: with the new cursor'));
  assert.equal(sinceState(running).states, 0, 'the state was read anew, though the cursor was good');
  assert.equal(await running.stop(), 0);
});

test('the app whose cursor becomes no good while it runs reads the state anew, and misses nothing', { timeout: TIMEOUT }, async () => {
  const running = await App.start(server, 'advisor-1', await cursor(), proxy.url);
  await write('before');
  await running.shows((line) => line.includes('writes: before'));
  assert.equal(sinceState(running).states, 0);
  await server.restore();
  // While the app comes back: what is written before it has read the state is there, what is written later comes.
  for (let n = 0; sinceState(running).states === 0; n++) await write(`meanwhile ${n}`);
  await write('after');
  await running.shows((line) => line.includes('writes: after'));
  assert.equal(sinceState(running).states, 1);
  withoutGap(running);
  assert.equal(await running.stop(), 0);
});

test('it comes back when the server could not decide about it in time', { timeout: TIMEOUT }, async () => {
  // A server that closes the first connection with 4408; what comes after it is the real one.
  const closing = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'graphql-transport-ws' });
  await once(closing, 'listening');
  const codes: unknown[] = [];
  const busy = await Proxy.before(() => (codes.length > 0 ? server.port : (closing.address() as AddressInfo).port));
  closing.on('connection', (socket) => socket.close(4408, 'connection initialisation timeout'));
  const client = new Client({ url: busy.url, token: () => server.token('advisor-1'), pause: () => 5, onBreak: (why) => codes.push((why as { code?: number }).code) });
  const events = client.messages(await cursor());
  const coming = next(events);
  await write('to who came back');
  assert.equal(textOf(await coming), 'to who came back');
  await events.return();
  await busy.end();
  closing.close();
  assert.deepEqual(codes, [4408]);
});

// Opens the GraphiQL page of a running server in a headless Chromium, signs in, runs a
// query and a subscription, and looks for anything a user would stumble over: an error in
// the console, a request that failed, a request to another host.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { chromium } from 'playwright-core';

const USAGE = `usage: node smoke.mjs --url URL --token TOKEN [options]

  --url URL             where GraphiQL is, e.g. http://127.0.0.1:8080/graphiql   ($GRAPHIQL_URL)
  --token TOKEN         an access token, with or without "Bearer "               ($GRAPHIQL_TOKEN)
  --query TEXT          a query to run; default: query { viewer { role } }
  --subscription TEXT   a subscription to open; without it none is
  --trigger COMMAND     a shell command that makes the subscription fire: run once it is
                        open and every 3 s after, until an event is shown
  --screenshot FILE     where to write a PNG; default: graphiql.png
  --timeout SECONDS     for each wait; default: 30
  --chromium FILE       the browser; default: /usr/bin/chromium                  ($CHROMIUM)

Exits 0 when all is well, 1 when a check failed, 2 when called wrongly.`;

const options = readOptions();
const milliseconds = Number(options.timeout) * 1000;
const origin = new URL(options.url).origin;
const faults = [];
const step = (text) => console.log(`ok   ${text}`);

const profile = await mkdtemp(path.join(tmpdir(), 'graphiql-smoke-'));
let context;
try {
  context = await chromium.launchPersistentContext(profile, {
    executablePath: options.chromium,
    headless: true,
    viewport: { width: 1360, height: 820 },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  context.setDefaultTimeout(milliseconds);
  await check(context.pages()[0] ?? (await context.newPage()));
} catch (error) {
  faults.push(error.message);
} finally {
  await context?.close();
  await rm(profile, { recursive: true, force: true });
}

for (const fault of faults) console.error(`FAIL ${fault}`);
console.log(`${faults.length ? 'failed' : 'passed'}; screenshot in ${options.screenshot}`);
process.exit(faults.length ? 1 : 0);

async function check(page) {
  const sockets = watch(page);
  try {
    await page.goto(options.url);
    await page.getByText('Not signed in').waitFor();
    if ((await page.title()) !== 'Clientele GraphiQL') faults.push(`title is ${await page.title()}`);
    step('the page opens, not signed in');

    const introspected = page.waitForResponse((r) => r.request().postData()?.includes('IntrospectionQuery') ?? false);
    await page.getByLabel('Token').fill(options.token);
    const answer = await introspected;
    const bare = options.token.replace(/^\s*bearer\s+/i, '').trim();
    const sent = await answer.request().headerValue('authorization');
    if (sent !== `Bearer ${bare}`) faults.push('introspection did not carry the token as Authorization: Bearer');
    if (!(await answer.json()).data?.__schema) faults.push('introspection brought no schema');
    step('the token is taken and the schema is there');

    await run(page, options.query);
    await shown(page, '"data"');
    if (await page.locator('.graphiql-response').getByText('"errors"').count()) {
      faults.push('the query answered with errors');
    }
    step(`answered: ${options.query}`);

    if (options.subscription) await subscribe(page, sockets, bare);
  } finally {
    await page.screenshot({ path: options.screenshot });
  }
}

async function subscribe(page, sockets, bare) {
  // A new tab, so that nothing of the query stands in the response pane.
  await page.getByRole('button', { name: 'New tab' }).click();
  await page.waitForFunction(() => !document.querySelector('.graphiql-response')?.innerText.includes('"data"'));
  await run(page, options.subscription);
  await until(() => sockets.some((socket) => socket.subscribed), 'the subscription was not sent over a WebSocket');

  const [socket] = sockets;
  if (socket.init?.Authorization !== `Bearer ${bare}`) faults.push('connection_init did not carry the token');
  if (new URL(socket.url).host !== new URL(origin).host) faults.push(`WebSocket to another host: ${socket.url}`);

  // The server may not listen yet when the frame has left, so a trigger may come too early.
  const fire = async () => {
    if (!options.trigger) return;
    const { error } = await promisify(execFile)('/bin/sh', ['-c', options.trigger]).catch((error) => ({ error }));
    if (error) faults.push(`the trigger failed: ${error.message}`);
  };
  await fire();
  const timer = setInterval(fire, 3000);
  try {
    await shown(page, '"data"');
  } finally {
    clearInterval(timer);
  }
  step(`an event came: ${options.subscription}`);
}

/** Notes what must not happen on the page, and returns its WebSockets as they come. */
function watch(page) {
  const sockets = [];
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  page.on('request', (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol !== 'data:' && to !== origin) faults.push(`request to another origin: ${request.url()}`);
  });
  page.on('requestfailed', (request) => {
    // The schema is asked for anew with each token, and a page that closes drops what is open.
    const { errorText } = request.failure();
    if (errorText !== 'net::ERR_ABORTED') faults.push(`request failed: ${request.url()} ${errorText}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) faults.push(`${response.status()} from ${response.url()}`);
  });
  page.on('websocket', (socket) => {
    const seen = { url: socket.url(), init: null, subscribed: false };
    sockets.push(seen);
    socket.on('framesent', ({ payload }) => {
      const { type, payload: content } = JSON.parse(payload);
      if (type === 'connection_init') seen.init = content;
      if (type === 'subscribe') seen.subscribed = true;
    });
  });
  return sockets;
}

/** Replaces the text of the operation editor and runs it. */
async function run(page, text) {
  const editor = page.locator('.graphiql-query-editor .monaco-editor').first();
  await editor.waitFor();
  await editor.click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText(text);
  await page.getByRole('button', { name: /^Execute/ }).click();
  // An anonymous or only operation runs at once; otherwise the button opens a menu.
  const first = page.getByRole('menuitem').first();
  if (await first.isVisible()) await first.click();
}

function shown(page, text) {
  return page.locator('.graphiql-response').getByText(text).first().waitFor();
}

async function until(condition, complaint) {
  const end = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > end) throw new Error(complaint);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function readOptions() {
  const text = (value) => ({ type: 'string', default: value });
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        url: text(process.env.GRAPHIQL_URL ?? ''),
        token: text(process.env.GRAPHIQL_TOKEN ?? ''),
        query: text('query { viewer { role } }'),
        subscription: text(''),
        trigger: text(''),
        screenshot: text('graphiql.png'),
        timeout: text('30'),
        chromium: text(process.env.CHROMIUM ?? '/usr/bin/chromium'),
      },
    }));
  } catch (error) {
    console.error(error.message);
  }
  if (!values?.url || !values.token || !(Number(values.timeout) > 0)) {
    console.error(USAGE);
    process.exit(2);
  }
  return values;
}

// Opens the GraphiQL page of a running server in a headless Chromium, as an advisor would: signs
// in, opens examples, runs a query, and waits until a subscription shows an event. It looks for
// anything a user would stumble over (an error in the console, a request that failed), for anything
// that leaves the page's origin, and for a token that stays anywhere but in its own tab.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';

const USAGE = `usage: node smoke.mjs --url URL --token TOKEN --event TEXT [options]

  --url URL             where GraphiQL is, e.g. http://127.0.0.1:8080/graphiql   ($GRAPHIQL_URL)
  --token TOKEN         an ADVISOR's access token                                ($GRAPHIQL_TOKEN)
  --event TEXT          a text that the event shows which somebody makes happen while the
                        subscription to messages is open, e.g. what a customer writes
  --screenshots FOLDER  where to write PNG files; default: the present folder
  --timeout SECONDS     for each wait; default: 30
  --chromium FILE       the browser; default: /usr/bin/chromium                  ($CHROMIUM)

Exits 0 when all is well, 1 when a check failed, 2 when called wrongly.`;

const options = readOptions();
const milliseconds = Number(options.timeout) * 1000;
const origin = new URL(options.url).origin;
const bare = options.token.replace(/^\s*bearer\s+/i, '').trim();
const faults = [];
const step = (text) => console.log(`ok   ${text}`);

const profile = await mkdtemp(path.join(tmpdir(), 'graphiql-smoke-'));
let context;
try {
  context = await launch(profile, options.chromium, milliseconds);
  await check(context.pages()[0] ?? (await context.newPage()));
  await context.close();
  context = await launch(profile, options.chromium, milliseconds);
  await anotherDay(await context.newPage());
} catch (error) {
  faults.push(error.message);
} finally {
  await context?.close();
  await rm(profile, { recursive: true, force: true });
}

for (const fault of faults) console.error(`FAIL ${fault}`);
console.log(faults.length ? 'failed' : 'passed');
process.exit(faults.length ? 1 : 0);

async function check(page) {
  const seen = watch(page);
  try {
    await page.goto(options.url);
    await page.getByText('Not signed in', { exact: true }).waitFor();
    if ((await page.title()) !== 'Clientele GraphiQL') faults.push(`title is ${await page.title()}`);
    await page.getByText('what its role can do is offered here').waitFor();
    await page.locator('.graphiql-query-editor').getByText('query Viewer').waitFor();
    step('the page opens, not signed in');
    // Monaco does without its workers too, slowly and with no error.
    await until(() => ['editor', 'graphql'].every((name) => page.workers().some((worker) => worker.url().includes(`/${name}.worker-`))), 'the editor has no workers');
    step('the workers of the editor run');
    await picture(page, 'signed-out');

    await signIn(page);
    await query(page);
    await picture(page, 'query');
    await remembered(page, seen);
    await signOut(page);
    await subscribe(page, seen);
    await picture(page, 'subscription');
    await explorer(page);
    await picture(page, 'explorer');
    await policy(page, seen);
    await page.evaluate(() => localStorage.setItem('smoke', 'was here'));
  } catch (error) {
    await picture(page, 'failed');
    throw error;
  }
}

function picture(page, name) {
  return page.screenshot({ path: path.join(options.screenshots, `graphiql-${name}.png`) });
}

async function signIn(page) {
  const introspected = page.waitForResponse((r) => r.request().postData()?.includes('IntrospectionQuery') ?? false);
  await page.getByLabel('Token').fill(options.token);
  const answer = await introspected;
  const sent = await answer.request().headerValue('authorization');
  if (sent !== `Bearer ${bare}`) faults.push('introspection did not carry the token as Authorization: Bearer');
  if (!(await answer.json()).data?.__schema) faults.push('introspection brought no schema');
  await page.getByText('ADVISOR · kept in this tab only').waitFor();
  await page.getByText('Examples for ADVISOR').waitFor();
  step('the token is taken, its role is told, and the schema is there');
}

/** Opens the example with the title, in a tab of its own. */
async function open(page, title) {
  await page.getByRole('region', { name: 'Examples' }).getByRole('button', { name: title }).click();
  await page.locator('.graphiql-query-editor').getByText(`# ${title}`).waitFor();
}

async function execute(page) {
  await page.getByRole('button', { name: /^Execute/ }).click();
}

async function query(page) {
  await open(page, 'My inbox');
  await execute(page);
  await shown(page, '"eventCursor"');
  if (await page.locator('.graphiql-response').getByText('"errors"').count()) faults.push('the query answered with errors');
  step('an example opens in a tab, runs and is answered');

  await open(page, 'May I write to this customer?');
  await page.locator('.graphiql-editor-tool').getByText('oExampleCustomer').waitFor();
  step('an example that asks for variables shows them');
}

/** The token outlives a reload and nothing else: another tab has none, nor has what stays. */
async function remembered(page, seen) {
  await page.reload();
  await page.getByText('ADVISOR · kept in this tab only').waitFor();
  if ((await page.getByLabel('Token').inputValue()) !== bare) faults.push('a reload loses the token');
  const places = await page.evaluate((token) => {
    const holds = (storage) => Object.values({ ...storage }).some((value) => value.includes(token));
    return { session: holds(sessionStorage), local: holds(localStorage), cookie: document.cookie, url: location.href };
  }, bare);
  if (!places.session) faults.push('the token is not in the storage of the session');
  if (places.local) faults.push('the token is in the storage that stays');
  if (places.cookie) faults.push(`there is a cookie: ${places.cookie}`);
  if (places.url.includes(bare)) faults.push('the token is in the address');

  const other = await context.newPage();
  other.on('websocket', () => faults.push('another tab opened a WebSocket'));
  await other.goto(options.url);
  await other.getByText('Not signed in', { exact: true }).waitFor();
  if ((await other.getByLabel('Token').inputValue()) !== '') faults.push('another tab knows the token');
  await other.close();
  if (seen.sockets.length) faults.push('a WebSocket was open before there was a subscription');
  step('the token is remembered by its tab, after a reload too, and by nothing else');
}

async function subscribe(page, seen) {
  await open(page, 'Messages as they come');
  await execute(page);
  await until(() => seen.sockets.some((socket) => socket.subscribed), 'the subscription was not sent over a WebSocket');
  const [socket] = seen.sockets;
  if (socket.init?.Authorization !== `Bearer ${bare}`) faults.push('connection_init did not carry the token');
  if (new URL(socket.url).host !== new URL(origin).host) faults.push(`WebSocket to another host: ${socket.url}`);
  step('the subscription is open');

  await shown(page, options.event);
  step('an event came');

  await page.getByRole('button', { name: /^Stop/ }).click();
  await until(() => socket.closed, 'the WebSocket stayed open after the subscription was stopped');
  await page.getByRole('button', { name: /^Execute/ }).waitFor();
  step('the subscription was stopped');
}

async function explorer(page) {
  await page.getByRole('button', { name: 'Show GraphiQL Explorer' }).click();
  await page.locator('.graphiql-plugin').getByText('messages').first().waitFor();
  step('the explorer shows the operation');
}

/** Whoever signs out is. Then again as before, for what follows. */
async function signOut(page) {
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('Not signed in', { exact: true }).waitFor();
  if (await page.evaluate((token) => Object.values({ ...sessionStorage }).some((value) => value.includes(token)), bare)) faults.push('Clear leaves the token in the session');
  await execute(page);
  await shown(page, 'Not signed in: paste an access token');
  await page.getByLabel('Token').fill(options.token);
  await page.getByText('ADVISOR · kept in this tab only').waitFor();
  step('Clear forgets the token');
}

/** A browser that was closed and opened anew on the same profile has what stays, and no token. */
async function anotherDay(page) {
  watch(page);
  await page.goto(options.url);
  await page.getByText('Not signed in', { exact: true }).waitFor();
  const kept = await page.evaluate((token) => ({
    profile: localStorage.getItem('smoke'),
    token: Object.values({ ...sessionStorage, ...localStorage }).some((value) => value.includes(token)),
  }), bare);
  if (kept.profile !== 'was here') faults.push('the browser was opened on another profile');
  if (kept.token || (await page.getByLabel('Token').inputValue()) !== '') faults.push('another session of the browser knows the token');
  step('another session of the browser knows no token');
}

/** What somebody's script would do, if it came into the page, is kept from it. Last: it makes errors on purpose. */
async function policy(page, seen) {
  seen.isHostile = true;
  const refused = await page.evaluate(async () => {
    const attempts = {
      'script-src-elem': () => document.head.append(Object.assign(document.createElement('script'), { textContent: 'self.wasInjected = true' })),
      'connect-src': () => fetch('https://elsewhere.invalid/').catch(() => {}),
      'img-src': () => (new Image().src = 'https://elsewhere.invalid/?token'),
      'frame-src': () => document.body.append(Object.assign(document.createElement('iframe'), { src: 'https://elsewhere.invalid/' })),
    };
    const violated = new Set();
    const all = new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
        violated.add(effectiveDirective);
        if (violated.size === Object.keys(attempts).length) resolve();
      });
      setTimeout(resolve, 5000);
    });
    for (const attempt of Object.values(attempts)) {
      try {
        attempt();
      } catch {
        // What is refused at once may throw.
      }
    }
    await all;
    return { missing: Object.keys(attempts).filter((name) => !violated.has(name)), wasInjected: Boolean(self.wasInjected) };
  });
  if (refused.missing.length) faults.push(`the policy let through: ${refused.missing}`);
  if (refused.wasInjected) faults.push('a script that was injected ran');
  step('the content security policy keeps foreign scripts and requests away');
}

/** Notes what must not happen on the page, and its WebSockets as they come. */
function watch(page) {
  const seen = { sockets: [], isHostile: false };
  const fault = (text) => seen.isHostile || faults.push(text);
  page.on('console', (message) => {
    if (message.type() === 'error') fault(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => fault(`uncaught: ${error.message}`));
  page.on('request', (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol !== 'data:' && to !== origin) fault(`request to another origin: ${request.url()}`);
  });
  page.on('requestfailed', (request) => {
    // The schema is asked for anew with each token, and a page that closes drops what is open.
    const { errorText } = request.failure();
    if (errorText !== 'net::ERR_ABORTED') fault(`request failed: ${request.url()} ${errorText}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) fault(`${response.status()} from ${response.url()}`);
  });
  page.on('websocket', (socket) => {
    const noted = { url: socket.url(), init: null, subscribed: false, closed: false };
    seen.sockets.push(noted);
    socket.on('framesent', ({ payload }) => {
      const { type, payload: content } = JSON.parse(payload);
      if (type === 'connection_init') noted.init = content;
      if (type === 'subscribe') noted.subscribed = true;
    });
    socket.on('close', () => (noted.closed = true));
  });
  return seen;
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
        event: text(''),
        screenshots: text('.'),
        timeout: text('30'),
        chromium: text(process.env.CHROMIUM ?? '/usr/bin/chromium'),
      },
    }));
  } catch (error) {
    console.error(error.message);
  }
  if (!values?.url || !values.token || !values.event || !(Number(values.timeout) > 0)) {
    console.error(USAGE);
    process.exit(2);
  }
  return values;
}

// Opens every example that the GraphiQL page of a running demo offers to each role, in the order in which they are offered, and runs it as it
// stands: with the token of the role, with the variables that the page put in. Prints the titles of those that ran by role, as one line of JSON. Arguments:
// the address of the page, the folder of the tokens, a folder for pictures, the browser.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { launch } from './browser.mjs';

const PATIENCE = 20_000;
// An advisor first: nothing that the merchant's examples do may be needed.
const ROLES = { ADVISOR: 'advisor-1', ANALYST: 'analyst', PLATFORM: 'platform', INTEGRATION: 'integration', ADMIN: 'admin' };

const [url, tokens, pictures, chromium] = process.argv.slice(2);
const ran = {};
let doing = 'start';

const profile = await mkdtemp(path.join(tmpdir(), 'graphiql-examples-'));
const context = await launch(profile, chromium, PATIENCE);
try {
  for (const [role, name] of Object.entries(ROLES)) {
    const page = await context.newPage(); // a tab has a token of its own
    try {
      await runAll(page, role, (await readFile(path.join(tokens, `${name}.jwt`), 'utf8')).trim());
      await page.screenshot({ path: path.join(pictures, `graphiql-examples-${role.toLowerCase()}.png`) });
    } catch (error) {
      await page.screenshot({ path: path.join(pictures, 'graphiql-examples-failed.png') });
      throw error;
    }
    await page.close();
  }
} catch (error) {
  error.message = `${doing}: ${error.message}`;
  throw error;
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(ran));

async function runAll(page, role, token) {
  ran[role] = [];
  const sockets = [];
  page.on('websocket', (socket) => {
    const noted = { subscribed: false, closed: false, faults: [] };
    sockets.push(noted);
    socket.on('framesent', ({ payload }) => (noted.subscribed ||= JSON.parse(payload).type === 'subscribe'));
    socket.on('framereceived', ({ payload }) => JSON.parse(payload).type === 'error' && noted.faults.push(payload));
    socket.on('close', () => (noted.closed = true));
  });
  await page.goto(url);
  await page.evaluate(() => localStorage.clear()); // of the role before: its tabs
  await page.reload();
  await page.getByLabel('Token').fill(token);
  await page.getByText(`Examples for ${role}`).waitFor();
  const panel = page.getByRole('region', { name: 'Examples' });
  for (const example of await panel.getByRole('button').all()) {
    const title = await example.locator('.title').textContent();
    const kind = await example.locator('.kind').textContent();
    doing = `${role}, ${title}`;
    await example.click();
    await page.locator('.graphiql-query-editor').getByText(`# ${title}`, { exact: true }).waitFor();
    if (kind === 'subscription') {
      const before = sockets.length;
      await page.getByRole('button', { name: /^Execute/ }).click();
      await until(() => sockets[before]?.subscribed, 'was not sent');
      await page.getByRole('button', { name: /^Stop/ }).click();
      await until(() => sockets[before].closed, 'was not stopped');
      if (sockets[before].faults.length) throw new Error(sockets[before].faults.join());
    } else {
      const answered = page.waitForResponse((r) => r.url().endsWith('/graphql') && !r.request().postData()?.includes('IntrospectionQuery'));
      await page.getByRole('button', { name: /^Execute/ }).click();
      const answer = await (await answered).json();
      if (answer.errors || hasItemError(answer.data)) throw new Error(JSON.stringify(answer));
      await page.locator('.graphiql-response').getByText('"data"').first().waitFor();
    }
    ran[role].push(title);
  }
}

function hasItemError(value) {
  if (typeof value !== 'object' || value === null) return false;
  return Boolean(value.error) || Object.values(value).some(hasItemError);
}

async function until(condition, complaint) {
  const end = Date.now() + PATIENCE;
  while (!condition()) {
    if (Date.now() > end) throw new Error(complaint);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

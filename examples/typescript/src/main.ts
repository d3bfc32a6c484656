// Shows an advisor's inbox and then what happens in it. Where it was is kept in a file, so the next start goes on there.
//
//   CLIENTELE_URL         the server; http://127.0.0.1:8080 when absent
//   CLIENTELE_TOKEN_FILE  a file with the token, read for each connection; that of the demo's first advisor when absent
//   CLIENTELE_CURSOR      the file with the cursor; `cursor` in the folder of the token when absent
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client, Refused, type MessageEvent } from './client.js';
import { INBOX } from './operations.js';

const tokenFile = process.env.CLIENTELE_TOKEN_FILE ?? '../../demo-data/tokens/advisor-1.jwt';
const cursorFile = process.env.CLIENTELE_CURSOR ?? path.join(path.dirname(tokenFile), 'cursor');

const client = new Client({
  url: `${process.env.CLIENTELE_URL ?? 'http://127.0.0.1:8080'}/graphql`,
  token: async () => (await readFile(tokenFile, 'utf8')).trim(),
  onBreak: (why) => console.error('the connection ended and is made anew:', why instanceof Error ? why.message : why),
});

function describe(event: MessageEvent): string {
  switch (event.__typename) {
    case 'MessageReceived': {
      const { content } = event.message;
      const { customer, unreadCount } = event.conversation;
      const text = content.__typename === 'TextContent' ? content.text : content.__typename;
      return `${customer.nickname ?? customer.openid} writes: ${text} (${unreadCount} unread)`;
    }
    case 'MessageStatusChanged':
      return `message ${event.message.id} is ${event.message.status}${event.message.failure ? `: ${event.message.failure}` : ''}`;
    case 'ConversationChanged': {
      const { customer, unreadCount } = event.conversation;
      return `the conversation with ${customer.nickname ?? customer.openid} changed: ${customer.followState}, ${unreadCount} unread`;
    }
    case 'CustomerLeft':
      return `customer ${event.customerId} is no longer yours`;
    case 'CustomersImported':
      return 'customers were imported: read the lists anew';
    case 'Withdrawn':
      return 'something that may no longer be seen';
  }
}

/** The state as it is, and the cursor that continues it. */
async function snapshot(): Promise<string> {
  const { inbox, eventCursor } = await client.ask(INBOX, {});
  for (const { customer, unreadCount, contactability } of inbox?.nodes ?? []) {
    console.log(`${customer.nickname ?? customer.openid}: ${unreadCount} unread, may I write: ${contactability.answer}`);
  }
  if (!eventCursor) throw new Error('the server gave no cursor');
  return eventCursor;
}

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());

let cursor = await readFile(cursorFile, 'utf8').catch(() => undefined);
while (!stop.signal.aborted) {
  cursor ??= await snapshot();
  try {
    for await (const event of client.messages(cursor, stop.signal)) {
      console.log(`${event.at} #${event.sequence} ${describe(event)}`);
      // In one step: a process that dies between leaves the old cursor, never half of one.
      await writeFile(`${cursorFile}.new`, event.cursor);
      await rename(`${cursorFile}.new`, cursorFile);
    }
  } catch (why) {
    if (!(why instanceof Refused && why.code === 'CURSOR_EXPIRED')) throw why;
    cursor = undefined;
  }
}

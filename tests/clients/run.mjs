// Runs the audits of GraphQL over HTTP and the usual clients of subscriptions against a running server, and prints what came of it as one
// line of JSON. Arguments: the address of /graphql, a token of ADMIN, a token of an advisor who serves the customer wei.
import { serverAudits } from 'graphql-http';
import { createClient as socketClient } from 'graphql-ws';
import { createClient as streamClient } from 'graphql-sse';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

const [url, admin, advisor] = process.argv.slice(2);
const bearer = (token) => ({ Authorization: `Bearer ${token}` });
const result = { audits: { ok: 0, other: [] }, ran: [] };

async function ask(token, query, variables) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...bearer(token) },
    body: JSON.stringify({ query, variables }),
  });
  const answer = await response.json();
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data;
}

const write = (text) => ask(admin, 'mutation($t: String!) { simulateMessage(input: {openid: "wei", text: $t}) { customer { id } } }', { t: text });
const cursor = async () => (await ask(advisor, '{ eventCursor }')).eventCursor;
const MESSAGES = 'subscription($after: String) { messages(after: $after) { __typename ... on MessageReceived { message { content { ... on TextContent { text } } } } } }';
const textOf = (event) => event.data.messages.message.content.text;

function same(what, got, want) {
  if (got !== want) throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

for (const audit of serverAudits({ url, fetchFn: (input, init) => fetch(input, { ...init, headers: { ...init?.headers, ...bearer(admin) } }) })) {
  const came = await audit.fn();
  if (came.status === 'ok') result.audits.ok++;
  else result.audits.other.push(`${audit.id} ${audit.name}: ${came.status} ${came.reason ?? ''}`);
}

// A client that goes on where it was: the first event, a disconnect, and what came meanwhile.
async function resumes(name, connect) {
  const from = await cursor();
  let client = connect();
  let events = client.iterate({ query: MESSAGES, variables: { after: from } });
  await write(`${name} one`);
  const first = (await events.next()).value;
  same(name, textOf(first), `${name} one`);
  const at = first.extensions.cursor;
  await events.return();
  client.dispose();
  await write(`${name} two`);
  client = connect();
  events = client.iterate({ query: MESSAGES, variables: { after: at } });
  same(name, textOf((await events.next()).value), `${name} two`);
  await events.return();
  for await (const answer of client.iterate({ query: '{ viewer { role } }' })) same(`${name} query`, answer.data.viewer.role, 'ADVISOR');
  const wrong = client.iterate({ query: '{ nothing }' });
  // graphql-ws ends with the errors, graphql-sse hands them on.
  const errors = await wrong.next().then((r) => r.value.errors, (errors) => errors);
  same(`${name} errors`, errors[0].extensions.code, 'INVALID');
  client.dispose();
  result.ran.push(name);
}

await resumes('graphql-ws', () => socketClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: bearer(advisor), retryAttempts: 0 }));
await resumes('graphql-sse', () => streamClient({ url, headers: bearer(advisor), retryAttempts: 0 }));

// A browser's EventSource: a ticket instead of a header, and the id of the last event.
const { ticket } = await (await fetch(`${url}/ticket`, { method: 'POST', headers: bearer(advisor) })).json();
const parameters = new URLSearchParams({ query: MESSAGES, variables: JSON.stringify({ after: await cursor() }), ticket });
await write('EventSource');
const source = new EventSource(`${url}?${parameters}`);
const event = await new Promise((resolve, reject) => {
  source.addEventListener('next', resolve);
  source.addEventListener('error', reject);
});
same('EventSource', textOf(JSON.parse(event.data)), 'EventSource');
same('EventSource id', event.lastEventId, JSON.parse(event.data).extensions.cursor);
source.close();
const used = new EventSource(`${url}?${parameters}`);
await new Promise((resolve) => used.addEventListener('error', resolve));
same('a used ticket', used.readyState, EventSource.CLOSED);
result.ran.push('EventSource');

console.log(JSON.stringify(result));

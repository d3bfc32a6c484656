// Runs graphql-sse in its single connection mode against a running server. Arguments: the address of /graphql, a token of ADMIN, a token of
// an advisor who serves the customer wei. It prints one line of JSON: how many streams were reserved, and what came on them.
import { createClient } from 'graphql-sse';

const [url, admin, advisor] = process.argv.slice(2);
const bearer = (token) => ({ Authorization: `Bearer ${token}` });
let reserved = 0;
const client = createClient({
  url,
  headers: () => bearer(advisor),
  singleConnection: true,
  lazyCloseTimeout: 5000,
  retryAttempts: 0,
  fetchFn: (input, init) => {
    if (init.method === 'PUT') reserved++;
    return fetch(input, init);
  },
});

const write = (text) => fetch(url, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', ...bearer(admin) },
  body: JSON.stringify({ query: 'mutation($t: String!) { simulateMessage(input: {openid: "wei", text: $t}) { customer { id } } }', variables: { t: text } }),
});
async function first(query) {
  for await (const answer of client.iterate({ query })) return answer;
  throw new Error(`nothing came of ${query}`);
}

const from = (await first('{ eventCursor }')).data.eventCursor;
const query = 'subscription($after: String) { messages(after: $after) { ... on MessageReceived { message { content { ... on TextContent { text } } } } } }';
const listeners = [1, 2].map(() => client.iterate({ query, variables: { after: from } }));
await write('hello');
const texts = [];
for (const events of listeners) texts.push((await events.next()).value.data.messages.message.content.text);
await listeners[0].return(); // one is stopped, the other goes on
await write('again');
texts.push((await listeners[1].next()).value.data.messages.message.content.text);
await listeners[1].return();
const code = (await first('{ nothing }')).errors[0].extensions.code;
console.log(JSON.stringify({ reserved, texts, code }));
client.dispose();

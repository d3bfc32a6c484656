// Apollo Client with its link for automatic persisted queries: a document is sent by its hash alone, queries by GET, and with its text only
// where the server does not know it yet.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { HttpLink } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { connectBy } from './apollo.mjs';

export const name = 'Apollo Client with persisted queries';

export function connect({ url, headers }) {
  const sent = [];
  const recorded = (address, init) => {
    const asked = init.method === 'GET' ? Object.fromEntries(new URL(address).searchParams) : JSON.parse(init.body);
    sent.push({ by: init.method, operation: asked.operationName, text: 'query' in asked });
    return fetch(address, init);
  };
  const persisted = new PersistedQueryLink({
    sha256: (text) => createHash('sha256').update(text).digest('hex'), useGETForHashedQueries: true,
  });
  const client = connectBy({
    url, headers, http: persisted.concat(new HttpLink({ uri: url, headers, fetch: recorded })), streams: (socket) => new GraphQLWsLink(socket),
  });
  return {
    ...client,
    async close() {
      await client.close();
      const of = (operation) => sent.filter((s) => s.operation === operation).map((s) => `${s.by} ${s.text ? 'text' : 'hash'}`);
      assert.deepEqual(of('Inbox'), ['GET hash', 'POST text', 'GET hash', 'GET hash'], 'a text that is known is not sent again');
      assert.deepEqual(of('SendMessage'), ['POST hash', 'POST text', 'POST hash', 'POST hash'], 'a text is sent once, a mutation never by GET');
    },
  };
}

// graphql-sse alone: everything as event streams, one a request.
import { createClient } from 'graphql-sse';
import { dataOf, first } from './iterate.mjs';

export const name = 'graphql-sse';

export function connect({ url, headers }) {
  const client = createClient({ url, headers, retryAttempts: 0 });
  return {
    ask: (query, variables) => first(client.iterate({ query, variables })),
    listen: (query, variables) => dataOf(client.iterate({ query, variables })),
    async close() {
      client.dispose();
    },
  };
}

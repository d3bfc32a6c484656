// graphql-ws alone: everything over one WebSocket.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { Refused } from './job.mjs';
import { dataOf, first } from './iterate.mjs';

export const name = 'graphql-ws';

export function connect({ url, headers, request = (query, variables) => ({ query, variables }) }) {
  const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: headers, retryAttempts: 0 });
  return {
    // Errors before the execution are thrown as a list; those of the execution come with the answer.
    ask: (query, variables) => first(client.iterate(request(query, variables))).catch((error) => {
      throw Array.isArray(error) ? new Refused(error) : error;
    }),
    listen: (query, variables) => dataOf(client.iterate(request(query, variables))),
    close: () => client.dispose(),
  };
}

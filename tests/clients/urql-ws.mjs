// urql with subscriptions over graphql-ws, as its documents say; queries and mutations by fetch.
import { fetchExchange, subscriptionExchange } from 'urql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { connectBy } from './urql.mjs';

export const name = 'urql over graphql-ws';

export function connect({ url, headers }) {
  const socket = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: headers, retryAttempts: 0 });
  const forwardSubscription = ({ query = '', ...request }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query }, sink) }),
  });
  const client = connectBy({ url, headers, exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })] });
  return {
    ...client,
    async close() {
      await client.close();
      await socket.dispose();
    },
  };
}

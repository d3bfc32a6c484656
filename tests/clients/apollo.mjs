// Apollo Client 4 without React: HTTP for queries and mutations, graphql-ws for subscriptions.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getOperationAST, OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { iterate } from './iterate.mjs';
import { Refused } from './job.mjs';

export const name = 'Apollo Client';

export function connect({ url, headers }) {
  return connectBy({ url, headers, http: new HttpLink({ uri: url, headers }), streams: (socket) => new GraphQLWsLink(socket) });
}

// Connects by a link for queries and mutations, and by one over a socket of graphql-ws for subscriptions.
export function connectBy({ url, headers, http, streams, fetchPolicy = 'network-only' }) {
  const socket = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: headers, retryAttempts: 0 });
  const client = new ApolloClient({
    // What a document selects by an interface, so that the cache knows which types an interface has.
    cache: new InMemoryCache({ possibleTypes: { Event: ['MessageReceived', 'MessageStatusChanged', 'ConversationChanged', 'CustomerLeft', 'NotificationMade'] } }),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      streams(socket),
      http,
    ),
  });
  return {
    async ask(document, variables) {
      const parsed = gql(document);
      try {
        const { data } = getOperationAST(parsed).operation === OperationTypeNode.MUTATION
          ? await client.mutate({ mutation: parsed, variables, fetchPolicy: fetchPolicy === 'no-cache' ? fetchPolicy : undefined })
          : await client.query({ query: parsed, variables, fetchPolicy });
        return data;
      } catch (error) {
        throw CombinedGraphQLErrors.is(error) ? new Refused(error.errors) : error;
      }
    },
    listen: (document, variables) => iterate((sink) => {
      const subscription = client.subscribe({ query: gql(document), variables, fetchPolicy: fetchPolicy === 'no-cache' ? fetchPolicy : undefined }).subscribe({
        next: ({ data, error }) => (error ? sink.error(error) : sink.next(data)),
        error: sink.error,
        complete: sink.complete,
      });
      return () => subscription.unsubscribe();
    }),
    async close() {
      client.stop();
      await socket.dispose();
    },
  };
}

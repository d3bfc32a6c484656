// urql 5 outside a component: fetch for queries and mutations, and for subscriptions, as server-sent events.
import { Client, fetchExchange, gql } from 'urql';
import { getOperationAST } from 'graphql';
import { pipe, subscribe } from 'wonka';
import { iterate } from './iterate.mjs';
import { Refused } from './job.mjs';

export const name = 'urql';

export function connect({ url, headers }) {
  return connectBy({ url, headers, exchanges: [fetchExchange], fetchSubscriptions: true });
}

// Connects by exchanges, which are urql's links.
export function connectBy({ url, headers, ...options }) {
  const client = new Client({ url, preferGetMethod: false, requestPolicy: 'network-only', fetchOptions: { headers }, ...options });
  const dataOf = ({ data, error }) => {
    if (error) throw error.graphQLErrors.length > 0 ? new Refused(error.graphQLErrors) : error;
    return data;
  };
  return {
    async ask(document, variables = {}) {
      const parsed = gql(document);
      const run = getOperationAST(parsed).operation === 'mutation' ? client.mutation(parsed, variables) : client.query(parsed, variables);
      return dataOf(await run.toPromise());
    },
    listen: (document, variables) => iterate((sink) => {
      const take = (result) => {
        try {
          sink.next(dataOf(result));
        } catch (error) {
          sink.error(error);
        }
      };
      return pipe(client.subscription(gql(document), variables), subscribe(take)).unsubscribe;
    }),
    async close() {},
  };
}

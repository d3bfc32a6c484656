// Apollo Client where trusted documents alone are taken: its link for persisted queries says the id that codegen gave a document, and
// never the text; over the socket a subscription says it as documentId.
import { ApolloLink, HttpLink, Observable } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { getOperationAST } from 'graphql';
import { connectBy } from './apollo.mjs';

export const name = 'Apollo Client with trusted documents';

export function connect({ url, headers, ids }) {
  const idOf = (document) => ids[getOperationAST(document).name.value];
  const persisted = new PersistedQueryLink({ generateHash: (document) => idOf(document).slice('sha256:'.length), retry: () => false, disable: () => false });
  return connectBy({
    url, headers,
    http: persisted.concat(new HttpLink({ uri: url, headers })),
    streams: (socket) => new ApolloLink(({ query, operationName, variables }) => new Observable((observer) => (
      socket.subscribe({ query: '', documentId: idOf(query), operationName, variables }, { // graphql-ws wants some query
        next: (result) => observer.next(result), error: (error) => observer.error(error), complete: () => observer.complete(),
      })
    ))),
    fetchPolicy: 'no-cache', // the documents have no __typename but where the app itself asks for it
  });
}

// graphql-ws alone where trusted documents alone are taken: everything over one WebSocket, each document by its id.
import { connect as connectSocket } from './graphql-ws.mjs';

export const name = 'graphql-ws with trusted documents';

export const connect = ({ documents, ids, ...to }) => connectSocket({
  ...to,
  request: (query, variables) => ({
    query: '', // graphql-ws wants some
    documentId: ids[Object.keys(documents).find((operation) => documents[operation] === query)],
    variables,
  }),
});

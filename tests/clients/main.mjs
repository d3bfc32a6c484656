// Does the main job with each client against a running server, and prints the names of those that did it as one line of JSON. Arguments:
// the address of /graphql, a token of an advisor, the address of who stands for followers, the status in which an answer ends, the file of
// the documents that codegen persisted, and `trusted` where the server takes no others of an advisor.
import { readFileSync } from 'node:fs';
import { getOperationAST, parse } from 'graphql';
import * as apolloPersisted from './apollo-persisted.mjs';
import * as apolloTrusted from './apollo-trusted.mjs';
import * as apollo from './apollo.mjs';
import * as graphqlSSE from './graphql-sse.mjs';
import * as graphqlWSTrusted from './graphql-ws-trusted.mjs';
import * as graphqlWS from './graphql-ws.mjs';
import { job } from './job.mjs';
import * as urqlWS from './urql-ws.mjs';
import * as urql from './urql.mjs';

const [url, token, follower, ends, persisted, trusted] = process.argv.slice(2);
const documents = {};
const ids = {};
for (const [id, text] of Object.entries(JSON.parse(readFileSync(persisted, 'utf8')))) {
  const { name } = getOperationAST(parse(text));
  documents[name.value] = text;
  ids[name.value] = id;
}
const clients = trusted ? [apolloTrusted, graphqlWSTrusted] : [apollo, apolloPersisted, urql, urqlWS, graphqlWS, graphqlSSE];
const did = [];
for (const { name, connect } of clients) {
  const client = connect({ url, headers: { Authorization: `Bearer ${token}` }, documents, ids });
  try {
    await job({ name, client, documents, follower, ends });
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  } finally {
    await client.close();
  }
  did.push(name);
}
console.log(JSON.stringify(did));

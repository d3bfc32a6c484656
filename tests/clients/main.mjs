// Does the main job with each client against a running server, and prints the names of those that did it as one line of JSON. Arguments:
// the address of /graphql, a token of an advisor, the address of who stands for followers, and the status in which an answer ends.
import * as apollo from './apollo.mjs';
import * as graphqlSSE from './graphql-sse.mjs';
import * as graphqlWS from './graphql-ws.mjs';
import { job } from './job.mjs';
import * as urql from './urql.mjs';

const [url, token, follower, ends] = process.argv.slice(2);
const did = [];
for (const { name, connect } of [apollo, urql, graphqlWS, graphqlSSE]) {
  const client = connect({ url, headers: { Authorization: `Bearer ${token}` } });
  try {
    await job({ name, client, follower, ends });
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  } finally {
    await client.close();
  }
  did.push(name);
}
console.log(JSON.stringify(did));

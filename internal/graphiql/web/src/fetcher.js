// How operations reach the server: queries and mutations by POST, subscriptions over a
// WebSocket (graphql-transport-ws), both to the one endpoint of the page's own origin.
// Every failure becomes a GraphQL result with a sentence a person can act on.

import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import { getToken, setNotice } from './session.js';

const ENDPOINT = '/graphql';

const SIGN_IN = 'Not signed in: paste an access token into the Token field at the top, then run this again.';
const GARBLED = 'The Token field holds characters that no token has. Paste the token again, and nothing but it.';
const REFUSED = 'The token has expired or was refused. Paste a fresh one, then run this again.';

/** Called by GraphiQL for each run and for introspection; a subscription answers an observable. */
export async function fetcher(params, { headers } = {}) {
  try {
    const sent = new Headers(headers ?? {});
    if (!sent.has('authorization')) {
      // Without a token every answer is a refusal, so the server is not asked at all.
      if (!getToken()) return failure(SIGN_IN);
      if (!/^[!-~]+$/.test(getToken())) return failure(GARBLED);
      sent.set('authorization', `Bearer ${getToken()}`);
    }
    const { kind, request } = readOperation(params);
    return kind === 'subscription' ? subscription(request, sent) : await post(request, sent);
  } catch (error) {
    // Headers throws on names and values that HTTP cannot carry.
    return failure(`Request not sent. ${error.message}`);
  }
}

/**
 * Tells the kind of the operation that is to run, and names it as the text now does.
 * GraphiQL parses behind the typing, so a quick Ctrl-Enter comes with the name of before.
 */
function readOperation(params) {
  let document;
  try {
    document = parse(params.query);
  } catch {
    return { request: params }; // A syntax error: the server's to report.
  }
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const named = operations.find(({ name }) => name?.value === params.operationName);
  const operation = named ?? operations[0];
  // More than one operation and a name that is none of theirs: the server's to report, too.
  if (!operation || (!named && operations.length > 1)) return { request: params };
  return { kind: operation.operation, request: { ...params, operationName: operation.name?.value } };
}

async function post(params, headers) {
  headers.set('content-type', 'application/json');
  headers.set('accept', 'application/graphql-response+json, application/json;q=0.9');
  let response;
  try {
    response = await fetch(ENDPOINT, { method: 'POST', headers, body: JSON.stringify(params) });
  } catch {
    return failure('The server could not be reached. Is it running?');
  }
  let result;
  try {
    result = await response.json();
  } catch {
    // A proxy's error page, say.
    result = failure(`The server answered ${response.status} ${response.statusText}, which is not GraphQL.`);
  }
  setNotice(isRefusal(response, result) ? REFUSED : '');
  return result;
}

function isRefusal(response, result) {
  return response.status === 401 || result.errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED');
}

function subscription(params, headers) {
  return {
    subscribe(observer) {
      let answered = false;
      // One socket for each run: it carries the token of that run, and ends with it.
      const client = createClient({
        url: new URL(ENDPOINT, location.href.replace(/^http/, 'ws')).href,
        connectionParams: connectionParams(headers),
        // A person is watching: say that it ended rather than silently try again.
        retryAttempts: 0,
      });
      const unsubscribe = client.subscribe(params, {
        next(result) {
          answered = true;
          setNotice('');
          observer.next(result);
        },
        error(error) {
          if (Array.isArray(error)) {
            observer.next({ errors: error });
          } else {
            const text = closeText(error);
            setNotice(text);
            // The last event stays on screen; without any, the pane says why it is empty.
            if (!answered) observer.next(failure(text));
          }
          observer.complete();
        },
        complete: () => observer.complete(),
      });
      return { unsubscribe };
    },
  };
}

/** The headers as the connection_init payload, Authorization spelled as the server reads it. */
function connectionParams(headers) {
  const { authorization, ...others } = Object.fromEntries(headers);
  return { ...others, Authorization: authorization };
}

function closeText(error) {
  const { code, reason } = error;
  if (!code) return `The subscription failed. ${error.message ?? error}`;
  switch (code) {
    case 4401:
    case 4403:
      return `Subscription closed (${code}): the token has expired or was refused. Paste a fresh one, then run this again.`;
    case 4429:
      return `Subscription closed (${code}): too many connections or requests. Close some, then run this again.`;
    case 1001:
    case 1012:
    case 1013:
      return `Subscription closed (${code}): the server is restarting or busy. Run this again in a moment.`;
    case 1006:
      return 'The connection for subscriptions was lost, or could not be opened. Is the server running?';
    default:
      return `Subscription closed (${code}). ${reason ?? ''}`.trim();
  }
}

const failure = (message) => ({ errors: [{ message }] });

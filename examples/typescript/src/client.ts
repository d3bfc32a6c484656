// A client of the API: queries and mutations over HTTP, subscriptions over graphql-ws.
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { createClient, type Client as Socket } from 'graphql-ws';
import WebSocket from 'ws';
import type { MessagesSubscription } from './generated/graphql.js';
import { MESSAGES } from './operations.js';

/** The codes that this app tells apart; the schema's `ErrorCode` has them all, and more may come. */
export type ErrorCode = 'CURSOR_EXPIRED' | 'INVALID' | 'UNAVAILABLE' | 'RATE_LIMITED' | 'INTERNAL' | (string & {});

/** What the API refused. `code` says why; `field` names the argument at fault, if one is. */
export class Refused extends Error {
  override readonly name = 'Refused';
  constructor(message: string, readonly code: ErrorCode, readonly field: string | undefined) {
    super(message);
  }
}

interface Fault {
  message: string;
  extensions?: { code?: ErrorCode; field?: string };
}

function refused([fault]: readonly Fault[]): Refused {
  return new Refused(fault?.message ?? 'no answer', fault?.extensions?.code ?? 'INTERNAL', fault?.extensions?.field);
}

export interface Options {
  /** The address of /graphql. */
  url: string;
  /** Answers a token that is good now; asked for each request and each connection. */
  token: () => string | Promise<string>;
  /** How long to wait, in milliseconds, before the n-th connection in a row that brought nothing (n from 1). */
  pause?: (n: number) => number;
  /** Is told why a connection ended, for a log. */
  onBreak?: (why: unknown) => void;
}

/** An event of the subscription `messages`, with what is common to all. */
export type MessageEvent = NonNullable<MessagesSubscription['messages']>;

/** How long a request may take, and how long the server may leave a ping unanswered, in milliseconds. */
const REQUEST_TIME = 30_000;
const PONG_TIME = 5_000;
const PING_EVERY = 10_000;

/** Codes with which the server closes a connection because the client has to be mended: coming back would not help. */
const FATAL = new Set([4004, 4400, 4401, 4406, 4409, 4429]);

/** Codes of errors that pass. */
const PASSING = new Set<ErrorCode>(['UNAVAILABLE', 'RATE_LIMITED']);

/** Half at least of 1, 2, 4 … seconds, at most 30: clients that lost the same server do not come back in one moment. */
const growing = (n: number): number => Math.min(30_000, 1_000 * 2 ** (n - 1)) * (0.5 + Math.random() / 2);

export class Client {
  constructor(private readonly options: Options) {}

  /** Runs a query or mutation. Throws Refused when the API refuses, another error when no answer came: then a mutation may have happened. */
  async ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
    const response = await fetch(this.options.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${await this.options.token()}` },
      body: JSON.stringify({ query: print(document), variables }),
      signal: AbortSignal.timeout(REQUEST_TIME),
    });
    const { data, errors } = (await response.json()) as { data?: Data | null; errors?: Fault[] };
    if (errors || !data) throw refused(errors ?? []);
    return data;
  }

  /**
   * Every event of the viewer's conversations behind a cursor, each once and in order, over any number of connections. An event counts as
   * dealt with when the next one is asked for. To go on in another process, store an event's `cursor` together with what was done about it.
   * It ends when `signal` aborts. It throws Refused with CURSOR_EXPIRED when events are missing: then read the state anew, with its
   * `eventCursor`; and when the API refuses for another reason that does not pass.
   */
  async *messages(after: string, signal: AbortSignal = new AbortController().signal): AsyncGenerator<MessageEvent, void, undefined> {
    let cursor = after;
    for (let vain = 0; !signal.aborted; ) {
      const socket = this.connect();
      const stop = (): void => socket.terminate();
      signal.addEventListener('abort', stop);
      try {
        for await (const { data, errors } of socket.iterate<MessagesSubscription>({ query: print(MESSAGES), variables: { after: cursor } })) {
          if (signal.aborted) return;
          if (errors || !data?.messages) throw refused(errors ? (errors as readonly Fault[]) : []);
          vain = 0;
          yield data.messages;
          cursor = data.messages.cursor;
        }
      } catch (why) {
        if (signal.aborted) return;
        this.judge(why);
      } finally {
        signal.removeEventListener('abort', stop);
        // What was never connected rejects, and has nothing to be closed.
        Promise.resolve(socket.dispose()).catch(() => undefined);
      }
      await this.rest(++vain, signal);
    }
  }

  /** Throws what coming back does not mend. Everything else only breaks a connection; an expired token is new on the next one. */
  private judge(why: unknown): void {
    const fault = Array.isArray(why) ? refused(why as Fault[]) : why;
    if (fault instanceof Refused && !PASSING.has(fault.code)) throw fault;
    if (isClose(fault) ? FATAL.has(fault.code) : !(fault instanceof Refused || isUnreachable(fault))) throw fault;
    this.options.onBreak?.(fault);
  }

  /** One connection. graphql-ws would come back by itself, but with the cursor that it began with: so it must not. */
  private connect(): Socket {
    let late: NodeJS.Timeout | undefined;
    const socket = createClient({
      url: this.options.url.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: async () => ({ Authorization: `Bearer ${await this.options.token()}` }),
      retryAttempts: 0,
      keepAlive: PING_EVERY,
      on: {
        // A network that is gone closes nothing: who answers no ping is not there.
        ping: (received) => {
          if (!received) late = setTimeout(() => socket.terminate(), PONG_TIME);
        },
        pong: (received) => {
          if (received) clearTimeout(late);
        },
        closed: () => clearTimeout(late),
      },
    });
    return socket;
  }

  private async rest(n: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, (this.options.pause ?? growing)(n));
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }
}

function isClose(why: unknown): why is { code: number; reason: string } {
  return typeof why === 'object' && why !== null && 'code' in why && typeof why.code === 'number' && 'reason' in why;
}

/** Whether no connection could be made: the WebSocket's event `error`. */
function isUnreachable(why: unknown): boolean {
  return typeof why === 'object' && why !== null && 'type' in why && why.type === 'error';
}

// Results of subscriptions as async iterators, whatever form a client gives them.
import { Refused } from './job.mjs';

// The data of a client's own iterator of results.
export async function* dataOf(results) {
  for await (const { data, errors } of results) {
    if (errors) throw new Refused(errors);
    yield data;
  }
}

// The data of the only result.
export async function first(results) {
  for await (const data of dataOf(results)) return data;
  throw new Error('no result');
}

// An iterator over what begin hands to a sink, from now on. begin answers how to end it.
export function iterate(begin) {
  const ready = [];
  const waiting = [];
  const settle = (promise) => {
    promise.catch(() => {}); // who asks for it sees it.
    const taker = waiting.shift();
    if (taker) taker(promise);
    else ready.push(promise);
  };
  const end = begin({
    next: (value) => settle(Promise.resolve({ value, done: false })),
    error: (error) => settle(Promise.reject(error)),
    complete: () => settle(Promise.resolve({ value: undefined, done: true })),
  });
  return {
    next: () => ready.shift() ?? new Promise((resolve) => { waiting.push(resolve); }),
    async return() {
      end();
      return { value: undefined, done: true };
    },
  };
}

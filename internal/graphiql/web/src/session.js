// The token and the notice: what the bar shows and the fetcher uses. They live outside
// React because the fetcher reads the token at the moment it sends.

import { useSyncExternalStore } from 'react';

const KEY = 'clientele.graphiql.token';

const token = cell(sessionStorage.getItem(KEY) ?? '');
const notice = cell('');

export const getToken = token.get;
export const useToken = token.use;
export const setNotice = notice.set;
export const useNotice = notice.use;

/** Takes what was pasted: a bare token, "Bearer <token>", or one broken over lines. */
export function setToken(pasted) {
  const value = pasted.replace(/^\s*bearer\s+/i, '').replace(/\s+/g, '');
  // Session storage ends with the tab; a token must not outlive it.
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  token.set(value);
  notice.set('');
}

function cell(value) {
  const listeners = new Set();
  const get = () => value;
  const subscribe = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    get,
    set(next) {
      value = next;
      for (const listener of listeners) listener();
    },
    use: () => useSyncExternalStore(subscribe, get),
  };
}

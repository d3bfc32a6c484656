// The token and the notice: what the bar shows and the fetcher uses. They live outside
// React because the fetcher reads the token at the moment it sends.

import { useMemo, useSyncExternalStore } from 'react';

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

/**
 * What the token says of its bearer: { role, sub, isExpired }; null for what is no token. The
 * page believes it unchecked, to choose examples and to tell: only the server's answer counts.
 */
export function useClaims() {
  const value = useToken();
  return useMemo(() => claims(value), [value]);
}

function claims(value) {
  try {
    const part = value.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    const { role, sub, exp } = JSON.parse(new TextDecoder().decode(bytes));
    return { role, sub, isExpired: exp * 1000 < Date.now() };
  } catch {
    return null;
  }
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

// What GraphiQL remembers between visits: tabs, history, theme, widths. It goes to local
// storage, but never with headers: the history plugin would write an Authorization typed
// into the headers editor to disk, where it outlives the tab.

const PREFIX = 'graphiql:';

export const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem: (key, value) => localStorage.setItem(key, withoutHeaders(value)),
  removeItem: (key) => localStorage.removeItem(key),
  get length() {
    return ours().length;
  },
  clear() {
    for (const key of ours()) localStorage.removeItem(key);
  },
};

const ours = () => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));

/** Tabs and history are JSON; a user's own variables are a string inside it, left as they are. */
function withoutHeaders(value) {
  try {
    return JSON.stringify(JSON.parse(value), (key, item) => (key === 'headers' ? null : item));
  } catch {
    return value;
  }
}

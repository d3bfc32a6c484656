import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useEffect, useMemo, useState } from 'react';
import { firstTabs } from './examples.js';
import { examplesPlugin } from './examples_panel.jsx';
import { fetcher } from './fetcher.js';
import { setNotice, setToken, useClaims, useNotice, useToken } from './session.js';
import { storage } from './storage.js';

const plugins = [examplesPlugin, HISTORY_PLUGIN, explorerPlugin()];

// Open on a first visit. Later GraphiQL has stored which panel was open, if any.
const firstPlugin = storage.getItem('graphiql:visiblePlugin') === null ? examplesPlugin : undefined;

// How long the token must stay unchanged before the schema is asked for again, so that a
// token typed by hand costs one introspection and not one for each key. Milliseconds.
const SETTLE = 400;

export function App({ base }) {
  const settled = useSettled(useToken(), SETTLE);
  // GraphiQL introspects again whenever it is handed another fetcher. What the fetcher
  // sends is always the present token; only its identity follows the settled one.
  const current = useMemo(() => (...args) => fetcher(...args), [settled]);
  return (
    <>
      <TokenBar base={base} />
      <Notice />
      <main>
        <GraphiQL
          fetcher={current}
          plugins={plugins}
          visiblePlugin={firstPlugin}
          defaultTabs={firstTabs}
          defaultEditorToolsVisibility="variables"
          storage={storage}
          schemaDescription
          inputValueDeprecation
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          {/* The bar above already says what this is. */}
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}

function TokenBar({ base }) {
  const token = useToken();
  const [shown, setShown] = useState(false);
  return (
    <header className="bar">
      <h1>Clientele GraphiQL</h1>
      <label htmlFor="token">Token</label>
      <input
        id="token"
        type={shown ? 'text' : 'password'}
        value={token}
        onChange={(event) => setToken(event.target.value)}
        placeholder="Paste an access token, with or without “Bearer”"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        aria-describedby="token-state"
      />
      <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
        {shown ? 'Hide' : 'Show'}
      </button>
      <button type="button" disabled={!token} onClick={() => setToken('')}>
        Clear
      </button>
      <TokenState />
      <a href={`${base}THIRD_PARTY_LICENSES`} target="_blank" rel="noreferrer">
        Licences
      </a>
    </header>
  );
}

function TokenState() {
  const token = useToken();
  const claims = useClaims();
  const isGood = token && claims && !claims.isExpired;
  let text = 'Not signed in';
  if (token && !claims) text = 'Not a token';
  else if (claims?.isExpired) text = `${claims.role} · expired`;
  else if (claims) text = `${claims.role} · kept in this tab only`;
  return (
    <span id="token-state" className={isGood ? 'state' : 'state missing'} role="status" title={claims?.sub}>
      {text}
    </span>
  );
}

function Notice() {
  const text = useNotice();
  if (!text) return null;
  return (
    <div className="notice" role="alert">
      <span>{text}</span>
      <button type="button" onClick={() => setNotice('')}>
        Dismiss
      </button>
    </div>
  );
}

/** The value as it was when it last stayed unchanged for so many milliseconds. */
function useSettled(value, milliseconds) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

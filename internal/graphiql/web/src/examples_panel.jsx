// The panel beside the editor that offers examples, those of the token's role.

import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { examples } from './examples.js';
import { useClaims } from './session.js';

export const examplesPlugin = { title: 'Examples', icon: Icon, content: Panel };

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" aria-hidden="true">
      <path d="M4 5h16M4 10h16M4 15h9M4 20h9M16.5 14v7l5-3.5z" strokeLinejoin="round" />
    </svg>
  );
}

function Panel() {
  const role = useClaims()?.role;
  const offered = examples.filter(({ roles }) => roles.includes(role));
  return (
    <section aria-label="Examples" className="examples">
      <h2>Examples{offered.length > 0 && ` for ${role}`}</h2>
      {offered.length > 0 ? (
        <ul>
          {offered.map((example) => (
            <Example key={example.title} example={example} />
          ))}
        </ul>
      ) : (
        <p>{role ? 'There are none for the role of this token.' : 'Paste a token into the field at the top: what its role can do is offered here.'}</p>
      )}
    </section>
  );
}

function Example({ example }) {
  const { addTab, changeTab, stop } = useGraphiQLActions();
  const { tabs, activeTabIndex, queryEditor, variableEditor, responseEditor } = useGraphiQL((state) => state);
  const open = () => {
    const there = tabs.findIndex(({ query }) => query === example.query);
    if (there === activeTabIndex) return;
    // A subscription that goes on would write into the tab that comes.
    stop();
    if (there >= 0) {
      changeTab(there);
      return;
    }
    const answers = [responseEditor?.getValue(), ...tabs.map(({ response }) => response).reverse()];
    // An empty tab is there to be used.
    if (queryEditor.getValue().trim()) addTab();
    queryEditor.setValue(example.query);
    variableEditor.setValue(example.variables(answers));
  };
  return (
    <li>
      <button type="button" onClick={open}>
        <span className="title">{example.title}</span>
        <span className={`kind ${example.kind}`}>{example.kind}</span>
        <span className="about">{example.about}</span>
      </button>
    </li>
  );
}

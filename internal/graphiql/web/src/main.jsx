import 'graphiql/setup-workers/vite';
// The parts of graphiql/style.css one by one: the whole holds a second copy of the
// editor's style and 360 KB of web fonts, where the fonts of the system do.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import '@graphiql/plugin-explorer/style.css';
import './style.css';

import { createRoot } from 'react-dom/client';
import { App } from './app.jsx';

const root = document.getElementById('root');
createRoot(root).render(<App base={root.dataset.base} />);

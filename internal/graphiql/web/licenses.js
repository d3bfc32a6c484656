// Gathers the licence of every package that ended up in the built page into
// THIRD_PARTY_LICENSES. It looks at what was bundled, not at what was installed, so build
// tools do not appear in it and nothing that ships can be forgotten: a bundled package
// without a licence text fails the build.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const OUTPUT = 'THIRD_PARTY_LICENSES';

// Packages published without their licence file, and the package from the same
// repository (or, last, the same author and set) whose text applies to them.
const SAME_TEXT_AS = {
  '@graphiql/plugin-doc-explorer': 'graphiql',
  '@graphiql/plugin-explorer': 'graphiql',
  '@graphiql/plugin-history': 'graphiql',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};

// What packages carry without saying so in a file of their own.
const ALSO = {
  'monaco-editor':
    'The icon font codicon.ttf: Copyright (c) Microsoft Corporation, licensed under the Creative\n' +
    'Commons Attribution 4.0 International License (https://creativecommons.org/licenses/by/4.0/).\n\n' +
    'DOMPurify 3.1.7 (esm/vs/base/browser/dompurify): (c) Cure53 and other contributors, released under\n' +
    'the Apache License 2.0, under which it is used here, and the Mozilla Public License 2.0\n' +
    '(https://github.com/cure53/DOMPurify/blob/3.1.7/LICENSE). The text of the Apache License 2.0:\n\n' +
    apache(),
};

/** The terms of the Apache License 2.0, as a package of the lock file has them. */
function apache() {
  const text = licenseTexts(path.join(import.meta.dirname, 'node_modules', 'react-aria')).join('\n');
  const end = 'END OF TERMS AND CONDITIONS';
  return text.slice(text.indexOf('Apache License'), text.indexOf(end) + end.length);
}

// Comments that say whose a file is (/*! … */, @license) and that need no entry above: they name what the
// package's own licence covers.
const OWN = /Microsoft Corporation|Meta Platforms|Facebook/;

/** Two plugins that share one list: workers are bundled apart from the page. */
export function licenses() {
  const roots = new Set();
  const collect = (_options, bundle) => {
    for (const output of Object.values(bundle)) {
      for (const id of output.moduleIds ?? []) {
        const root = packageRoot(id);
        if (!root) continue;
        roots.add(root);
        lookForGuests(id, root);
      }
    }
  };
  return {
    worker: { name: 'licenses-worker', generateBundle: collect },
    main: {
      name: 'licenses',
      generateBundle(options, bundle) {
        collect(options, bundle);
        this.emitFile({ type: 'asset', fileName: OUTPUT, source: render(roots) });
      },
    },
  };
}

/** Fails the build for a file that says it is somebody else's than its package, without a word of it in ALSO. */
function lookForGuests(id, root) {
  const file = id.replace(/^\0/, '').replace(/\?.*$/, '');
  if (!existsSync(file)) return;
  const { name } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const known = [...licenseTexts(root), ALSO[name] ?? ''].join('\n');
  for (const [comment] of readFileSync(file, 'utf8').matchAll(/\/\*!?[^*]*\*+(?:[^/*][^*]*\*+)*\//g)) {
    const whose = /(?:@license|@copyright|\/\*!)\s*\*?\s*([\w.-]+)/.exec(comment);
    if (!whose || OWN.test(comment) || whose[1] === name || known.includes(whose[1])) continue;
    throw new Error(`${file} of ${name} is by ${whose[1]}, says its comment; see ALSO in licenses.js: ${comment.slice(0, 200)}`);
  }
}

/** The folder of the installed package that a module belongs to, if any. */
function packageRoot(id) {
  const file = id.replace(/^\0/, '').replace(/\?.*$/, '');
  const match = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file);
  return match && existsSync(path.join(match[0], 'package.json')) ? match[0] : null;
}

function render(roots) {
  const entries = new Map();
  for (const root of roots) {
    const { name, version, license } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    entries.set(`${name} ${version}`, { license, text: notice(root, name) });
  }
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const rule = '='.repeat(80);
  return [
    'The GraphiQL page contains the software listed here, each under its own licence.\n',
    ...sorted.map(([title, { license }]) => `  ${title} (${license})`),
    ...sorted.map(([title, { text }]) => `\n${rule}\n${title}\n${rule}\n\n${text}`),
    '',
  ].join('\n');
}

function notice(root, name) {
  let texts = licenseTexts(root);
  if (texts.length === 0 && SAME_TEXT_AS[name]) {
    texts = licenseTexts(path.join(import.meta.dirname, 'node_modules', SAME_TEXT_AS[name]));
  }
  if (texts.length === 0) {
    throw new Error(`${name} is part of the page but has no licence text; see SAME_TEXT_AS in licenses.js`);
  }
  if (ALSO[name]) texts.push(ALSO[name]);
  return texts.join('\n\n');
}

/** The licence file and, where a package carries code of others, its notices. */
function licenseTexts(root) {
  return readdirSync(root)
    .filter((file) => /^(licen[cs]e|notice|thirdpartynotices)([-.]\w+)*$/i.test(file))
    .sort()
    .map((file) =>
      readFileSync(path.join(root, file), 'utf8')
        .replace(/\r\n?/g, '\n')
        .replace(/[ \t]+$/gm, '')
        .trim(),
    );
}

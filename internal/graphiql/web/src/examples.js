// The example operations, one file each in examples/, in the order of their names. A file
// begins with a comment: a title, what it is good for, and "Roles:" with the roles it is
// offered to. A Go test runs every one of them as each of its roles.

import { Kind, parse, print } from 'graphql';

const files = import.meta.glob('./examples/*.graphql', { query: '?raw', import: 'default', eager: true });

const HEAD = /^# (.+)\n# (.+)\n# Roles: (.+)\n\n/;

// Where a variable is found that an example before has brought: in the answers of the tabs that are open.
const BROUGHT = { accountId: ['createAccount', 'account', 'id'] };

/** All examples: { title, about, roles, kind, query, variables }. variables takes the answers that are there, the latest first. */
export const examples = Object.keys(files)
  .sort()
  .map((file) => read(files[file]));

/** What a first visit shows: the one that is for every role. */
export const firstTabs = [{ query: `# Paste a token above, then run this: Ctrl-Enter (⌘-Enter).\n\n${examples[0].query}` }];

function read(text) {
  const [head, title, about, roles] = HEAD.exec(text);
  const query = text.slice(head.length);
  const operation = parse(query).definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  return {
    title,
    about,
    roles: roles.split(', '),
    kind: operation.operation,
    query: `# ${title}\n\n${query}`,
    variables: (answers) => variables(operation.variableDefinitions, answers),
  };
}

/** The variables with something to begin with, as JSON; empty where there are none. */
function variables(definitions, answers) {
  if (!definitions?.length) return '';
  const values = definitions.map(({ variable: { name }, type }) => [name.value, brought(name.value, answers) ?? initial(name.value, print(type))]);
  return JSON.stringify(Object.fromEntries(values), null, 2);
}

/** What the latest answer with it has for a variable. */
function brought(name, answers) {
  if (!BROUGHT[name]) return undefined;
  for (const text of answers) {
    try {
      const value = BROUGHT[name].reduce((within, key) => within?.[key], JSON.parse(text).data);
      if (value) return value;
    } catch {
      // No answer so far, or one that is no JSON.
    }
  }
  return undefined;
}

function initial(name, type) {
  if (!type.endsWith('!')) return null;
  if (type === 'DateTime!') return new Date().toISOString();
  switch (name) {
    case 'openid':
      return 'oExampleCustomer';
    case 'advisorOpenid':
      return 'oDemoAdvisor_1';
    case 'idempotencyKey':
    case 'transactionId':
      // New each time the example is opened; run twice as it is, it counts once.
      return `example-${Date.now()}`;
    default:
      return '';
  }
}

// The example operations, one file each in examples/, in the order of their names. A file
// begins with a comment: a title, what it is good for, and "Roles:" with the roles it is
// offered to. A Go test runs every one of them as each of its roles.

import { Kind, parse, print } from 'graphql';

const files = import.meta.glob('./examples/*.graphql', { query: '?raw', import: 'default', eager: true });

const HEAD = /^# (.+)\n# (.+)\n# Roles: (.+)\n\n/;

/** All examples: { title, about, roles, kind, query, variables }. */
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
    variables: () => variables(operation.variableDefinitions),
  };
}

/** The variables with something to begin with, as JSON; empty where there are none. */
function variables(definitions) {
  if (!definitions?.length) return '';
  const values = definitions.map(({ variable, type }) => [variable.name.value, initial(variable.name.value, print(type))]);
  return JSON.stringify(Object.fromEntries(values), null, 2);
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

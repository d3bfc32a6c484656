// graphql-eslint's schema-recommended and schema-relay over the published schema. Where a rule is set otherwise, its line says why; single
// findings that are let pass stand in exceptions.mjs.
import graphql from '@graphql-eslint/eslint-plugin'

export default [
  {
    files: ['schema.graphql'],
    plugins: {'@graphql-eslint': graphql},
    languageOptions: {parser: graphql.parser, parserOptions: {graphQLConfig: {schema: 'schema.graphql'}}},
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      // The rule asks for an id of every type. What has one is a thing that can be asked for again (Node); the others are values and answers.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          exceptions: {
            suffixes: [
              'Connection', 'Edge', // of a page, named by cursors
              'Payload', 'Result', // what came of one call
              'Content', // of a message, whose the id is
            ],
            types: [
              'Viewer', 'Advisorship', // what a token says
              'PageInfo', 'ItemError', 'JobFailureCount', 'JobItem', 'Region', 'PolicyWarning', 'PolicyOverrides', 'AllowanceOverride', 'NotifyOn', 'QRCodePicture', 'ChannelFault', 'WebhookFault', 'WebhookTest', // values inside something
              'Contactability', 'ContactPolicy', 'ContactAllowance', 'MassSend', // numbers of the ledger
              'Binding', 'CustomerChange', 'AccountEventFeed', 'CustomerChangeFeed', 'Scan', // lines of a log, named by their cursors
              // Events are named by cursor and sequence.
              'BindingChanged', 'CodeScanned', 'ConversationChanged', 'CustomerChanged', 'CustomerLeft', 'CustomersImported', 'InvitationEnded', 'JobChanged', 'MessageReceived',
              'MessageStatusChanged', 'NotificationMade', 'Withdrawn',
            ],
          },
        },
      ],
      // Every list goes forwards alone: its cursors are places in a log, or in an order that has an index one way.
      '@graphql-eslint/relay-arguments': ['error', {includeBoth: false}],
      // Lists that limits hold short (options of a tag, results of a call) are plain lists, and connections have `nodes`.
      '@graphql-eslint/relay-edge-types': ['error', {withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false}],
    },
  },
]

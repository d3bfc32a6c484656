// The tabs of a first visit. They only use fields that every role may read, and the last
// one nothing but the schema itself.

export const exampleTabs = [
  {
    query: `# Paste a token above.
# Run: Ctrl-Enter (⌘-Enter).
# Complete: Ctrl-Space.

query Viewer {
  viewer {
    role
  }
}
`,
  },
  {
    query: `# Shows each event as it
# comes, until you press stop.

subscription Notifications {
  notifications {
    __typename
  }
}
`,
  },
  {
    query: `# What a query may ask for.

query Fields {
  __schema {
    queryType {
      fields {
        name
        description
      }
    }
  }
}
`,
  },
];

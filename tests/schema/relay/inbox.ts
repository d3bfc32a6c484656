// The advisor's app as Relay writes it: fragments beside what shows them, lists by @connection, things fetched anew by @refetchable.
import {graphql} from 'relay-runtime'

export const query = graphql`
  query inboxQuery($count: Int!, $after: String, $filter: InboxFilter) {
    ...inbox_list @arguments(count: $count, after: $after, filter: $filter)
    eventCursor
  }
`

export const list = graphql`
  fragment inbox_list on Query
  @argumentDefinitions(count: {type: "Int", defaultValue: 50}, after: {type: "String"}, filter: {type: "InboxFilter"})
  @refetchable(queryName: "inboxPageQuery") {
    inbox(first: $count, after: $after, filter: $filter) @connection(key: "inbox_inbox") {
      edges {
        node {
          id
          ...inbox_row
        }
      }
    }
  }
`

export const row = graphql`
  fragment inbox_row on Conversation @refetchable(queryName: "inboxRowQuery") {
    id
    unreadCount
    activeAt
    customer {
      nickname
      openid
    }
    contactability {
      answer
      left
      until
    }
    lastMessage {
      id
      content {
        __typename
        ... on TextContent {
          text
        }
      }
    }
  }
`

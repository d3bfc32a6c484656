// One conversation: its messages by pages, sending into it, and what is pushed.
import {graphql} from 'relay-runtime'

export const query = graphql`
  query conversationQuery($customer: CustomerRef!) {
    conversation(customer: $customer) {
      id
      ...conversation_messages
    }
  }
`

export const messages = graphql`
  fragment conversation_messages on Conversation
  @argumentDefinitions(count: {type: "Int", defaultValue: 50}, after: {type: "String"})
  @refetchable(queryName: "conversationMessagesQuery") {
    messages(first: $count, after: $after) @connection(key: "conversation_messages") {
      edges {
        node {
          id
          direction
          status
          sentAt
          content {
            __typename
            ... on TextContent {
              text
            }
            ... on MediaContent {
              kind
              imageUrl
            }
            ... on LinkContent {
              title
              url
            }
          }
        }
      }
    }
  }
`

export const send = graphql`
  mutation conversationSendMutation($input: SendMessageInput!, $connections: [ID!]!) {
    sendMessage(input: $input) {
      message @prependNode(connections: $connections, edgeTypeName: "MessageEdge") {
        id
        status
        sentAt
      }
    }
  }
`

export const pushed = graphql`
  subscription conversationSubscription($after: String) {
    messages(after: $after) {
      __typename
      ... on Event {
        cursor
        sequence
      }
      ... on MessageReceived {
        message {
          id
          status
        }
        conversation {
          id
          unreadCount
        }
      }
      ... on CustomerLeft {
        customerId @deleteRecord
      }
    }
  }
`

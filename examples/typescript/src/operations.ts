// What this app asks. Each document has the types of its variables and its answer from the schema, by codegen.
import { graphql } from './generated/index.js';

export const INBOX = graphql(`
  query Inbox {
    inbox(first: 50) {
      nodes {
        customer { openid nickname }
        unreadCount
        contactability { answer left }
      }
    }
    eventCursor
  }
`);

export const MESSAGES = graphql(`
  subscription Messages($after: String) {
    messages(after: $after) {
      __typename
      ... on Event { cursor sequence at }
      ... on MessageReceived {
        message { id content { __typename ... on TextContent { text } } }
        conversation { unreadCount customer { openid nickname } }
      }
      ... on MessageStatusChanged { message { id status failure } }
      ... on ConversationChanged { conversation { unreadCount customer { openid nickname followState } } }
      ... on CustomerLeft { customerId }
    }
  }
`);

export const ANSWER = graphql(`
  mutation Answer($input: SendMessageInput!) {
    sendMessage(input: $input) { message { id status } }
  }
`);

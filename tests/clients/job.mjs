// The main job of an advisor's app, as every client does it: a follower comes by the advisor's code and writes, which is pushed; the
// advisor answers and sees what becomes of it; what was pushed is what a query shows; what is refused says with which code.
//
// A client is { ask(document, variables), listen(document, variables), close() }. ask answers a query's or mutation's data and throws a
// Refused; listen answers an async iterator of data. `follower` is the address of who stands for the follower's phone and the platform behind it.
import assert from 'node:assert/strict';

// What the API refused, whatever the client's own class of errors.
export class Refused extends Error {
  constructor([{ message, extensions }]) {
    super(message);
    this.extensions = extensions;
  }
}

const INBOX = /* GraphQL */ `
  query Inbox {
    inbox(first: 50) { nodes { id customer { id openid } } }
    eventCursor
  }
`;

const CONVERSATION = /* GraphQL */ `
  query Conversation($openid: Identifier!) {
    conversation(customer: { openid: $openid }) {
      id
      unreadCount
      messages(first: 2) { nodes { id direction status content { ... on TextContent { text } } } }
    }
  }
`;

const MESSAGES = /* GraphQL */ `
  subscription Messages($after: String) {
    messages(after: $after) {
      __typename
      ... on Event { sequence }
      ... on ConversationChanged { conversation { id customer { id openid followState } } }
      ... on MessageReceived { message { id content { ... on TextContent { text } } } conversation { id unreadCount } }
      ... on MessageStatusChanged { message { id status } }
    }
  }
`;

const ANSWER = /* GraphQL */ `
  mutation Answer($openid: Identifier!, $text: String!, $key: String!) {
    sendMessage(input: { customer: { openid: $openid }, text: $text, idempotencyKey: $key }) { message { id status } }
  }
`;

// Does the job with one client. `ends` is the status in which an answer ends on this account.
export async function job({ name, client, follower, ends }) {
  const openid = `follower-of-${name}`.replaceAll(' ', '-');
  const act = async (what, text = '') => {
    const came = await fetch(`${follower}/${what}/${openid}`, { method: 'POST', body: text });
    assert.equal(came.status, 200, await came.text());
  };

  const before = await client.ask(INBOX);
  assert.ok(!before.inbox.nodes.some((c) => c.customer.openid === openid), 'the follower is there before they came');

  const events = client.listen(MESSAGES, { after: before.eventCursor });
  let last = 0;
  const next = async (kind) => {
    const { value, done } = await events.next();
    assert.ok(!done, `the subscription ended before ${kind}`);
    const event = value.messages;
    assert.equal(event.__typename, kind);
    assert.ok(event.sequence > last, `event ${event.sequence} comes after ${last}`);
    last = event.sequence;
    return event;
  };

  await act('follow');
  const bound = await next('ConversationChanged');
  assert.deepEqual([bound.conversation.customer.openid, bound.conversation.customer.followState], [openid, 'FOLLOWING']);

  await act('write', '有龙井吗？');
  const received = await next('MessageReceived');
  assert.equal(received.message.content.text, '有龙井吗？');
  assert.deepEqual(received.conversation, { ...received.conversation, id: bound.conversation.id, unreadCount: 1 });

  const key = `answer-to-${openid}`;
  const { sendMessage } = await client.ask(ANSWER, { openid, text: '有的。', key });
  const answer = sendMessage.message.id;
  let status;
  while (!status || status === 'QUEUED') {
    const { message } = await next('MessageStatusChanged');
    assert.equal(message.id, answer);
    status = message.status;
  }
  assert.equal(status, ends);
  const again = await client.ask(ANSWER, { openid, text: '有的。', key });
  assert.equal(again.sendMessage.message.id, answer, 'the same key made another message');

  const { conversation } = await client.ask(CONVERSATION, { openid });
  const shown = conversation.messages.nodes.map((m) => [m.id, m.direction, m.status, m.content.text]);
  assert.deepEqual(shown, [
    [answer, 'FROM_ADVISOR', ends, '有的。'],
    [received.message.id, 'FROM_CUSTOMER', 'RECEIVED', '有龙井吗？'],
  ]);

  await assert.rejects(client.ask(ANSWER, { openid, text: ' ', key: `${key}-empty` }), (refused) => {
    assert.ok(refused instanceof Refused, `${refused.stack}`);
    assert.deepEqual([refused.extensions.code, refused.extensions.field], ['INVALID', 'input.text']);
    return true;
  });
  await events.return();
}

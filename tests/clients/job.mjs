// The main job of an advisor's app, as every client does it, with two subscriptions at once: a follower comes by the advisor's code, of which
// the advisor is notified and who is then in the inbox; the follower writes, which is pushed; the advisor answers, sees what becomes of it, and has read it; what was pushed
// is what a query shows; what is refused says with which code.
//
// A client is { ask(document, variables), listen(document, variables), close() }. ask answers a query's or mutation's data and throws a
// Refused; listen answers an async iterator of data. The documents are those of the advisor's app in tests/schema/operations, as codegen
// persisted them. `follower` is the address of who stands for the follower's phone and the platform behind it.
import assert from 'node:assert/strict';

// What the API refused, whatever the client's own class of errors.
export class Refused extends Error {
  constructor([{ message, extensions }]) {
    super(message);
    this.extensions = extensions;
  }
}

// Does the job with one client. `documents` are texts by the name of their operation, `ends` is the status in which an answer ends on
// this account.
export async function job({ name, client, documents, follower, ends }) {
  const openid = `follower-of-${name}`.replaceAll(' ', '-');
  const act = async (what, text = '') => {
    const came = await fetch(`${follower}/${what}/${openid}`, { method: 'POST', body: text });
    assert.equal(came.status, 200, await came.text());
  };

  const before = await client.ask(documents.Inbox);
  assert.ok(!before.inbox.edges.some(({ node }) => node.customer.openid === openid), 'the follower is there before they came');

  const events = client.listen(documents.Messages, { after: before.eventCursor });
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

  const notices = client.listen(documents.Notified, { after: before.eventCursor });
  const row = async () => (await client.ask(documents.Inbox)).inbox.edges.find(({ node }) => node.customer.openid === openid)?.node;

  await act('follow');
  const bound = await next('ConversationChanged');
  assert.deepEqual([bound.conversation.customer.openid, bound.conversation.customer.followState], [openid, 'FOLLOWING']);
  const { value: { notifications: notified } } = await notices.next();
  assert.deepEqual([notified.__typename, notified.notification.kind, notified.notification.readAt], ['NotificationMade', 'CUSTOMER_BOUND', null]);
  const came = await row();
  assert.deepEqual([came.id, came.unreadCount, came.lastMessage], [bound.conversation.id, 0, null]);

  await act('write', '有龙井吗？');
  const received = await next('MessageReceived');
  assert.equal(received.message.content.text, '有龙井吗？');
  assert.deepEqual(received.conversation, { ...received.conversation, id: bound.conversation.id, unreadCount: 1 });

  const unread = await row();
  assert.deepEqual([unread.unreadCount, unread.lastMessage.id, unread.contactability.answer], [1, received.message.id, 'FREE']);

  const customer = { openid };
  const key = `answer-to-${openid}`;
  const input = { customer, text: '有的。', idempotencyKey: key };
  const { sendMessage } = await client.ask(documents.SendMessage, { input });
  const answer = sendMessage.message.id;
  let status;
  while (!status || status === 'QUEUED') {
    const { message } = await next('MessageStatusChanged');
    assert.equal(message.id, answer);
    status = message.status;
  }
  assert.equal(status, ends);
  const again = await client.ask(documents.SendMessage, { input });
  assert.equal(again.sendMessage.message.id, answer, 'the same key made another message');

  const { conversation } = await client.ask(documents.Conversation, { customer });
  const shown = conversation.messages.edges.map(({ node: m }) => [m.id, m.direction, m.status, m.content.text]);
  assert.deepEqual(shown, [
    [answer, 'FROM_ADVISOR', ends, '有的。'],
    [received.message.id, 'FROM_CUSTOMER', 'RECEIVED', '有龙井吗？'],
  ]);

  const { markConversationRead: read } = await client.ask(documents.MarkRead, { input: { customer } });
  assert.deepEqual([read.conversation.id, read.conversation.unreadCount], [conversation.id, 0]);

  await assert.rejects(client.ask(documents.SendMessage, { input: { customer, text: ' ', idempotencyKey: `${key}-empty` } }), (refused) => {
    assert.ok(refused instanceof Refused, `${refused.stack}`);
    assert.deepEqual([refused.extensions.code, refused.extensions.field], ['INVALID', 'input.text']);
    return true;
  });
  await Promise.all([events.return(), notices.return()]);
}

// How a front end uses what codegen wrote; `tsc --strict` reads it. Lines under @ts-expect-error must not compile.
import {useFragment as unmask} from './generated/fragment-masking'
import type {FragmentType} from './generated/fragment-masking'
import {AssignCustomersDocument, InboxDocument, RowFragmentDoc, SendMessageDocument} from './generated/graphql'
import type {AssignCustomersMutationVariables, CustomerRef, InboxQuery, SendMessageMutationVariables} from './generated/graphql'
import type {TypedDocumentNode} from '@graphql-typed-document-node/core'

declare function run<R, V>(document: TypedDocumentNode<R, V>, variables: V): Promise<R>

export async function unread(): Promise<number> {
  const answer: InboxQuery = await run(InboxDocument, {first: 20, filter: {isUnread: true, tags: {any: [{name: 'gold'}]}}})
  return (answer.inbox?.edges ?? []).reduce((sum, e) => sum + row(e.node), 0)
}

function row(masked: FragmentType<typeof RowFragmentDoc>): number {
  return unmask(RowFragmentDoc, masked).unreadCount
}

export function send(openid: string, text: string, idempotencyKey: string) {
  const variables: SendMessageMutationVariables = {input: {customer: {openid}, text, idempotencyKey}}
  return run(SendMessageDocument, variables)
}

export function assign(groupId: string) {
  const variables: AssignCustomersMutationVariables = {input: {customers: {matching: {isAssigned: false}}, to: {groupId}}}
  return run(AssignCustomersDocument, variables)
}

// @ts-expect-error a oneOf input takes exactly one field
export const two: CustomerRef = {id: '1', openid: 'wei'}
// @ts-expect-error and not none
export const none: CustomerRef = {}

// What the test asks as the merchant, and as those who write to the advisor.
import { graphql } from '../src/generated/index.js';

export const ADVISORS_CODE = graphql(`
  query AdvisorsCode { viewer { advisor { id qrCode { scene } } } }
`);

export const FOLLOW = graphql(`
  mutation Follow($input: SimulateFollowInput!) { simulateFollow(input: $input) { customer { id } } }
`);

export const WRITE = graphql(`
  mutation Write($input: SimulateMessageInput!) { simulateMessage(input: $input) { customer { id } } }
`);

export const ISSUE = graphql(`
  mutation Issue($input: IssueAdvisorTokenInput!) { issueAdvisorToken(input: $input) { token tokenId } }
`);

export const REVOKE = graphql(`
  mutation Revoke($input: RevokeTokenInput!) { revokeToken(input: $input) { rememberedUntil } }
`);

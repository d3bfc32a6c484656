// The console's list of customers, by filter and page, and giving them to an advisor.
import {graphql} from 'relay-runtime'

export const query = graphql`
  query customersQuery($filter: CustomerFilter) {
    ...customers_list @arguments(filter: $filter)
    tags {
      id
      name
      options {
        id
        name
      }
    }
  }
`

export const list = graphql`
  fragment customers_list on Query
  @argumentDefinitions(count: {type: "Int", defaultValue: 50}, after: {type: "String"}, filter: {type: "CustomerFilter"})
  @refetchable(queryName: "customersPageQuery") {
    customers(first: $count, after: $after, filter: $filter) @connection(key: "customers_customers", filters: ["filter"]) {
      totalCount
      edges {
        node {
          id
          nickname
          followState
          advisor {
            id
            nickname
          }
        }
      }
    }
  }
`

export const assign = graphql`
  mutation customersAssignMutation($input: AssignCustomersInput!) {
    assignCustomers(input: $input) {
      results {
        customer {
          id
          advisor {
            id
          }
        }
        error {
          code
          message
        }
      }
      job {
        id
        state
      }
    }
  }
`

// Findings of graphql-eslint that are let pass, by the definition they are in; one that is not found any more fails the run.
const log = 'a line of a log: it is read in its list and never asked for again by an id'
export const exceptions = [
  {rule: 'relay-edge-types', in: 'BindingEdge', why: log},
  {rule: 'relay-edge-types', in: 'CustomerChangeEdge', why: log},
  {rule: 'relay-edge-types', in: 'DeadLetterEdge', why: 'a line of the list of a webhook, which goes when it is replayed'},
  {rule: 'relay-edge-types', in: 'ErasureEdge', why: 'a receipt, read by `erasure` alone: who it was about is gone, and so is who may see it by `node`'},
  {rule: 'relay-edge-types', in: 'JobItemEdge', why: 'a place in a job, named by its number'},
  {rule: 'relay-edge-types', in: 'ScanEdge', why: log},
  {rule: 'no-typename-prefix', in: 'Scan', why: 'scannedAt: when it was scanned is not when it was told of; plain `at` would leave that open, and renaming breaks clients'},
]

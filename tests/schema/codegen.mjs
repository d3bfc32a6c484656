// codegen's client preset over the published file, not over introspection, which drops @oneOf and @specifiedBy.
export default {
  schema: 'schema.graphql',
  documents: 'operations/*.graphql',
  generates: {
    './generated/': {
      preset: 'client',
      presetConfig: {persistedDocuments: {hashAlgorithm: 'sha256'}, fragmentMasking: true},
      config: {useTypeImports: true, enumsAsTypes: true, strictScalars: true, scalars: {DateTime: 'string', Identifier: 'string', Base64: 'string', Upload: 'File | Blob'}},
    },
  },
}

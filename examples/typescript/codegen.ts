import type { CodegenConfig } from '@graphql-codegen/cli';

// The SDL, not an introspection of a server: that would lose which inputs are @oneOf.
const config: CodegenConfig = {
  schema: process.env.CLIENTELE_SCHEMA ?? '../../schema.graphql',
  documents: ['src/**/*.ts', 'test/**/*.ts', '!src/generated/**'],
  generates: {
    'src/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        // A scalar that this app does not use is left alone.
        defaultScalarType: 'unknown',
        scalars: { DateTime: 'string', Identifier: 'string' },
        enumsAsTypes: true,
        useTypeImports: true,
        emitLegacyCommonJSImports: false,
      },
    },
  },
};

export default config;

// Runs the tools of front ends over schema.graphql, each also over a schema with a fault planted, which it must find. Beside it lie
// schema.graphql (as it is served), released.graphql (the last release), accepted.json (coordinates of breaking changes that are meant) and
// introspection.json (what a server answers). It writes to standard output what it found: {findings: [text], counts: {…}}.
import {execFile} from 'node:child_process'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {promisify} from 'node:util'
import {diff} from '@graphql-inspector/core'
import {ESLint} from 'eslint'
import {buildClientSchema, buildSchema, lexicographicSortSchema, parse, parseType, print, printSchema} from 'graphql'
import config from './eslint.config.js'
import {exceptions} from './exceptions.mjs'

const read = (name) => readFileSync(name, 'utf8')
const sdl = read('schema.graphql')
const findings = []
const counts = {}

// plant is the schema with one definition changed; one that is not there throws.
function plant(name, change) {
  const document = parse(sdl)
  const definition = document.definitions.find((d) => d.name?.value === name)
  change(definition)
  return print(document)
}

const named = (name) => (it) => it.name?.value === name
const without = (list, name) => list.splice(list.findIndex(named(name)), 1)

// lint is what graphql-eslint says: what is let pass by exceptions.mjs, and what is not.
async function lint(text) {
  const eslint = new ESLint()
  const [{messages}] = await eslint.lintText(text, {filePath: 'schema.graphql'})
  const definitions = parse(text).definitions
  const left = [], passed = new Set()
  for (const m of messages) {
    const within = definitions.find((d) => d.loc.startToken.line <= m.line && m.line <= d.loc.endToken.line)?.name?.value
    const exception = exceptions.find((e) => m.ruleId === `@graphql-eslint/${e.rule}` && e.in === within)
    exception ? passed.add(exception) : left.push(`graphql-eslint: ${within} (line ${m.line}): ${m.ruleId}: ${m.message}`)
  }
  return {left, unused: exceptions.filter((e) => !passed.has(e))}
}

async function linted() {
  const is = await lint(sdl)
  findings.push(...is.left, ...is.unused.map((e) => `exceptions.mjs: ${e.rule} in ${e.in} is not found any more`))
  for (const type of config[0].rules['@graphql-eslint/strict-id-in-types'][1].exceptions.types) {
    const fields = parse(sdl).definitions.find(named(type))?.fields
    if (!fields || fields.some(named('id'))) findings.push(`eslint.config.js: ${type} is excepted from strict-id-in-types, and ${fields ? 'has an id' : 'is not there'}`)
  }
  for (const [rule, text] of [
    ['relay-arguments', plant('Query', (d) => without(d.fields.find(named('inbox')).arguments, 'after'))],
    ['naming-convention', plant('Region', (d) => (d.fields.find(named('city')).name.value = 'the_city'))],
    ['strict-id-in-types', plant('Conversation', (d) => without(d.fields, 'id'))],
    ['no-unreachable-types', sdl + '\n"""\nNobody reaches it.\n"""\ntype Unreached {\n  """\n  It.\n  """\n  id: ID!\n}\n'],
  ]) {
    if (!(await lint(text)).left.some((f) => f.includes(rule))) findings.push(`graphql-eslint did not find what ${rule} is for`)
  }
  counts.exceptions = exceptions.length
}

// compared asks graphql-inspector what breaks clients of the last release. Coordinates are written as it does, Type.field.argument.
async function compared() {
  const released = buildSchema(read('released.graphql'))
  const breaking = async (text) => (await diff(released, buildSchema(text))).filter((c) => c.criticality.level === 'BREAKING')
  const accepted = JSON.parse(read('accepted.json'))
  for (const c of await breaking(sdl)) {
    if (!accepted.some((a) => c.path === a || c.path.startsWith(a + '.'))) findings.push(`graphql-inspector: ${c.path}: ${c.message}`)
  }
  for (const [path, text] of [
    ['Conversation.unreadCount', plant('Conversation', (d) => without(d.fields, 'unreadCount'))],
    ['Advisor.nickname', plant('Advisor', (d) => (d.fields.find(named('nickname')).type = parseType('String')))],
    ['SendMessageInput.text', plant('SendMessageInput', (d) => without(d.fields, 'text'))],
    ['Query.inbox.first', plant('Query', (d) => (d.fields.find(named('inbox')).arguments.find(named('first')).type = parseType('Int!')))],
    ['MessageStatus.QUEUED', plant('MessageStatus', (d) => without(d.values, 'QUEUED'))],
  ]) {
    if (!(await breaking(text)).some((c) => c.path === path)) findings.push(`graphql-inspector did not find that ${path} breaks clients`)
  }
}

// served compares the file with what introspection tells, but for applied directives, which it does not tell, and the directive @defer: the
// server takes it, as it takes @skip, and it belongs to the language's next version and not to this schema.
function served() {
  const introspection = JSON.parse(read('introspection.json'))
  const {directives} = introspection.__schema
  introspection.__schema.directives = directives.filter((d) => d.name !== 'defer')
  const shown = (s) => printSchema(lexicographicSortSchema(s))
  const file = shown(buildSchema(sdl)), told = shown(buildClientSchema(introspection))
  if (file === told) return
  const lines = told.split('\n')
  const at = file.split('\n').findIndex((line, i) => line !== lines[i])
  findings.push(`schema.graphql and introspection differ at ${JSON.stringify(file.split('\n')[at])}, told as ${JSON.stringify(lines[at])}`)
}

async function run(name, bin, ...args) {
  try {
    return await promisify(execFile)(process.execPath, [bin, ...args], {maxBuffer: 16 << 20})
  } catch (e) {
    findings.push(`${name}: ${e.stdout}${e.stderr}`)
    return {stdout: '', stderr: ''}
  }
}

async function compiled() {
  mkdirSync('persisted', {recursive: true})
  writeFileSync('persisted/relay.json', '{}\n') // the compiler adds to it
  const codegen = 'node_modules/@graphql-codegen/cli/esm/bin.js', relay = 'node_modules/relay-compiler/cli.js'
  const [, r] = await Promise.all([
    run('graphql-codegen', codegen, '-c', 'codegen.mjs'),
    run('relay-compiler', relay, 'relay.config.json'),
  ])
  counts.relay = (r.stdout + r.stderr).match(/compiled documents: .*/)?.[0] ?? ''
  await run('tsc --strict', 'node_modules/typescript/bin/tsc', '-p', '.')
  const sorted = (file) => Object.fromEntries(Object.entries(JSON.parse(read(file))).sort(([a], [b]) => (a < b ? -1 : 1)))
  for (const [name, file] of [['codegen', 'generated/persisted-documents.json'], ['relay', 'persisted/relay.json']]) {
    const documents = sorted(file)
    counts[name + 'Documents'] = Object.keys(documents).length
    writeFileSync(`persisted/${name}.json`, JSON.stringify(documents, null, 2) + '\n')
  }
}

served()
await Promise.all([compiled(), linted().then(compared)])
process.stdout.write(JSON.stringify({findings, counts}))

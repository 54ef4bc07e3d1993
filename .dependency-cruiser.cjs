// Which room may import which: the table of docs/architecture.md, enforced. `npm run layers` runs it.
const may = {
  mesh: [],
  runtime: [],
  proto: [],
  sources: ['mesh', 'runtime'],
  query: [],
  topology: ['mesh', 'query'],
  cache: ['proto', 'runtime'],
  envoy: ['topology', 'mesh', 'proto', 'cache'],
  xds: ['cache', 'proto'],
  server: ['xds', 'cache', 'proto', 'mesh', 'runtime'],
  ca: ['mesh', 'runtime'],
  dns: ['mesh', 'runtime'],
  redirect: ['mesh', 'runtime'],
  admin: ['mesh', 'topology', 'cache', 'server', 'runtime'],
  'control-plane': ['admin', 'ca', 'cache', 'dns', 'envoy', 'mesh', 'proto', 'query', 'runtime', 'server', 'sources', 'topology', 'xds'],
  cli: ['admin', 'ca', 'cache', 'control-plane', 'envoy', 'mesh', 'proto', 'redirect', 'runtime', 'server', 'sources', 'topology'],
};
const rooms = Object.keys(may);

/** Pure rooms: data in, data out. */
const pure = '^src/(mesh|query|topology|envoy|xds)/';

module.exports = {
  forbidden: [
    ...rooms.map((room) => ({
      name: `${room}-imports`,
      severity: 'error',
      comment: `src/${room} may import ${[room, ...may[room]].join(', ')} only`,
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...may[room]].join('|')})/` },
    })),
    { name: 'no-cycles', severity: 'error', from: { path: '^src' }, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'grpc-only-in-server', severity: 'error', from: { path: '^src', pathNot: '^src/server/' }, to: { path: 'node_modules/@grpc/grpc-js/' } },
    { name: 'protobufjs-only-in-proto', severity: 'error', from: { path: '^src', pathNot: '^src/proto/' }, to: { path: 'node_modules/protobufjs/' } },
    {
      name: 'pure-rooms-have-no-effects',
      severity: 'error',
      comment: 'mesh, topology, envoy and xds take data and give data: no network, file, process or timer module',
      from: { path: pure },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(net|crypto)$' },
    },
    { name: 'every-room-is-listed', severity: 'error', from: { path: '^src/', pathNot: `^src/(${rooms.join('|')})/|^src/main.ts$` }, to: {} },
    { name: 'not-to-tests', severity: 'error', from: { path: '^src' }, to: { path: '^test' } },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'], exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};

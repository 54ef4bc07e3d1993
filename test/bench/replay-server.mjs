// The floor: a bare grpc-js server that answers with bytes recorded from adsum. It reads of a request who asks for which type, and
// computes nothing. Forked by run.mjs with the file of the recording as its argument; tells its port.
import { readFileSync } from 'node:fs';
import grpc from '@grpc/grpc-js';
import { METHODS } from './load.mjs';
import { fieldsOf } from './wire.mjs';

const { bodies, streams } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const shared = bodies.map((text) => Buffer.from(text, 'base64'));
const answers = new Map(
  Object.entries(streams).map(([key, types]) => [key, new Map(Object.entries(types).map(([type, list]) => [type, list.map((i) => shared[i])]))]),
);

const asIs = (bytes) => bytes;
const method = (name) => ({
  path: METHODS[name].path,
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
server.addService(
  { delta: method('delta'), sotw: method('sotw') },
  { delta: (call) => answer(call, METHODS.delta), sotw: (call) => answer(call, METHODS.sotw) },
);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.send({ port });
});

function answer(call, { nodeField, typeField, nonceField }) {
  let mine;
  const sent = new Set();
  call.on('data', (request) => {
    let type = '';
    let acknowledges = false;
    for (const [field, value] of fieldsOf(request)) {
      if (field === nodeField) mine = answers.get(keyOf(value));
      if (field === typeField) type = value.toString();
      if (field === nonceField) acknowledges = value.length > 0;
    }
    if (acknowledges || sent.has(type)) return;
    sent.add(type);
    for (const body of mine?.get(type) ?? []) call.write(body);
  });
  call.on('end', () => call.end());
  call.on('error', () => {});
}

/** ID and node name of a `Node`. */
function keyOf(node) {
  let id = '';
  let name = '';
  for (const [field, value] of fieldsOf(node)) {
    if (field === 1) id = value.toString();
    if (field !== 3) continue;
    for (const [, entry] of fieldsOf(value)) {
      const [[, key] = [], [, content] = []] = [...fieldsOf(entry)];
      if (key?.toString() === 'node_name') name = [...fieldsOf(content)][0]?.[1].toString() ?? '';
    }
  }
  return `${id} ${name}`;
}

import { entrySchema } from './entry.ts';
import { decimal, oneOf, section } from './field.ts';

const rates = {
  read_rate: decimal('Reads.', { unit: 'per second' }),
  write_rate: decimal('Writes.', { unit: 'per second' }),
};

const category = section('Requests of this kind.', rates);

export const controlPlaneRequestLimit = entrySchema('control-plane-request-limit', "Limits on requests to Consul's servers. Parsed, without effect.", {
  mode: oneOf(['permissive', 'enforcing', 'disabled'], 'Log, refuse, or neither.'),
  ...rates,
  acl: category,
  catalog: category,
  config_entry: category,
  connect_ca: category,
  coordinate: category,
  discovery_chain: category,
  server_discovery: category,
  health: category,
  intention: category,
  kv: category,
  tenancy: category,
  prepared_query: category,
  session: category,
  txn: category,
  autopilot: category,
  federation_state: category,
  internal: category,
  peer_stream: category,
  peering: category,
  data_plane: category,
  dns: category,
  subscribe: category,
  resource: category,
});

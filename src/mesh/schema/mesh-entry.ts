import type { z } from 'zod';
import { singletonSchema } from './entry.ts';
import { flag, oneOf, section } from './field.ts';
import { tlsParameters } from './gateway-tls.ts';

export const meshEntry = singletonSchema('mesh', 'mesh', 'Settings of the whole mesh.', {
  transparent_proxy: section('Transparent proxies.', {
    mesh_destinations_only: flag('Refuse connections to addresses that are not in the mesh.'),
  }),
  allow_enabling_permissive_mutual_tls: flag('Services may set `mutual_tls_mode: permissive`.'),
  tls: section('TLS between proxies.', {
    incoming: section('Of the public listeners.', tlsParameters),
    outgoing: section('Of connections to upstreams.', tlsParameters),
  }),
  http: section('HTTP handling of the proxies.', {
    sanitize_x_forwarded_client_cert: flag('Remove x-forwarded-client-cert from inbound requests instead of filling it in.'),
    incoming: section('Of the public listeners.', {
      request_normalization: section('How requests are brought to one form before intentions look at them.', {
        insecure_disable_path_normalization: flag('Leave `..` and `%2e` in paths, which lets requests slip past path rules.'),
        merge_slashes: flag('Make several slashes one.'),
        path_with_escaped_slashes_action: oneOf(
          ['IMPLEMENTATION_SPECIFIC_DEFAULT', 'KEEP_UNCHANGED', 'REJECT_REQUEST', 'UNESCAPE_AND_REDIRECT', 'UNESCAPE_AND_FORWARD'],
          'What to do with `%2f` in a path.',
          { default: 'IMPLEMENTATION_SPECIFIC_DEFAULT' },
        ),
        headers_with_underscores_action: oneOf(['ALLOW', 'REJECT_REQUEST', 'DROP_HEADER'], 'What to do with a header that has an underscore.', {
          default: 'ALLOW',
        }),
      }),
    }),
  }),
  peering: section('Cluster peering. Parsed, without effect.', { peer_through_mesh_gateways: flag('Peer through mesh gateways.') }),
  validate_clusters: flag('Envoy refuses routes to clusters it does not know.'),
});

export type MeshEntry = z.output<typeof meshEntry>;

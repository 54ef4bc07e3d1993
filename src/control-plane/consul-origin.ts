import { createConsulClient } from '../sources/consul/consul-client.ts';
import type { ConsulReadings } from '../sources/consul/consul-readings.ts';
import type { ConsulTarget } from '../sources/consul/consul-target.ts';
import { ConsulAuthority } from './consul-authority.ts';
import { ConsulMeshSource } from './consul-mesh-source.ts';
import { createConsulReadAccess } from './consul-read-access.ts';
import { authorize, createConsulVerifier, createTokenCheck } from './consul-token-check.ts';
import type { Origin, OriginContext } from './origin.ts';
import { StreamGuard } from './stream-guard.ts';
import { virtualIpsOfMesh } from './virtual-ips.ts';

/** A mesh out of a live Consul, with Consul's CA, its virtual IPs and its ACLs. */
export async function openConsulOrigin(consul: ConsulTarget, { dataDir, clock, random, logger }: OriginContext): Promise<Origin> {
  const client = createConsulClient(consul);
  let current: ConsulReadings | undefined;
  const aclsEnabled = () => current?.cluster.aclsEnabled;
  const readAccess = createConsulReadAccess({
    authorize: (token, permissions) => authorize(client, token, permissions),
    aclsEnabled,
    serviceOf: (proxy) => admission.serviceOf(proxy),
  });
  const admission: StreamGuard = new StreamGuard({
    verifier: createConsulVerifier(createTokenCheck(client)),
    required: aclsEnabled,
    waitingFor: 'Consul has not been read yet',
    readAccess,
    clock,
    logger,
  });
  const authority = new ConsulAuthority({ client, clock, random, tokenFor: (service) => admission.tokenFor(service) });
  const source = new ConsulMeshSource({
    client,
    datacenter: consul.datacenter,
    dataDir,
    clock,
    random,
    logger,
    onReadings: (readings) => {
      if (!readings.cluster.aclsEnabled && current?.cluster.aclsEnabled !== false) {
        logger.warn({ consul: client.address }, 'Consul has no ACLs: whoever reaches xDS gets the private key of any service by naming a node id');
      }
      current = readings;
      authority.update(readings.cluster.datacenter, readings.roots);
    },
  });
  return { source, authority, virtualIps: virtualIpsOfMesh, admission };
}

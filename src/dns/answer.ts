import type { Answer, Question } from 'dns-packet';
import type { NamedInstance, NameTable } from './name-table.ts';
import { addressRecords, instanceRecords, shuffled, soaRecord } from './records.ts';
import type { Zone } from './zone.ts';
import { isInZone, parseZoneName } from './zone-name.ts';

/** Response codes that adsum uses. Source: IANA DNS RCODEs. */
export const RCODE = { noError: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5 } as const;

/** What to answer, before it is packed into bytes. */
export interface Reply {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
}

/** A reply without records: a refusal or an error. */
export function emptyReply(rcode: number): Reply {
  return { rcode, authoritative: false, answers: [], authorities: [], additionals: [] };
}

/**
 * Answers one question from the names of the mesh; a question outside the zone is refused. An unknown name is NXDOMAIN; a
 * known one without records of the asked type is NOERROR and empty (RFC 2308), both with the SOA. ANY is answered with one record
 * (RFC 8482): who asks for it mostly wants a large answer sent to somebody else.
 */
export function answer(question: Question, names: NameTable, zone: Zone): Reply {
  const reply = answerInFull(question, names, zone);
  return String(question.type) === 'ANY' ? { ...reply, answers: reply.answers.slice(0, 1), additionals: [] } : reply;
}

function answerInFull(question: Question, names: NameTable, zone: Zone): Reply {
  const classIsKnown = question.class === undefined || question.class === 'IN' || question.class === 'ANY';
  if (!classIsKnown || !isInZone(question.name, zone.domain) || isTransfer(question.type)) return emptyReply(RCODE.refused);
  const name = parseZoneName(question.name, zone.domain, zone.datacenter);
  switch (name.kind) {
    case 'apex':
      return answerApex(question, zone);
    case 'name-server':
      return found(addressRecords(question, zone.nameServerAddresses ?? [], zone.serviceTtlS), zone);
    case 'virtual': {
      const addresses = names.virtualAddresses(name.service);
      return addresses ? found(addressRecords(question, addresses, zone.virtualTtlS), zone) : unknownName(zone);
    }
    case 'service':
      return answerInstances(question, withTag(names.instances(name.service), name.tag), zone);
    case 'connect':
      return answerInstances(question, names.proxies(name.service), zone);
    case 'address':
      return found(addressRecords(question, [name.address], zone.serviceTtlS), zone);
    case 'branch':
      return found([], zone);
    case 'unknown':
      return unknownName(zone);
  }
}

function answerApex(question: Question, zone: Zone): Reply {
  const ns: Answer = { type: 'NS', name: question.name, ttl: zone.serviceTtlS, data: `ns.${zone.domain}` };
  const nsQuestion: Question = { type: 'ANY' as Question['type'], name: `ns.${zone.domain}` };
  const nsAddresses = addressRecords(nsQuestion, zone.nameServerAddresses ?? [], zone.serviceTtlS);
  switch (String(question.type)) {
    case 'SOA':
      return found([soaRecord(zone, question.name)], zone);
    case 'NS':
      return found([ns], zone, nsAddresses);
    case 'ANY':
      return found([soaRecord(zone, question.name), ns], zone, nsAddresses);
    default:
      return found([], zone);
  }
}

function answerInstances(question: Question, instances: readonly NamedInstance[] | undefined, zone: Zone): Reply {
  if (!instances) return unknownName(zone);
  const healthy = instances.filter((instance) => instance.health !== 'critical');
  const { answers, additionals } = instanceRecords(question, shuffled(healthy, zone.random), zone);
  return found(answers, zone, additionals);
}

/** No instance with the tag is no such name, as in Consul. */
function withTag(instances: readonly NamedInstance[] | undefined, tag: string | undefined): readonly NamedInstance[] | undefined {
  if (tag === undefined || !instances) return instances;
  const tagged = instances.filter((instance) => instance.tags?.some((own) => own.toLowerCase() === tag));
  return tagged.length > 0 ? tagged : undefined;
}

function isTransfer(type: string): boolean {
  return type === 'AXFR' || type === 'IXFR';
}

function found(answers: readonly Answer[], zone: Zone, additionals: readonly Answer[] = []): Reply {
  const authorities = answers.length === 0 ? [soaRecord(zone, zone.domain)] : [];
  return { rcode: RCODE.noError, authoritative: true, answers, authorities, additionals };
}

function unknownName(zone: Zone): Reply {
  return { rcode: RCODE.nameError, authoritative: true, answers: [], authorities: [soaRecord(zone, zone.domain)], additionals: [] };
}

import { entrySchema } from './entry.ts';
import { flag, listOf, text } from './field.ts';

export const samenessGroup = entrySchema('sameness-group', 'A feature of Consul Enterprise: parsed, without effect.', {
  default_for_failover: flag('Fail over within the group unless told otherwise.'),
  include_local: flag('The own partition is the first member.'),
  members: listOf('The members, in the order of failover.', { partition: text('A partition.'), peer: text('A cluster peer.') }),
});

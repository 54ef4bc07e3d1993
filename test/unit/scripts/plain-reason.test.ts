import { expect, test } from 'vitest';
import { plainReason } from '../../../scripts/plain-reason.mjs';

const AT = '[2026-11-26 10:52:02.355][30374]';
const STREAM = `${AT}[warning][config] [./source/extensions/config_subscription/grpc/grpc_stream.h:227] DeltaAggregatedResources gRPC config stream to local_agent`;
const RESET = 'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason:';

test.each([
  [`adsum: warning: x\nadsum: envoy-out-of-reach: user envoy cannot reach it\nput a copy`, 'envoy-out-of-reach: user envoy cannot reach it'],
  [
    `${AT}[info][main] [source/server/server.cc:774] Starting admin HTTP server at 127.0.0.1:19777\n` +
      `${AT}[critical][main] [source/server/server.cc:453] error \`cannot bind '127.0.0.1:19777': Address already in use\` initializing config '  /dev/fd/3'\n` +
      "cannot bind '127.0.0.1:19777': Address already in use\n",
    '127.0.0.1:19777 is in use by another process',
  ],
  [`${STREAM} closed since 5s ago: 14, ${RESET} delayed connect error: Connection refused{x}`, 'nothing listens where adsum should be'],
  [
    `${STREAM} closed since 5s ago: 14, ${RESET} TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED`,
    "it does not trust adsum's certificate, or that is for another address",
  ],
  [`${STREAM} closed: 7, this token may not`, 'its stream from adsum was closed: 7, this token may not'],
  [
    `${AT}[warning][config] [source/x.cc:1] gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: Error adding listener x`,
    "it refused a Listener of adsum's: Error adding listener x",
  ],
  ['For complete USAGE\n\n--no-such-flag -- Couldn’t', '--no-such-flag -- Couldn’t'],
  ["--no-such-flag -- Couldn't find match for argument\n", 'Envoy knows no option --no-such-flag'],
  [`${AT}[error][main] [source/server/server.cc:1] out of luck\n${AT}[info][main] [source/server/server.cc:1114] exiting`, 'out of luck'],
  ['[10:49:51.471] ERROR: the data dir is full {"file":"x"}', 'ERROR: the data dir is full {"file":"x"}'],
  ['', 'it said nothing'],
])('%j', (log, reason) => {
  expect(plainReason(log)).toBe(reason);
});

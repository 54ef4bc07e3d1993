import { expect, test } from 'vitest';
import { ChangeMeter } from '../../../src/control-plane/change-meter.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';

function meterAt() {
  const metrics = createMetrics();
  const clock = { nowMs: 1000 };
  const meter = new ChangeMeter(metrics, () => clock.nowMs);
  /** Name and labels → value, of histograms their count and sum. */
  const read = async () => {
    const lines = (await metrics.registry.metrics()).split('\n').filter((line) => /^adsum_(change|rebuild)_/.test(line) && !line.includes('_bucket'));
    return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')).replace(/^adsum_/, ''), Number(line.slice(line.lastIndexOf(' ')))]));
  };
  return { meter, clock, read };
}

test('a change lasts from its event to the last answer; working it out is a part of that', async () => {
  const { meter, clock, read } = meterAt();
  meter.begin(['instances']);
  clock.nowMs += 100;
  const [first, second] = [meter.handOver(1), meter.handOver(2)];
  clock.nowMs += 100;
  meter.workedOut();
  first?.(10);
  second?.(5);
  clock.nowMs += 800;
  expect(await read()).toMatchObject({ rebuild_seconds_count: 1, rebuild_seconds_sum: 0.2 });
  expect(await read()).not.toHaveProperty('change_seconds_count{kind="instances"}');
  second?.(5);
  expect(await read()).toMatchObject({
    'change_seconds_count{kind="instances"}': 1,
    'change_seconds_sum{kind="instances"}': 1,
    'change_proxies_total{kind="instances"}': 2,
    'change_bytes_total{kind="instances"}': 20,
  });
});

test('what nobody is touched by ends when it is worked out, and time between changes counts for nothing', async () => {
  const { meter, clock, read } = meterAt();
  meter.begin(['service-intentions']);
  meter.workedOut();
  clock.nowMs += 60_000;
  expect(meter.handOver(1)).toBeUndefined();
  meter.workedOut();
  meter.begin([]);
  meter.workedOut();
  expect(await read()).toMatchObject({ rebuild_seconds_count: 1, rebuild_seconds_sum: 0, 'change_seconds_count{kind="service-intentions"}': 1 });
});

test('changes that come together count for each of their kinds; the next one is a change of its own', async () => {
  const { meter, clock, read } = meterAt();
  meter.begin(['instances']);
  meter.begin(['service-defaults', 'instances']);
  const slow = meter.handOver(1);
  meter.workedOut();
  clock.nowMs += 500;
  meter.begin(['leaf']);
  const quick = meter.handOver(1);
  meter.workedOut();
  clock.nowMs += 500;
  quick?.(1);
  slow?.(2);
  expect(await read()).toMatchObject({
    'change_seconds_sum{kind="instances"}': 1,
    'change_seconds_sum{kind="service-defaults"}': 1,
    'change_seconds_sum{kind="leaf"}': 0.5,
    'change_bytes_total{kind="leaf"}': 1,
  });
});

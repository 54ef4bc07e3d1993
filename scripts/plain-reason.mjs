// What a person is told instead of a log of twenty lines: the one line in it that says what is wrong, in plain words.

/** What Envoy writes, and what it means. The first that fits counts: what ends an Envoy stands before what it goes on trying. */
const MEANINGS = [
  [/cannot bind '([^']+)': Address already in use/, (address) => `${address} is in use by another process`],
  [/cannot bind '([^']+)': (.+)/, (address, reason) => `it cannot listen on ${address}: ${reason}`],
  [/(\S+) -- Couldn't find match for argument/, (option) => `Envoy knows no option ${option}`],
  [/\[critical\]\[main\] \[[^\]]*\] error `(.+)` initializing config/, (reason) => `it cannot start on its bootstrap: ${reason}`],
  [/gRPC config for \S+?([A-Za-z]+) rejected: (.+)/, (type, reason) => `it refused a ${type} of adsum's: ${reason}`],
  [/config stream to .*CERTIFICATE_VERIFY_FAILED/, () => "it does not trust adsum's certificate, or that is for another address"],
  [/config stream to .*Connection refused/, () => 'nothing listens where adsum should be'],
  [/config stream to \S+ closed[^:]*: (.+)/, (reason) => `its stream from adsum was closed: ${reason}`],
];

const MOST_LETTERS = 200;

/** One line: what went wrong, from the output of adsum, Envoy or another program that has ended or does not get on. */
export function plainReason(log) {
  return complaintIn(log) ?? shortened(withoutMarks(linesOf(log).at(-1) ?? 'it said nothing'));
}

/** The same, of a program that may be all right: undefined where it complains of nothing. */
export function complaintIn(log) {
  const lines = linesOf(log);
  const own = lines.find((line) => /^adsum: (?!warning: |Envoy's admin interface: )/.test(line));
  if (own) return own.slice('adsum: '.length);
  for (const [pattern, meaning] of MEANINGS) {
    const found = lines.findLast((line) => pattern.test(line))?.match(pattern);
    if (found) return shortened(meaning(...found.slice(1)));
  }
  const complaint = lines.findLast((line) => /\[(warning|error|critical)\]|\b(WARN|ERROR|FATAL)\b|Error\b/.test(line));
  return complaint && shortened(withoutMarks(complaint));
}

function linesOf(log) {
  return log.split('\n').filter((line) => line.trim() !== '');
}

/** Envoy: [date][thread][level][component] [file] text. adsum: [time] text. */
function withoutMarks(line) {
  return line.replace(/^(?:\[[^\]]*\] ?)+/, '');
}

function shortened(text) {
  return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text;
}

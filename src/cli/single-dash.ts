import type { Command } from 'commander';

const SINGLE_DASH = /^-(?=[A-Za-z][A-Za-z0-9-])/;

/**
 * Consul writes long options with one dash (`-sidecar-for web`, `-proxy-uid=995`); commander reads that as a bundle of short
 * options. Every option of more than one letter gets its second dash here. Values that follow an option stay as they are.
 */
export function doubleDashes(args: readonly string[], takesValue: (longOption: string) => boolean): string[] {
  let valueComes = false;
  return args.map((arg) => {
    if (valueComes) {
      valueComes = false;
      return arg;
    }
    const long = arg.replace(SINGLE_DASH, '--');
    valueComes = long.startsWith('--') && !long.includes('=') && takesValue(long);
    return long;
  });
}

/** Tells for any command below `program` whether a long option is followed by a value. */
export function valueOptions(program: Command): (longOption: string) => boolean {
  const names = new Set<string>();
  const collect = (command: Command): void => {
    for (const option of command.options) if (option.required && option.long) names.add(option.long);
    for (const child of command.commands) collect(child);
  };
  collect(program);
  return (longOption) => names.has(longOption);
}

/** Cuts the command line at the first `--`: what follows belongs to another program. */
export function splitAtDashes(args: readonly string[]): { own: string[]; afterDashes: string[] } {
  const at = args.indexOf('--');
  return at < 0 ? { own: [...args], afterDashes: [] } : { own: args.slice(0, at), afterDashes: args.slice(at + 1) };
}

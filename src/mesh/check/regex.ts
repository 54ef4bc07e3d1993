/**
 * Why Envoy would refuse a regular expression, or `undefined`. Envoy uses RE2, which has no look-around and no back-references; the
 * rest is tried with the JavaScript engine, after rewriting what only RE2 knows. Envoy refuses the whole listener or route table otherwise.
 */
export function regexFault(pattern: string): string | undefined {
  const plain = pattern.replaceAll(/\\[\s\S]/g, (sequence) => (/\\[1-9]/.test(sequence) ? sequence : '\\.'));
  if (/\(\?<?[=!]/.test(plain)) return 'look-ahead and look-behind do not exist in RE2';
  if (/\\[1-9]/.test(plain)) return 'back-references do not exist in RE2';
  const rewritten = pattern
    .replaceAll(/\(\?[imsU]*(?:-[imsU]+)?\)/g, '')
    .replaceAll(/\(\?[imsU]*(?:-[imsU]+)?:/g, '(?:')
    .replaceAll('(?P<', '(?<');
  try {
    new RegExp(rewritten);
    return undefined;
  } catch (error) {
    return error instanceof SyntaxError ? error.message.replace(/^Invalid regular expression: /, '') : 'it cannot be compiled';
  }
}

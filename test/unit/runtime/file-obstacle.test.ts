import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileError, readNamedFile } from '../../../src/runtime/named-file.ts';
import { asOrdinaryUser } from './ordinary-user.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'adsum-test-'));
  chmodSync(folder, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

function failure(file: string): { code: string; message: string; hint: string } {
  try {
    readNamedFile(file, '--tls-ca');
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
  throw new Error(`${file} was read`);
}

test('what is missing is named: the file, a folder before it, the end of a link', () => {
  symlinkSync(path.join(folder, 'gone'), path.join(folder, 'link'));
  symlinkSync('circle', path.join(folder, 'circle'));
  writeFileSync(path.join(folder, 'file'), '');
  const missing = (name: string) => {
    const { code, message } = failure(path.join(folder, name));
    expect(code).toBe('file-missing');
    return message.replaceAll(folder, '');
  };
  expect(missing('none')).toBe('--tls-ca: /none does not exist');
  expect(missing('none/at/all')).toBe('--tls-ca: /none/at/all does not exist: there is no /none');
  expect(missing('link')).toBe('--tls-ca: /link does not exist: there is no /gone');
  expect(missing('circle')).toBe('--tls-ca: the links on the way to /circle go in circles at /circle');
  expect(missing('file/ca.pem')).toBe('--tls-ca: /file/ca.pem does not exist: /file is not a folder');
});

test('a folder is no file', () => {
  expect(failure(folder)).toMatchObject({ code: 'file-not-readable', message: `--tls-ca: ${folder} is a folder` });
});

test('the folder that stops a user is named, also behind a link, and it is never advised to open it up', async () => {
  const home = path.join(folder, 'größe 1');
  mkdirSync(path.join(home, 'deep'), { recursive: true });
  const file = path.join(home, 'deep', 'ca.pem');
  writeFileSync(file, 'x');
  symlinkSync(path.join(home, 'deep'), path.join(folder, 'link'));
  await asOrdinaryUser(home, () => {
    for (const name of [file, path.join(folder, 'link', 'ca.pem')]) {
      const { code, message, hint } = failure(name);
      expect(code).toBe('file-out-of-reach');
      expect(message).toMatch(/^--tls-ca: user \S+ \(uid \d+\) cannot reach /);
      expect(message).toContain(`${name}: the folder ${home} (mode 0`);
      expect(message).toMatch(/may not be entered$/);
      expect(hint).toContain('install -D -o ');
      expect(hint).toContain(`'${name}'`.replace(/^'(\S+)'$/, '$1'));
      expect(hint).not.toContain('chmod');
    }
  });
  expect(readNamedFile(file, '--tls-ca')).toBe('x');
});

test('a file of somebody else is told from a folder that is closed', async () => {
  const closed = path.join(folder, 'closed');
  mkdirSync(closed);
  const file = path.join(folder, 'key.pem');
  writeFileSync(file, 'x', { mode: 0o600 });
  await asOrdinaryUser(closed, async () => {
    if (process.getuid?.() !== 0) chmodSync(file, 0o000);
    expect(() => readFileSync(file)).toThrow();
    const { code, message } = failure(file);
    expect(code).toBe('file-not-readable');
    expect(message).toMatch(/^--tls-ca: user \S+ \(uid \d+\) may not read .*key\.pem \(mode 0\d00, owner /);
  });
});

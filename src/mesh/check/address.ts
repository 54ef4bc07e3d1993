import { z } from 'zod';

const ipv4 = z.ipv4();
const ipv6 = z.ipv6();
const HOST_NAME = /^(?=.{1,253}$)(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$/;

export function isIpAddress(text: string): boolean {
  return ipv4.safeParse(text).success || ipv6.safeParse(text).success;
}

/** An IP address or a host name. What looks like an IPv4 address and is none, such as 10.0.0.300, is neither. */
export function isAddress(text: string): boolean {
  return isIpAddress(text) || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}

import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
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

/** Ranges in which an address cannot stand for a service: nothing would ever be sent to it, or not out of the machine. */
const UNUSABLE = ['unspecified', 'loopback', 'multicast', 'broadcast', 'linkLocal'];

/** @param address an IP address */
export function isUsableVirtualIp(address: string): boolean {
  return !UNUSABLE.includes(ipaddr.process(address).range());
}

/** One way of writing for each IP address; IPv4 inside IPv6 is IPv4. */
export function normalAddress(address: string): string {
  // There is one way only that Node takes for an IPv4 address, and most are.
  return isIPv4(address) ? address : ipaddr.process(address).toString();
}

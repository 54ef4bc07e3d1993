// As much of the protobuf wire format as the bare transport needs: it must not pay for decoding what it does not use.

/** Top-level fields of a message whose values have a length: numbers and bytes. @param {Buffer} message */
export function* fieldsOf(message) {
  for (let at = 0; at < message.length; ) {
    let tag;
    [tag, at] = varint(message, at);
    const kind = tag & 7;
    if (kind === 0) [, at] = varint(message, at);
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else {
      let length;
      [length, at] = varint(message, at);
      yield [tag >>> 3, message.subarray(at, at + length)];
      at += length;
    }
  }
}

/** The value of a number field at the top level, 0 when it is not there. @param {Buffer} message @param {number} field */
export function numberIn(message, field) {
  for (let at = 0; at < message.length; ) {
    let tag;
    let value;
    [tag, at] = varint(message, at);
    const kind = tag & 7;
    if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else {
      [value, at] = varint(message, at);
      if (kind === 2) at += value;
      else if (tag >>> 3 === field) return value;
    }
  }
  return 0;
}

/** @returns {[number, number]} the value, and where the next field begins */
function varint(bytes, from) {
  let value = 0;
  let at = from;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value |= (byte & 127) << shift;
    if (byte < 128) return [value >>> 0, at];
  }
}

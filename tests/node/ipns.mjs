// What npm's ipns makes of records and keys. node ipns.mjs < JSON, one of
//   {"read": NAME, "record": base64}          -> {"valid": …, "value", "sequence", "ttl", "validity", "name"} or {"valid": false, "why"}
//   {"make": base64 of a libp2p key, "value", "sequence", "lifetime_ms", "ttl_ns", "v1"} -> {"record": base64, "name"}
import { privateKeyFromProtobuf, publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import { createIPNSRecord, marshalIPNSRecord, multihashToIPNSRoutingKey, unmarshalIPNSRecord } from 'ipns'
import { ipnsValidator } from 'ipns/validator'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { stdin, stdout } from 'node:process'

let text = ''
for await (const part of stdin) text += part
const asked = JSON.parse(text)

async function read (name, signed) {
  try {
    const cid = CID.parse(name, base36)
    await ipnsValidator(multihashToIPNSRoutingKey(cid.multihash), signed)
    const record = unmarshalIPNSRecord(signed)
    const key = publicKeyFromProtobuf(cid.multihash.digest)
    return {
      valid: true,
      value: record.value,
      sequence: Number(record.sequence),
      ttl: Number(record.ttl),
      validity: record.validity,
      hasV1: record.signatureV1 != null,
      name: key.toCID().toString(base36)
    }
  } catch (why) {
    return { valid: false, why: String(why) }
  }
}

async function make (wanted) {
  const key = privateKeyFromProtobuf(Buffer.from(wanted.make, 'base64'))
  const options = { ttlNs: BigInt(wanted.ttl_ns), v1Compatible: wanted.v1 }
  const record = await createIPNSRecord(key, wanted.value, BigInt(wanted.sequence), wanted.lifetime_ms, options)
  return {
    record: Buffer.from(marshalIPNSRecord(record)).toString('base64'),
    name: key.publicKey.toCID().toString(base36)
  }
}

const answer = 'make' in asked ? await make(asked) : await read(asked.read, Buffer.from(asked.record, 'base64'))
stdout.write(JSON.stringify(answer))

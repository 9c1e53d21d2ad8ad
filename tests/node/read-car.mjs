// What @ipld/car reads: node read-car.mjs FILE.car
// Prints {"version", "roots", "blocks": [[cid, offset, length], …]}; every sha2-256 block is hashed again.
import { createReadStream } from 'node:fs'
import { argv, stdout } from 'node:process'
import { CarBlockIterator, CarIndexer } from '@ipld/car'
import { sha256 } from 'multiformats/hashes/sha2'
import { equals } from 'multiformats/bytes'

const [path] = argv.slice(2)

const reader = await CarBlockIterator.fromIterable(createReadStream(path))
for await (const { cid, bytes } of reader) {
  const { digest } = await sha256.digest(bytes)
  if (cid.multihash.code !== sha256.code || !equals(digest, cid.multihash.digest)) throw new Error(`not the block ${cid}`)
}
const blocks = []
const indexer = await CarIndexer.fromIterable(createReadStream(path))
for await (const { cid, blockOffset, blockLength } of indexer) blocks.push([cid.toString(), blockOffset, blockLength])
const roots = (await reader.getRoots()).map(String)
stdout.write(JSON.stringify({ version: reader.version, roots, blocks }))

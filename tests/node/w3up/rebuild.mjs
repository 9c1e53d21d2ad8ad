// What a reader of the service makes of a root: node rebuild.mjs ADMIN SPACE ROOT DIRECTORY
// Takes the root's shards from the upload list and the blobs from the nodes, looks for each shard's index among the claims,
// holds every slice to the block that lies there, rebuilds the tree and compares it with the directory, byte for byte.
// Prints {"shards", "indexed", "blocks", "files", "bytes", "wrong": [reason, …]}.
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { argv, stdout } from 'node:process'
import { CarBlockIterator, CarIndexer } from '@ipld/car'
import { ShardedDAGIndex } from '@storacha/blob-index'
import { recursive } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import { base58btc } from 'multiformats/bases/base58'
import { sha256 } from 'multiformats/hashes/sha2'

const [admin, space, root, directory] = argv.slice(2)
const ask = async (path) => (await fetch(admin + path)).json()
const blob = async (name) => {
  const answer = await fetch(`${admin}blob/${name}`)
  return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null
}
const key = (multihash) => base58btc.encode(multihash.bytes)
const wrong = []
const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0

const upload = (await ask(`uploads?space=${space}`)).find((one) => one.root === root)
if (!upload) throw new Error(`${root} is not in the list`)
const accepted = new Set((await ask(`registry?space=${space}`)).map((one) => one.digest))

const blocks = new Map()
let indexed = 0
for (const shard of upload.shards) {
  const { multihash } = CID.parse(shard)
  const bytes = await blob(shard)
  if (!bytes || !accepted.has(key(multihash))) { wrong.push(`shard ${shard} is not in the space`); continue }
  if (!same((await sha256.digest(bytes)).digest, multihash.digest)) wrong.push(`shard ${shard} is damaged`)
  for await (const { cid, bytes: data } of await CarBlockIterator.fromBytes(bytes)) {
    if (!same((await sha256.digest(data)).digest, cid.multihash.digest)) wrong.push(`block ${cid} is damaged`)
    blocks.set(key(cid.multihash), data)
  }
  const [content] = await (await CarBlockIterator.fromBytes(bytes)).getRoots()
  let found = false
  for (const claim of (await ask(`claims/${content}`)).filter((one) => one.type === 'assert/index')) {
    const index = await blob(claim.index)
    const view = index && ShardedDAGIndex.extract(index)
    const slices = view?.ok?.shards.get(multihash)
    if (!slices) continue
    found = true
    for await (const { cid, blockOffset, blockLength } of await CarIndexer.fromBytes(bytes)) {
      const [offset, length] = slices.get(cid.multihash) ?? []
      if (offset !== blockOffset || length !== blockLength) wrong.push(`${cid} is indexed elsewhere in ${shard}`)
    }
  }
  if (found) indexed += 1
  else wrong.push(`shard ${shard} has no index`)
}

const store = { get: async (cid) => {
  const data = blocks.get(key(cid.multihash))
  if (!data) throw new Error(`block ${cid} is in no shard`)
  return data
} }
const published = new Map()
for await (const entry of recursive(CID.parse(root), store)) {
  if (entry.type === 'directory') continue
  const parts = []
  for await (const part of entry.content()) parts.push(part)
  published.set(entry.path.slice(root.length + 1), Buffer.concat(parts))
}
const names = readdirSync(directory, { recursive: true }).map(String).filter((name) => statSync(join(directory, name)).isFile())
let size = 0
for (const name of new Set([...names, ...published.keys()])) {
  const there = published.get(name)
  if (!there) { wrong.push(`${name} is not published`); continue }
  if (!names.includes(name)) { wrong.push(`${name} is not in the directory`); continue }
  if (!same(there, readFileSync(join(directory, name)))) wrong.push(`${name} differs`)
  size += there.length
}
stdout.write(JSON.stringify({ shards: upload.shards.length, indexed, blocks: blocks.size, files: published.size, bytes: size, wrong }))

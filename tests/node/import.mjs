// The root that ipfs-unixfs-importer computes: node import.mjs PROFILE PATH
// PATH is a file, or a directory whose regular files count. Prints {"root", "size"}.
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { argv, stdout } from 'node:process'
import { importer } from 'ipfs-unixfs-importer'
import { MemoryBlockstore } from 'blockstore-core'

const [profile, top] = argv.slice(2)

async function * files (prefix) {
  for (const entry of await readdir(join(top, prefix), { withFileTypes: true })) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (entry.isDirectory()) yield * files(path)
    else if (entry.isFile()) yield { path, content: createReadStream(join(top, path)) }
  }
}

const isDirectory = (await stat(top)).isDirectory()
const source = isDirectory ? files('') : [{ path: 'f', content: createReadStream(top) }]
let last
for await (const entry of importer(source, new MemoryBlockstore(), { profile, wrapWithDirectory: isDirectory })) last = entry
stdout.write(JSON.stringify({ root: last.cid.toString(), size: Number(last.size) }))

// Plays a root as a verifying client does: node play.mjs ROUTER ADDRESS. ROUTER is the only place that it knows of.
// Prints {"path": sha256 of its bytes, …} of everything that the entry leads to; whatever it cannot verify is an error.
import { createVerifiedFetch } from '@helia/verified-fetch'
import { createHash } from 'node:crypto'
import { argv, exit, stdout } from 'node:process'

const [router, address] = argv.slice(2)
const fetch = await createVerifiedFetch(
  { gateways: [], routers: [router], allowInsecure: true, allowLocal: true },
  { contentTypeParser: () => 'application/octet-stream' }
)
const entry = address.lastIndexOf('/') + 1
const found = {}
const waiting = [address.slice(entry)]
while (waiting.length > 0) {
  const path = waiting.shift()
  if (path in found) continue
  const answer = await fetch(address.slice(0, entry) + path, { signal: AbortSignal.timeout(20_000) })
  if (!answer.ok) throw new Error(`${answer.status} ${path}`)
  const data = new Uint8Array(await answer.arrayBuffer())
  found[path] = createHash('sha256').update(data).digest('hex')
  if (!path.endsWith('.m3u8')) continue
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const lines = new TextDecoder().decode(data).split('\n')
  waiting.push(...lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => folder + line))
}
stdout.write(JSON.stringify(found))
await fetch.stop()
exit(0)

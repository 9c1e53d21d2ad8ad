// Loopback Storacha-style service for hlspub's tests.
//
// Runs the published @storacha/upload-api service code over its in-memory test
// stores, puts an HTTP front on it (POST /, GET /receipt/:task), and wraps the
// package's own storage nodes so that blobs can be listed, read back and made
// to fail on demand. Listens on 127.0.0.1 only.
//
//   node server.mjs [port]        PORT / HOST-less; 0 or nothing = ephemeral
//   SEED=text                     deterministic agent, space keys (not the service key)
//   AGENT_KEY=Mg...               use this agent key instead
//   BLOB_DIR=path                 also write every accepted blob to disk
//   WIRE_DIR=path                 dump every UCAN request/response body
//   MAX_BODY=bytes                answer 413 to larger UCAN requests (default 6 MiB)
//   QUOTA=bytes                   space quota (0 = unlimited)
//   FAULTS=json                   initial fault list (see README.md)
//
// Prints one JSON line when ready. Library use: `import { start } from './server.mjs'`.
import http from 'node:http'
import { Readable } from 'node:stream'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as ed25519 from '@ucanto/principal/ed25519'
import { CAR, Delegation, Message, delegate, Receipt } from '@ucanto/core'
import { CAR as Transport } from '@ucanto/transport'
import { createServer } from '@storacha/upload-api'
import { createContext, cleanupContext } from '@storacha/upload-api/test/context'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { base58btc } from 'multiformats/bases/base58'
import { base64 } from 'multiformats/bases/base64'
import * as Encoding from '@storacha/access/encoding'

export const ABILITIES = [
  'space/blob/add',
  'space/index/add',
  'upload/add',
  'upload/list',
  'filecoin/offer',
  'store/add',
]
const CAR_TYPE = 'application/vnd.ipld.car'
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))
const b64 = (bytes) => Buffer.from(bytes).toString('base64')

/** Every way a test may want a delegation written down. */
export async function proofForms(delegation) {
  const archived = await delegation.archive()
  if (archived.error) throw archived.error
  const plain = Encoding.delegationsToBytes([delegation])
  const blocks = new Map([...delegation.export()].map((b) => [`${b.cid}`, b]))
  const rootless = CAR.encode({ roots: [], blocks })
  return {
    cid: delegation.cid.toString(),
    // `storacha delegation create --base64`
    cid_string: CID.createV1(CAR.code, identity.digest(archived.ok)).toString(base64),
    archive_base64: b64(archived.ok),
    // delegation root as the CAR root, and the older root-less export
    plain_car_base64: b64(plain),
    plain_car_base64url: Buffer.from(plain).toString('base64url'),
    rootless_car_base64: b64(rootless),
  }
}

const keyForms = (signer) => ({
  did: signer.did(),
  key_multibase: ed25519.format(signer),
  key_base64: b64(signer.encode()),
  seed_base64: b64(signer.secret),
})

async function readBody(stream, limit = Infinity) {
  const chunks = []
  let size = 0
  for await (const c of stream) {
    size += c.length
    if (size <= limit) chunks.push(c)
  }
  return { bytes: Buffer.concat(chunks), size }
}

/** Runs a node-style handler against a buffered request; returns its answer. */
async function callHandler(handler, { method, url, headers, body }) {
  const req = Object.assign(Readable.from(body.length ? [body] : []), { method, url, headers })
  const out = { status: 200, headers: {}, chunks: [] }
  await new Promise((resolve, reject) => {
    const res = {
      setHeader: (k, v) => (out.headers[k] = v),
      writeHead: (status, a, b) => {
        out.status = status
        if (a && typeof a === 'object') Object.assign(out.headers, a)
        if (typeof a === 'string') out.reason = a
        if (b) Object.assign(out.headers, b)
        return res
      },
      write: (c) => (c && out.chunks.push(Buffer.from(c)), true),
      end: (c) => (c && out.chunks.push(Buffer.from(c)), resolve()),
      destroy: () => {}, // the helper cuts the connection right after end()
    }
    Promise.resolve(handler(req, res)).then(() => resolve(), reject)
  })
  return { ...out, body: Buffer.concat(out.chunks) }
}

export async function start(options = {}) {
  const env = { ...process.env, ...options.env }
  const t0 = Date.now()
  const state = {
    faults: [], log: [], blobs: new Map(), writesDisabled: env.WRITES_DISABLED === '1',
    wire: 0, nodes: [],
  }
  const note = (entry) => state.log.push({ n: state.log.length, ms: Date.now() - t0, ...entry })
  const addFaults = (list) => {
    for (const f of [].concat(list)) state.faults.push({ count: 1, ...f, hits: 0 })
  }
  if (env.FAULTS) addFaults(JSON.parse(env.FAULTS))

  const takeFault = (at, info = {}) => {
    const f = state.faults.find(
      (f) => f.at === at && f.hits < f.count &&
        (!f.can || (info.cans ?? []).includes(f.can)) &&
        (!f.digest || f.digest === info.digest) &&
        (f.skip ? f.skip-- <= 0 : true)
    )
    if (!f) return null
    f.hits++
    return f
  }
  // Applies the transport part of a fault. `run` does the real work when the
  // fault says it happens all the same (drop: "after", store: true).
  const applyFault = async (f, req, res, run, what) => {
    note({ kind: 'fault', at: f.at, status: f.status, drop: f.drop, delay_ms: f.delay_ms, what })
    if (f.delay_ms) await sleep(f.delay_ms)
    if (f.drop === 'before') return void req.socket.destroy()
    if (f.drop === 'after') {
      await run()
      return void req.socket.destroy()
    }
    if (f.status) {
      if (f.store) await run()
      const body = f.body ?? JSON.stringify({ message: http.STATUS_CODES[f.status] })
      send(res, f.status, body, f.headers)
      return
    }
    const r = await run() // a pure delay
    send(res, r.status, r.body, r.headers)
  }
  const send = (res, status, body = '', headers = {}) => {
    const buf = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)
    res.writeHead(status, { ...headers, 'content-length': buf.length })
    res.end(buf)
  }
  const sendJSON = (res, value, status = 200) =>
    send(res, status, JSON.stringify(value), { 'content-type': 'application/json' })

  // --- storage nodes and other helper servers -------------------------------
  const nodeListener = (handler) => async (req, res) => {
    try {
      const isBlob = /^\/z[1-9A-HJ-NP-Za-km-z]+\/z[1-9A-HJ-NP-Za-km-z]+\.blob/.test(req.url)
      const digest = isBlob ? req.url.split('/')[1] : undefined
      if (isBlob && req.method === 'PUT') {
        const f = takeFault('put', { digest })
        if (f?.drop === 'before') return await applyFault(f, req, res, null, { digest })
        if (f?.drop === 'mid') {
          note({ kind: 'fault', at: 'put', drop: 'mid', what: { digest } })
          req.once('data', () => req.socket.destroy())
          return
        }
        if (req.headers['content-length'] == null) {
          note({ kind: 'put', digest, status: 411 })
          return send(res, 411, 'Content-Length is required')
        }
        const { bytes } = await readBody(req)
        const run = async () => {
          const r = await callHandler(handler, { method: 'PUT', url: req.url, headers: req.headers, body: bytes })
          note({ kind: 'put', digest, size: bytes.length, status: r.status })
          if (r.status === 200) {
            const old = state.blobs.get(digest)
            state.blobs.set(digest, { bytes, puts: (old?.puts ?? 0) + 1, node: req.headers.host })
            if (env.BLOB_DIR) {
              mkdirSync(env.BLOB_DIR, { recursive: true })
              writeFileSync(join(env.BLOB_DIR, `${digest}.blob`), bytes)
            }
          }
          return r
        }
        if (f) return await applyFault(f, req, res, run, { digest })
        const r = await run()
        return send(res, r.status, r.body, r.headers)
      }
      if (isBlob && (req.method === 'GET' || req.method === 'HEAD')) {
        const f = takeFault('get', { digest })
        const run = async () => serveBytes(state.blobs.get(digest)?.bytes, req)
        if (f) return await applyFault(f, req, res, run, { digest })
        return finishBytes(req, res, await run())
      }
      const { bytes } = await readBody(req)
      const asked = describeMessage(bytes)?.invocations.map((one) => one.capabilities[0].can) ?? []
      const f = asked.includes('blob/allocate') ? takeFault('allocate') : null
      let r = await callHandler(handler, { method: req.method, url: req.url, headers: req.headers, body: bytes })
      if (f) r = await readdressed(r, req.headers.host, Math.floor(Date.now() / 1000) + f.expires_in)
      send(res, r.status, r.body, r.headers)
    } catch (err) {
      console.error('storage node:', err)
      if (!res.headersSent) send(res, 500, String(err))
    }
  }
  // A node's allocations with addresses that end at `expires`, signed by that node.
  const readdressed = async (reply, host, expires) => {
    const node = ctx.storageProviders.find((one) => host.endsWith(`:${one.server.address().port}`))
    const receipts = []
    for (const { ran, out, fx } of describeMessage(reply.body).receipts.values()) {
      const address = out.ok?.address && { ...out.ok.address, expires }
      note({ kind: 'fault', at: 'allocate', expires })
      receipts.push(await Receipt.issue({ issuer: node.id, ran, fx, result: address ? { ok: { ...out.ok, address } } : out }))
    }
    return { status: 200, ...Transport.response.encode(await Message.build({ receipts })) }
  }
  const serveBytes = (bytes, req) => {
    if (!bytes) return { status: 404, body: 'not found', headers: {} }
    const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' }
    const m = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '')
    if (!m) return { status: 200, body: bytes, headers }
    const from = +m[1]
    const to = m[2] ? Math.min(+m[2], bytes.length - 1) : bytes.length - 1
    if (from > to) return { status: 416, body: '', headers: { 'content-range': `bytes */${bytes.length}` } }
    headers['content-range'] = `bytes ${from}-${to}/${bytes.length}`
    return { status: 206, body: bytes.subarray(from, to + 1), headers }
  }
  const finishBytes = (req, res, r) => {
    if (req.method !== 'HEAD') return send(res, r.status, r.body, r.headers)
    res.writeHead(r.status, { ...r.headers, 'content-length': r.body.length })
    res.end()
  }
  const loopbackHTTP = {
    createServer(handler) {
      const server = http.createServer(nodeListener(handler))
      const listen = server.listen.bind(server)
      server.listen = (cb) => listen(0, '127.0.0.1', cb) // the helper binds every interface
      return server
    },
  }

  // --- the real service ------------------------------------------------------
  const serviceDID = 'did:web:test.up.storacha.network' // fixed inside the test context
  const ctx = await createContext({
    http: loopbackHTTP,
    requirePaymentPlan: false,
    providers: { [serviceDID]: Number(env.QUOTA ?? 0) },
    assert: { fail: (e) => console.error('service error:', e) },
  })
  // The helper signs the service's own proofs for its indexer and claims
  // services with the default 30 s lifetime: past that every space/index/add
  // would answer Unauthorized. Their signers are at hand, so sign lasting ones.
  for (const { invocationConfig: config } of [ctx.indexingService, ctx.claimsService]) {
    config.proofs = [
      await delegate({
        issuer: config.audience, audience: config.issuer, expiration: Infinity,
        capabilities: [{ can: 'assert/*', with: config.audience.did() }],
      }),
    ]
  }
  const agentStore = ctx.agentStore
  const archives = new Map() // agent message root CID -> CAR bytes as received/sent
  const write = agentStore.write.bind(agentStore)
  agentStore.write = (m) => {
    archives.set(`${m.data.root.cid}`, m.source.body)
    return write(m)
  }
  const agent = createServer({
    ...ctx,
    errorReporter: { catch: (e) => { note({ kind: 'service-error', message: String(e?.message ?? e) }); console.error('service error:', e) } },
  })

  // Let tests answer any capability with an error, and mimic writesDisabled,
  // which upload-api has only from 3.x on.
  const WRITES = ['space/blob/add', 'space/blob/remove', 'space/blob/replicate', 'space/index/add', 'upload/add', 'upload/remove', 'store/add', 'store/remove']
  const wrapService = (node, path) => {
    for (const key of Object.keys(node)) {
      const can = [...path, key].join('/')
      if (typeof node[key] === 'function') {
        const real = node[key]
        node[key] = async (invocation, context) => {
          if (state.writesDisabled && WRITES.includes(can)) {
            return { error: { name: 'ServiceUnavailable', message: `The "${can}" capability is currently disabled.` } }
          }
          const f = takeFault('handler', { cans: [can] })
          if (f?.delay_ms) await sleep(f.delay_ms)
          if (f?.throw) throw new Error(f.throw)
          if (f?.error) {
            note({ kind: 'fault', at: 'handler', can, error: f.error.name })
            return { error: f.error }
          }
          return real(invocation, context)
        }
      } else if (node[key] && typeof node[key] === 'object') wrapService(node[key], [...path, key])
    }
  }
  wrapService(agent.service, [])

  // --- principals ------------------------------------------------------------
  const derive = async (label) =>
    env.SEED ? ed25519.derive(createHash('sha256').update(`${env.SEED}/${label}`).digest()) : ed25519.generate()
  const defaultAgent = env.AGENT_KEY ? ed25519.parse(env.AGENT_KEY) : await derive('agent')
  const makeSpace = async ({
    audience = defaultAgent.did(), can = ABILITIES, expiration = null, lifetime = null,
    provision = true, name = 'hlspub-test', via = false, key = null, not_before,
  } = {}) => {
    const space = key ? ed25519.parse(key) : state.spaces ? await ed25519.generate() : await derive('space')
    state.spaces = (state.spaces ?? 0) + 1
    if (provision) {
      const r = await ctx.provisionsStorage.put({
        provider: ctx.id.did(), customer: 'did:mailto:example.com:hlspub', consumer: space.did(),
        cause: await delegate({ issuer: space, audience: ctx.id, capabilities: [{ can: 'provider/add', with: space.did() }] }),
      })
      if (r.error) throw new Error(r.error.message)
    }
    const exp = lifetime != null ? Math.floor(Date.now() / 1000) + lifetime : expiration ?? Infinity
    const base = { expiration: exp, notBefore: not_before, facts: [{ space: { name } }] }
    let issuer = space
    let proofs = []
    if (via) { // space -> go-between (everything) -> agent
      const mid = await ed25519.generate()
      proofs = [await delegate({ issuer: space, audience: mid, capabilities: [{ can: '*', with: space.did() }], expiration: Infinity })]
      issuer = mid
    }
    const delegation = await delegate({
      ...base, issuer, proofs, audience: { did: () => audience },
      capabilities: can.map((c) => ({ can: c, with: space.did() })),
    })
    return { ...keyForms(space), provisioned: provision, can, proof: await proofForms(delegation) }
  }

  // --- HTTP front ------------------------------------------------------------
  const digestOf = (text) => {
    try {
      if (/^[0-9a-f]{64}$/i.test(text)) return base58btc.encode(Digest.create(0x12, Buffer.from(text, 'hex')).bytes)
      if (text.startsWith('z')) return text
      return base58btc.encode(CID.parse(text).multihash.bytes)
    } catch {
      return text
    }
  }
  const describeBlob = ([digest, b]) => {
    const mh = Digest.decode(base58btc.decode(digest))
    return {
      digest, hex: Buffer.from(mh.digest).toString('hex'), cid_car: CID.createV1(CAR.code, mh).toString(),
      cid_raw: CID.createV1(0x55, mh).toString(), size: b.bytes.length, puts: b.puts, node: b.node,
    }
  }
  const describeUpload = (u) => ({
    space: u.space, root: `${u.root}`, shards: (u.shards ?? []).map(String), issuer: u.issuer,
    cause: `${u.cause}`, insertedAt: u.insertedAt, updatedAt: u.updatedAt,
  })
  const describeMessage = (bytes) => {
    try {
      const { roots, blocks } = CAR.decode(bytes)
      return Message.view({ root: roots[0].cid, store: blocks })
    } catch {
      return null
    }
  }

  const ucan = async (req, res) => {
    const limit = Number(env.MAX_BODY ?? 6 * 1024 * 1024)
    const { bytes, size } = await readBody(req, limit)
    if (size > limit) {
      note({ kind: 'ucan', status: 413, size })
      return sendJSON(res, { message: 'Request Too Long' }, 413)
    }
    const message = describeMessage(bytes)
    const cans = message ? message.invocations.map((i) => i.capabilities[0]?.can) : []
    const n = state.wire++
    if (env.WIRE_DIR) {
      mkdirSync(env.WIRE_DIR, { recursive: true })
      writeFileSync(join(env.WIRE_DIR, `${n}-request.car`), bytes)
      writeFileSync(join(env.WIRE_DIR, `${n}-request.json`), JSON.stringify({ cans, headers: req.headers }))
    }
    const run = async () => {
      let r
      try {
        r = await agent.request({ method: 'POST', headers: req.headers, body: new Uint8Array(bytes) })
      } catch (err) {
        note({ kind: 'ucan', cans, status: 500, error: String(err?.message ?? err) })
        return { status: 500, headers: { 'content-type': 'application/json' }, body: '{"message":"Internal Server Error"}' }
      }
      const reply = (r.headers['content-type'] ?? '') === CAR_TYPE ? describeMessage(r.body) : null
      for (const inv of message?.invocations ?? []) {
        const out = reply?.receipts.get(`${inv.cid}`)?.out
        note({
          kind: 'ucan', can: inv.capabilities[0].can, with: inv.capabilities[0].with, issuer: inv.issuer.did(),
          task: `${inv.cid}`, ok: out ? !out.error : undefined, error: out?.error?.name, message: out?.error?.message,
        })
      }
      if (env.WIRE_DIR) {
        writeFileSync(join(env.WIRE_DIR, `${n}-response.car`), Buffer.from(r.body))
        writeFileSync(join(env.WIRE_DIR, `${n}-response.json`), JSON.stringify({ status: r.status ?? 200, headers: r.headers }))
      }
      return { status: r.status ?? 200, headers: r.headers, body: r.body }
    }
    const f = takeFault('ucan', { cans })
    if (f) return applyFault(f, req, res, run, { cans })
    const r = await run()
    send(res, r.status, r.body, r.headers)
  }

  const receipt = async (req, res, task) => {
    const f = takeFault('receipt')
    const run = async () => {
      const at = agentStore.model.index[`/${task}/receipt/`]?.[0]?.at
      const body = at && archives.get(at)
      note({ kind: 'receipt', task, status: body ? 200 : 404 })
      return body ? { status: 200, headers: { 'content-type': CAR_TYPE }, body } : { status: 404, headers: {}, body: '' }
    }
    if (f) return applyFault(f, req, res, run, { task })
    const r = await run()
    send(res, r.status, r.body, r.headers)
  }

  const admin = async (req, res, url) => {
    const [, , what, arg] = url.pathname.split('/').map(decodeURIComponent)
    const body = ['POST', 'PUT'].includes(req.method) ? (await readBody(req)).bytes.toString() : ''
    const args = body ? JSON.parse(body) : {}
    const key = `${req.method} ${what}`
    switch (key) {
      case 'GET ready': return sendJSON(res, ready)
      case 'GET faults': return sendJSON(res, state.faults)
      case 'POST faults': return addFaults(args), sendJSON(res, state.faults)
      case 'DELETE faults': return (state.faults.length = 0), sendJSON(res, [])
      case 'GET log': return sendJSON(res, state.log.slice(Number(url.searchParams.get('from') ?? 0)))
      case 'POST writes-disabled': return (state.writesDisabled = args.on !== false), sendJSON(res, { on: state.writesDisabled })
      case 'POST quota': return (ctx.provisionsStorage.providers[serviceDID] = args.bytes), sendJSON(res, args)
      case 'POST space': return sendJSON(res, await makeSpace(args))
      case 'POST revoke': { // {space_key, cid}: mark a delegation revoked
        const scope = ed25519.parse(args.space_key)
        const cid = CID.parse(args.cid)
        await ctx.revocationsStorage.add({ revoke: cid, scope: scope.did(), cause: cid })
        return sendJSON(res, { ok: true })
      }
      case 'GET blobs': return sendJSON(res, [...state.blobs].map(describeBlob))
      case 'GET blob':
      case 'HEAD blob': return finishBytes(req, res, serveBytes(state.blobs.get(digestOf(arg ?? ''))?.bytes, req))
      case 'DELETE blob': return sendJSON(res, { deleted: state.blobs.delete(digestOf(arg ?? '')) })
      case 'GET uploads': {
        const space = url.searchParams.get('space')
        return sendJSON(res, ctx.uploadTable.items.filter((u) => !space || u.space === space).map(describeUpload))
      }
      case 'GET registry': {
        const space = url.searchParams.get('space')
        const entries = (ctx.registry.data.get(space) ?? []).map((e) => ({
          digest: base58btc.encode(e.blob.digest.bytes), size: e.blob.size, cause: `${e.cause}`,
        }))
        return sendJSON(res, entries)
      }
      case 'GET claims': { // what the indexing service was told about a digest
        const mh = Digest.decode(base58btc.decode(digestOf(arg)))
        const r = await ctx.indexingService.queryClaims({ hashes: [mh] })
        if (r.error) return sendJSON(res, { error: String(r.error.message) }, 500)
        return sendJSON(res, [...r.ok.claims.values()].map((c) => ({
          type: c.type, index: c.index ? `${c.index}` : undefined, location: c.location?.map(String),
        })))
      }
      default: return sendJSON(res, { error: `no such test endpoint: ${key}` }, 404)
    }
  }

  const front = http.createServer(async (req, res) => {
    try {
      const url = new URL(req.url, 'http://127.0.0.1')
      if (url.pathname.startsWith('/_test/')) return await admin(req, res, url)
      if (url.pathname.startsWith('/receipt/')) return await receipt(req, res, url.pathname.slice(9))
      if (url.pathname === '/.well-known/did.json') {
        return sendJSON(res, {
          id: serviceDID,
          verificationMethod: [{ id: `${serviceDID}#key`, type: 'Ed25519VerificationKey2020', controller: serviceDID, publicKeyMultibase: ctx.id.toDIDKey().slice(8) }],
        })
      }
      if (req.method === 'POST' && url.pathname === '/') return await ucan(req, res)
      send(res, 404, 'not found')
    } catch (err) {
      console.error('front:', err)
      if (!res.headersSent) send(res, 500, String(err))
    }
  })
  const port = Number(options.port ?? env.PORT ?? process.argv[2] ?? 0)
  await new Promise((resolve, reject) => front.once('error', reject).listen(port, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${front.address().port}`

  const space = await makeSpace()
  const chained = await makeSpace({ via: true, key: space.key_multibase, provision: false })
  const ready = {
    url, receipts: `${url}/receipt/`, admin: `${url}/_test/`,
    service_did: serviceDID, service_key_did: ctx.id.toDIDKey(),
    storage_nodes: ctx.storageProviders.map((p) => ({ did: p.id.did(), url: `http://127.0.0.1:${p.server.address().port}` })),
    agent: keyForms(defaultAgent), space, chained_proof: chained.proof,
  }
  return {
    ready, ctx, agent, state, archives, defaultAgent, makeSpace,
    close: async () => {
      front.closeAllConnections()
      await new Promise((r) => front.close(r))
      await cleanupContext(ctx)
    },
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await start()
  console.log(JSON.stringify(server.ready))
  for (const sig of ['SIGINT', 'SIGTERM']) {
    process.once(sig, () => server.close().finally(() => process.exit(0)))
  }
}

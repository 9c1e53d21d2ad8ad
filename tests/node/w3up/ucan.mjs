// What w3up's own libraries say of UCANs that were made elsewhere, and a few that they make.
// stdin: {"tokens": [hex, …], "message": base64 CAR with a ucan/conclude, "archive": base64}
// stdout: {"tokens": [bool, …], "invocations": [[can, …], …], "receipts": [bool, …], "archive": cid, "made": {…}}
import { readFileSync } from 'node:fs'
import * as UCAN from '@ipld/dag-ucan'
import * as ed25519 from '@ucanto/principal/ed25519'
import { CAR, Delegation, Message, Receipt, delegate } from '@ucanto/core'

const asked = JSON.parse(readFileSync(0))
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const vouches = async (view) => UCAN.verifySignature(view, ed25519.Verifier.parse(view.issuer.did()))

const tokens = []
for (const text of asked.tokens) tokens.push(await vouches(UCAN.decode(Buffer.from(text, 'hex'))))

const { roots, blocks } = CAR.decode(Buffer.from(asked.message, 'base64'))
const message = Message.view({ root: roots[0].cid, store: blocks })
const receipts = []
for (const invocation of message.invocations) {
  tokens.push(await vouches(invocation.data))
  const link = invocation.capabilities[0].nb?.receipt
  if (link === undefined) continue
  const receipt = Receipt.view({ root: link, blocks })
  receipts.push('ok' in (await receipt.verifySignature(ed25519.Verifier.parse(receipt.issuer.did()))))
}
const archive = await Delegation.extract(Buffer.from(asked.archive, 'base64'))

const issuer = await ed25519.generate()
const audience = await ed25519.generate()
const parent = await delegate({ issuer, audience, capabilities: [{ can: '*', with: issuer.did() }], expiration: Infinity })
const made = await delegate({
  issuer: audience, audience: issuer, proofs: [parent], nonce: 'n', notBefore: 7, facts: [{ 'é': ['\u2028', 1, true] }],
  capabilities: [{ can: 'upload/add', with: issuer.did(), nb: { root: parent.cid, shards: [] } }], expiration: 4000000000,
})
const receipt = await Receipt.issue({ issuer, ran: made, result: { error: { name: 'Bad', message: 'so it is' } } })
process.stdout.write(JSON.stringify({
  tokens,
  invocations: message.invocations.map((one) => one.capabilities.map(({ can }) => can)),
  receipts,
  archive: archive.ok?.cid.toString(),
  made: { key: ed25519.format(issuer), token: hex(made.bytes), car: Buffer.from((await made.archive()).ok).toString('base64'), receipt: hex(receipt.root.bytes) },
}))

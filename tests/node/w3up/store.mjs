// One file as the first system stored it, by a process of the service's own client: node store.mjs URL DID KEY PROOF FILE.car
import { readFileSync } from 'node:fs'
import { argv } from 'node:process'
import * as Client from '@storacha/client'
import { StoreMemory } from '@storacha/client/stores/memory'
import * as Proof from '@storacha/client/proof'
import * as ed25519 from '@ucanto/principal/ed25519'
import { connect } from '@ucanto/client'
import { CAR, HTTP } from '@ucanto/transport'

const [url, did, key, proof, file] = argv.slice(2)
const connection = connect({ id: { did: () => did }, codec: CAR.outbound, channel: HTTP.open({ url: new URL(url), method: 'POST' }) })
const client = await Client.create({
  principal: ed25519.parse(key), store: new StoreMemory(), receiptsEndpoint: new URL('/receipt/', url),
  serviceConf: { access: connection, upload: connection, filecoin: connection, gateway: connection },
})
const space = await client.addSpace(await Proof.parse(proof))
await client.setCurrentSpace(space.did())
await client.capability.blob.add(new Blob([readFileSync(file)]))

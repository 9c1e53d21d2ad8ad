// What npm's standardwebhooks says of messages. node webhook.mjs < JSON: {"secret", "messages": [{"headers", "body"}]}
// -> {"answers": [the body's JSON, or {"why": …}]}
import { Webhook } from 'standardwebhooks'
import { stdin, stdout } from 'node:process'

let text = ''
for await (const part of stdin) text += part
const { secret, messages } = JSON.parse(text)
const webhook = new Webhook(secret)

function verify ({ headers, body }) {
  try {
    return webhook.verify(body, headers)
  } catch (error) {
    return { why: error.message }
  }
}

stdout.write(JSON.stringify({ answers: messages.map(verify) }))

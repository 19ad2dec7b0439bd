// Uploads a file with tus-js-client, and prints the result as JSON:
// node client.mjs MODULES FILE NAME ENDPOINT TOKEN CHUNK_BYTES
// MODULES is the folder of node_modules. Without CHUNK_BYTES the file is sent in one request.
import fs from 'node:fs'
import { createRequire } from 'node:module'

const [, , modules, file, name, endpoint, token, chunkBytes] = process.argv
const tus = createRequire(`${modules}/`)('tus-js-client')
const started = performance.now()

const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  chunkSize: chunkBytes ? Number(chunkBytes) : Infinity,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { title: 'Mi mejor jugada', is_public: 'true', filename: name, filetype: 'video/mp4' },
  // The first retry is immediate, as by default. The default ends after four.
  retryDelays: [0, ...Array(200).fill(500)],
  onShouldRetry: (error) => {
    const status = error.originalResponse?.getStatus() ?? 0
    // The default, except that it asks the browser whether it is online.
    return status < 400 || status >= 500 || status === 409 || status === 423
  },
  onError: (error) => {
    console.error(error.message)
    process.exit(1)
  },
  onSuccess: () => {
    const seconds = (performance.now() - started) / 1000
    console.log(JSON.stringify({ url: upload.url, seconds }))
  },
})
upload.start()

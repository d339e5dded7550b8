// The relay as it is built, with its storage counted and, on demand, failing. Only tests start it; the Worker itself
// has none of these paths.
//
//   GET  /__test/counts            what was done since the last reset
//   POST /__test/reset             zero the counts, stop failing and being slow
//   POST /__test/fail?op=OP&n=N    the next N operations of that kind fail; OP is put or get (KV), hub (asking it),
//                                  hub_after (its answer is lost), sql (a statement in the hub) or
//                                  alarm (looking at it or setting it)
//   POST /__test/slow?ms=N         from now on each put takes N milliseconds longer
//   POST /__test/clock?ms=N        from now on the relay's clock is N milliseconds ahead, until the reset
//   POST /__test/adverse?ms=N      from now on KV is as it is in production, only faster: each place answers from its
//                                  cache for N milliseconds, misses included, and a second put of a key within a
//                                  second is refused; a request is from the place that its header X-Test-Place says
//   GET  /__test/kv?key=KEY        what KV holds, uncounted
//   PUT  /__test/kv?key=KEY        put the body there, uncounted: what another hub left behind
//
// The Worker and its Durable Object share one isolate here, so one set of counts sees both.

import Relay, { Hub as RelayHub } from "../../build/index.js";

const NOTHING = { kv_reads: 0, kv_keys_read: 0, kv_writes: 0, kv_lists: 0, kv_deletes: 0, hub_requests: 0, alarms: 0, rows_written: 0 };

const WORKING = { put: 0, get: 0, hub: 0, hub_after: 0, sql: 0, alarm: 0 };

let counts = { ...NOTHING };
let puts = [];
let failing = { ...WORKING };
let slow_ms = 0;
let ahead_ms = 0;
let stale_ms = 0;
let caches = new Map();
let written_ms = new Map();

const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length > 0 ? args : [RealDate.now() + ahead_ms]));
  }

  static now() {
    return RealDate.now() + ahead_ms;
  }
};

function failIfTold(op) {
  if (failing[op] > 0) {
    failing[op] -= 1;
    throw new Error(`${op} fails because the test said so`);
  }
}

// What a place sees: what it has read is kept, whether it was there or not.
async function seenFrom(place, key, read) {
  if (stale_ms === 0) return read();
  const name = `${place} ${key}`;
  const cached = caches.get(name);
  if (cached !== undefined && cached.until > RealDate.now()) return cached.value;
  const value = await read();
  caches.set(name, { value, until: RealDate.now() + stale_ms });
  return value;
}

function refuseTooSoon(key) {
  const since_ms = RealDate.now() - (written_ms.get(key) ?? 0);
  if (stale_ms > 0 && since_ms < 1000) throw new Error("KV PUT failed: 429 Too Many Requests");
  written_ms.set(key, RealDate.now());
}

function countedMailboxes(kv, place) {
  const read = (method) => async (keys, ...rest) => {
    counts.kv_reads += 1;
    counts.kv_keys_read += Array.isArray(keys) ? keys.length : 1;
    failIfTold("get");
    if (Array.isArray(keys)) return kv[method](keys, ...rest);
    return seenFrom(place, keys, () => kv[method](keys, ...rest));
  };
  return {
    get: read("get"),
    getWithMetadata: read("getWithMetadata"),
    async put(key, value, ...rest) {
      counts.kv_writes += 1;
      const put = { key, at_ms: Date.now(), done_ms: null, head: JSON.parse(value).head, ok: false };
      puts.push(put);
      try {
        if (slow_ms > 0) await new Promise((done) => setTimeout(done, slow_ms));
        failIfTold("put");
        refuseTooSoon(key);
        await kv.put(key, value, ...rest);
        put.ok = true;
      } finally {
        put.done_ms = Date.now();
      }
    },
    async list(...args) {
      counts.kv_lists += 1;
      return kv.list(...args);
    },
    async delete(...args) {
      counts.kv_deletes += 1;
      return kv.delete(...args);
    },
  };
}

// The Worker asks for the binding's class by this name.
class DurableObjectNamespace {
  #real;

  constructor(real) {
    this.#real = real;
  }

  getByName(name) {
    const stub = this.#real.getByName(name);
    const fetch = async (...args) => {
      counts.hub_requests += 1;
      failIfTold("hub");
      const answer = await stub.fetch(...args);
      failIfTold("hub_after");
      return answer;
    };
    return { fetch };
  }
}

function counted(env, place = "the hub's") {
  return { ...env, MAILBOXES: countedMailboxes(env.MAILBOXES, place), HUB: new DurableObjectNamespace(env.HUB) };
}

// The runtime's object with some methods replaced; the others run on the real one.
function instead(real, methods) {
  return new Proxy(real, {
    get(target, name) {
      if (name in methods) return methods[name];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function failingState(state) {
  const sql = instead(state.storage.sql, {
    exec(...args) {
      failIfTold("sql");
      const cursor = state.storage.sql.exec(...args);
      // SQLite writes all rows in a statement's first step.
      counts.rows_written += cursor.rowsWritten;
      return cursor;
    },
  });
  const alarm = (method) => async (...args) => {
    failIfTold("alarm");
    return state.storage[method](...args);
  };
  // The runtime's own clock is not ahead.
  const setAlarm = (at, ...rest) => {
    counts.rows_written += 1; // As Cloudflare bills it.
    return alarm("setAlarm")(Number(at) - ahead_ms, ...rest);
  };
  const storage = instead(state.storage, { sql, getAlarm: alarm("getAlarm"), setAlarm });
  return instead(state, { storage });
}

export class Hub {
  #hub;

  constructor(state, env) {
    this.#hub = new RelayHub(failingState(state), counted(env));
  }

  fetch(request) {
    return this.#hub.fetch(request);
  }

  alarm() {
    counts.alarms += 1;
    return this.#hub.alarm();
  }

  webSocketMessage(socket, message) {
    return this.#hub.webSocketMessage(socket, message);
  }

  webSocketClose(socket, code, reason, wasClean) {
    return this.#hub.webSocketClose(socket, code, reason, wasClean);
  }

  webSocketError(socket, error) {
    return this.#hub.webSocketError(socket, error);
  }
}

async function testPath(request, url, env) {
  const query = url.searchParams;
  switch (`${request.method} ${url.pathname}`) {
    case "GET /__test/counts":
      return Response.json({ ...counts, puts, failing });
    case "POST /__test/reset":
      counts = { ...NOTHING };
      puts = [];
      failing = { ...WORKING };
      slow_ms = 0;
      ahead_ms = 0;
      stale_ms = 0;
      return Response.json({});
    case "POST /__test/fail":
      failing[query.get("op")] = Number(query.get("n"));
      return Response.json(failing);
    case "POST /__test/slow":
      slow_ms = Number(query.get("ms"));
      return Response.json({ slow_ms });
    case "POST /__test/adverse":
      stale_ms = Number(query.get("ms"));
      caches.clear();
      return Response.json({ stale_ms });
    case "POST /__test/clock":
      ahead_ms = Number(query.get("ms"));
      return Response.json({ ahead_ms });
    case "GET /__test/kv":
      return new Response(await env.MAILBOXES.get(query.get("key")));
    case "PUT /__test/kv":
      await env.MAILBOXES.put(query.get("key"), await request.text());
      return Response.json({});
    default:
      return new Response("no such test path", { status: 404 });
  }
}

export default {
  fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/__test/")) return testPath(request, url, env);
    const place = request.headers.get("x-test-place") ?? "anywhere";
    return new Relay(ctx, counted(env, place)).fetch(request);
  },

  scheduled(event, env, ctx) {
    return new Relay(ctx, counted(env)).scheduled(event);
  },
};

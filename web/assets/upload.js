// Uploads a video in pieces that survive a broken link, a reload and an expired session. It speaks
// tus 1.0.0 (https://tus.io/protocols/resumable-upload) with the checksum, creation and termination
// extensions. It owns no element of the page, and it keeps only the addresses of unfinished uploads
// in localStorage.

const MIB = 1 << 20;
/** Chunk size of an upload whose creation this browser did not see. */
const CHUNK_BYTES = 5 * MIB;
/** A connection without progress for this long is dead. */
const STALL_MS = 15_000;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
/** Servers forget an unfinished upload earlier than this. */
const RECORD_DAYS = 7;
const RECORD_PREFIX = 'anb-upload:';

/** Reason for which a page aborts an upload that is to continue later. */
export const PAUSED = 'paused';

/**
 * The reason why an upload ended without a video.
 *
 * `code` is the error code of the API, or one of this module: `file_unreadable` if the file
 * changed, moved or vanished, `different_file` if it is not the file of `resume`, and temporarily
 * `unreachable`. `problem` is the body of the response (RFC 9457), if there is one.
 */
export class UploadError extends Error {
  constructor(code, { status = 0, problem, retryAfterMs = 0, cause } = {}) {
    super(problem?.detail ?? problem?.title ?? code, { cause });
    this.name = 'UploadError';
    Object.assign(this, { code, status, problem, retryAfterMs });
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    if (this.status === 429) return this.code === 'too_many_requests' || !this.problem;
    return (
      this.code === 'unreachable' ||
      this.status >= 500 ||
      [401, 408, 409, 423, 425, 460].includes(this.status)
    );
  }

  get isGone() {
    return this.status === 404 || this.status === 410;
  }
}

/**
 * Uploads `file` and resolves with the id of its video. A file that was partly sent before, also by
 * a page that is gone, continues where the server has it.
 *
 * Options:
 * - `endpoint`: address of the uploads, which may be on another origin
 * - `token(refused)`: returns a bearer token, or a promise of one. `refused` is the token that the
 *   server no longer accepts, so that the page can log in again. If it throws, the upload ends.
 *   Without it, requests carry the session cookie of the page.
 * - `logIn()`: begins a new session with a cookie, if the server no longer accepts the one before
 * - `metadata`: `{title, is_public}`. A continued upload keeps the metadata that it began with.
 * - `resume`: an entry of `openUploads`, to continue that upload and no other
 * - `onProgress({sent, stored, total})`: bytes. After a broken connection `sent` may decrease.
 * - `onState(state, error)`: `preparing`, `queued` (until no other tab sends this file), `sending`,
 *   `waiting` (for a retry after `error`) or `done`
 * - `signal`: aborting it removes the upload from the server, unless its last byte has arrived or
 *   the reason is `PAUSED`
 * - `stallMs`: replaces that of a dead connection, `STALL_MS`
 *
 * Retries temporary errors for as long as the page is open. Rejects with an `UploadError`, with the
 * error of `token` or `logIn`, or with the reason of `signal`.
 */
export async function upload(file, options) {
  const started = Date.now();
  options.onState?.('preparing');
  const print = await fingerprint(file);
  const { resume } = options;
  if (resume && (resume.fingerprint !== print || resume.length !== file.size)) {
    throw new UploadError('different_file');
  }
  const send = () => new Transfer(file, print, options).run(started);
  // Two tabs with the same file would interrupt each other. Insecure origins have no locks.
  if (!navigator.locks) return send();
  options.onState?.('queued');
  return navigator.locks.request(RECORD_PREFIX + print, { signal: options.signal }, send);
}

/** Returns the user's unfinished uploads, latest first. Options: `endpoint`, `token`, `logIn`. */
export async function openUploads(options) {
  return (await new Session(options).call('GET', options.endpoint)).json();
}

/** Removes an unfinished upload. Options: `endpoint`, `token`, `logIn`. */
export async function cancelUpload(id, options) {
  await new Session(options).call('DELETE', `${options.endpoint}/${id}`);
}

/** Identifies the content of a file by its size and samples of at most 2.5 MiB. */
export async function fingerprint(file) {
  const { size } = file;
  // Insecure origins have none.
  if (!globalThis.crypto?.subtle) return `${size}-${file.lastModified}-${file.name}`;
  const sample = (start, length) => file.slice(start, start + length);
  const between = Math.max(0, size - 2 * MIB);
  const middle = Array.from({ length: 8 }, (_, n) =>
    sample(MIB + Math.floor((between * n) / 8), Math.min(MIB / 16, between)),
  );
  const samples = new Blob([
    `${size}\n`,
    sample(0, MIB),
    sample(Math.max(0, size - MIB), MIB),
    ...middle,
  ]);
  const hash = await crypto.subtle.digest('SHA-256', await read(samples));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** One call of `upload`. */
class Transfer {
  constructor(file, print, options) {
    Object.assign(this, { file, print, options });
    this.session = new Session(options);
    this.furthest = -1;
    this.failures = 0;
    this.isChecked = Boolean(globalThis.crypto?.subtle);
  }

  get address() {
    return `${this.options.endpoint}/${this.record.id}`;
  }

  async run(started) {
    const { resume, signal } = this.options;
    let record = readRecord(this.print) ?? {};
    // Another tab may have sent the file while this one waited. Otherwise, sending a file again
    // makes another video.
    if (record.done < started) record = {};
    if (resume && resume.video_id !== record.id) record = { id: resume.video_id };
    this.save(record);
    if (record.done) return this.finish();
    const awake = keepScreenOn();
    try {
      await this.untilComplete();
    } catch (error) {
      if (signal?.aborted && signal.reason !== PAUSED) await this.remove();
      throw error;
    } finally {
      awake.abort();
    }
    return this.finish();
  }

  finish() {
    this.save({ id: this.record.id, done: Date.now() });
    this.options.onState?.('done');
    return this.record.id;
  }

  /** Sends chunk after chunk. After any error, the server says where to continue. */
  async untilComplete() {
    const { signal, onState } = this.options;
    for (let offset; offset !== this.file.size; ) {
      signal?.throwIfAborted();
      onState?.('sending');
      const isLocated = offset !== undefined;
      try {
        offset = isLocated ? await this.sendChunk(offset) : await this.locate();
        if (offset > this.furthest) {
          this.furthest = offset;
          this.failures = 0;
        }
        this.report(offset, offset);
      } catch (error) {
        signal?.throwIfAborted();
        const isOver = !error?.isTemporary && !(isLocated && error?.isGone);
        if (isOver) throw error;
        offset = undefined;
        onState?.('waiting', error);
        await this.pause(error.retryAfterMs);
      }
    }
  }

  /** Returns the number of bytes that the server has. Creates the upload if there is none. */
  async locate() {
    const { id } = this.record;
    if (id) {
      try {
        return uploadOffset(await this.session.call('HEAD', this.address));
      } catch (error) {
        if (!error.isGone || this.options.resume) throw error;
        // If its video exists after all, the key finds it. If the key found nothing, it is used up.
        if (this.gone === id) this.save({});
        this.gone = id;
      }
    }
    return this.create();
  }

  /**
   * Creates the upload, or finds the one that an earlier request with the same key created. The key
   * is stored first, so that this also holds after a reload. Returns the offset.
   */
  async create() {
    const mayExist = Boolean(this.record.key);
    if (!mayExist) this.save({ key: randomKey() });
    try {
      const response = await this.session.call('POST', this.options.endpoint, {
        headers: {
          'Upload-Length': this.file.size,
          'Upload-Metadata': this.encodedMetadata(),
          'Idempotency-Key': this.record.key,
        },
      });
      const { task_id: id, chunk_bytes: chunkBytes } = response.json();
      const offset = uploadOffset(response);
      this.save({ key: this.record.key, id, chunkBytes });
      return offset;
    } catch (error) {
      if (!mayExist || error.code !== 'idempotency_key_reused') throw error;
      // The user changed the title after the response to the first request was lost, which also
      // means that nothing was sent.
      this.save({});
      return this.create();
    }
  }

  /** Sends the bytes from `offset` to the end of its chunk. Returns the next offset. */
  async sendChunk(offset) {
    const chunkBytes = this.record.chunkBytes ?? CHUNK_BYTES;
    const end = Math.min(this.file.size, offset + chunkBytes - (offset % chunkBytes));
    // Read here and not by XMLHttpRequest, which reports an unreadable file as a network error.
    const body = await read(this.file.slice(offset, end));
    const headers = {
      'Upload-Offset': offset,
      'Content-Type': 'application/offset+octet-stream',
    };
    if (this.isChecked) {
      const hash = await crypto.subtle.digest('SHA-256', body);
      headers['Upload-Checksum'] = `sha256 ${base64(new Uint8Array(hash))}`;
    }
    try {
      const onSent = (sent) => this.report(offset + sent, offset);
      const request = { headers, body, onSent };
      const response = await this.session.call('PATCH', this.address, request);
      // Browsers silently repeat a request whose connection breaks.
      if (response.isReconnected) this.shortenChunks();
      return uploadOffset(response);
    } catch (error) {
      if (error.code === 'offset_mismatch') this.shortenChunks();
      // The server keeps nothing of an incomplete chunk with a checksum. On a link that breaks
      // within each chunk, such an upload would never end.
      if (['unreachable', 'upload_interrupted'].includes(error.code)) this.isChecked = false;
      throw error;
    }
  }

  shortenChunks() {
    this.save({ ...this.record, chunkBytes: MIB / 2 });
  }

  encodedMetadata() {
    const { name, type } = this.file;
    const metadata = {
      ...this.options.metadata,
      filename: name,
      filetype: type,
      fingerprint: this.print,
    };
    return Object.entries(metadata)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => `${key} ${base64(new TextEncoder().encode(value))}`)
      .join(',');
  }

  /** Waits before a retry, at most until the link or the user is back. */
  pause(retryAfterMs) {
    const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures++);
    const jittered = longest * (0.5 + Math.random() / 2);
    const { signal } = this.options;
    return new Promise((resolve) => {
      const listening = new AbortController();
      const end = () => {
        clearTimeout(timer);
        listening.abort();
        resolve();
      };
      const timer = setTimeout(end, Math.max(jittered, retryAfterMs));
      const once = { signal: listening.signal };
      signal?.addEventListener('abort', end, once);
      // The server asked for this pause.
      if (retryAfterMs > 0) return;
      addEventListener('online', end, once);
      document.addEventListener('visibilitychange', () => document.hidden || end(), once);
    });
  }

  report(sent, stored) {
    this.options.onProgress?.({ sent, stored, total: this.file.size });
  }

  /** Removes a cancelled upload. If that fails, the same file continues it. */
  async remove() {
    if (!this.record.id) return;
    try {
      this.session.options = { ...this.options, signal: undefined };
      await this.session.call('DELETE', this.address);
    } catch (error) {
      if (!error.isGone) return;
    }
    forgetRecord(this.print);
  }

  save(record) {
    this.record = record;
    writeRecord(this.print, record);
  }
}

/** Sends requests with a token that it renews, or with the cookie of the page. */
class Session {
  constructor(options) {
    this.options = options;
  }

  /** Returns a successful response. Throws an `UploadError` for any other. */
  async call(method, url, { headers, body, onSent } = {}) {
    const { token, logIn, signal, stallMs = STALL_MS } = this.options;
    const attempt = () => {
      const authorized = token ? { ...headers, Authorization: `Bearer ${this.token}` } : headers;
      return request(method, url, { headers: authorized, body, onSent, signal, stallMs });
    };
    this.token ??= await token?.();
    let response = await attempt();
    if (response.status === 401 && (token ?? logIn)) {
      this.token = await (token ?? logIn)(this.token);
      response = await attempt();
    }
    if (response.status >= 200 && response.status < 300) return response;
    throw response.error();
  }
}

/** Sends a request. Resolves with a response, whose status is 0 if none arrived. */
function request(method, url, { headers, body, onSent, signal, stallMs }) {
  return new Promise((resolve) => {
    // fetch reports no progress of uploads.
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, stallMs);
    };
    xhr.upload.onprogress = (event) => {
      alive();
      onSent?.(event.loaded);
    };
    xhr.onprogress = alive;
    xhr.onloadend = () => {
      clearTimeout(watchdog);
      signal?.removeEventListener('abort', stop);
      removeEventListener('online', stop);
      resolve(new ApiResponse(xhr));
    };
    xhr.open(method, url);
    xhr.setRequestHeader('Tus-Resumable', '1.0.0');
    // The language of the page, which may not be the browser's.
    const { lang } = document.documentElement;
    if (lang) xhr.setRequestHeader('Accept-Language', lang);
    for (const [name, value] of Object.entries(headers ?? {})) xhr.setRequestHeader(name, value);
    signal?.addEventListener('abort', stop);
    // The connection is older than the new link, and often dead without an error.
    addEventListener('online', stop);
    alive();
    xhr.send(body);
  });
}

class ApiResponse {
  constructor(xhr) {
    this.status = xhr.status;
    this.header = (name) => xhr.getResponseHeader(name);
    this.text = xhr.responseText;
    const [timing] = performance.getEntriesByName(xhr.responseURL);
    this.isReconnected = timing?.connectEnd > timing?.connectStart;
    performance.clearResourceTimings();
  }

  /** Throws a temporary error if the body is not JSON: then it is not from the API. */
  json() {
    try {
      return JSON.parse(this.text);
    } catch (cause) {
      throw new UploadError('unreachable', { status: this.status, cause });
    }
  }

  error() {
    const { status } = this;
    if (status === 0) return new UploadError('unreachable');
    let problem;
    try {
      problem = JSON.parse(this.text);
    } catch {
      // A proxy answered, or the method is HEAD.
    }
    const code = problem?.code ?? `http_${status}`;
    return new UploadError(code, { status, problem, retryAfterMs: this.retryAfterMs() });
  }

  /** The header is a number of seconds or a date (RFC 9110, section 10.2.3). */
  retryAfterMs() {
    const value = this.header('Retry-After');
    if (!value) return 0;
    const ms = /^\d+$/.test(value) ? value * 1000 : Date.parse(value) - Date.now();
    return Math.max(0, ms) || 0;
  }
}

/** A successful response without the header is not from the API, but of a captive portal. */
function uploadOffset(response) {
  const value = response.header('Upload-Offset');
  if (value === null) throw new UploadError('unreachable', { status: response.status });
  return Number(value);
}

async function read(blob) {
  let bytes;
  try {
    bytes = await blob.arrayBuffer();
  } catch (cause) {
    throw new UploadError('file_unreadable', { cause });
  }
  if (bytes.byteLength !== blob.size) throw new UploadError('file_unreadable');
  return bytes;
}

/** Asks for a lock on the screen until the result is aborted. Browsers drop it in hidden pages. */
function keepScreenOn() {
  const done = new AbortController();
  let lock;
  const acquire = async () => {
    if (document.hidden) return;
    try {
      lock = await navigator.wakeLock?.request('screen');
    } catch {
      // Denied, for example because the battery is low.
    }
    if (done.signal.aborted) lock?.release();
  };
  document.addEventListener('visibilitychange', acquire, { signal: done.signal });
  done.signal.addEventListener('abort', () => lock?.release());
  acquire();
  return done;
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/** crypto.randomUUID exists only on secure origins. */
function randomKey() {
  return base64(crypto.getRandomValues(new Uint8Array(24)));
}

// Browsers may forbid localStorage. Then an upload continues only within its page.

function readRecord(print) {
  try {
    return JSON.parse(localStorage.getItem(RECORD_PREFIX + print));
  } catch {
    return null;
  }
}

function writeRecord(print, record) {
  try {
    localStorage.setItem(RECORD_PREFIX + print, JSON.stringify({ ...record, at: Date.now() }));
    const oldest = Date.now() - RECORD_DAYS * 86_400_000;
    for (const name of Object.keys(localStorage)) {
      if (!name.startsWith(RECORD_PREFIX)) continue;
      if (JSON.parse(localStorage[name]).at < oldest) localStorage.removeItem(name);
    }
  } catch {
    // Not allowed, or full.
  }
}

function forgetRecord(print) {
  try {
    localStorage.removeItem(RECORD_PREFIX + print);
  } catch {
    // Not allowed.
  }
}

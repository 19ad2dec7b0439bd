// Judges a video before a byte of it is sent, by the boxes of its file (ISO/IEC 14496-12) and as
// the server's `sniff` and `rules` do. Nothing is decoded. What cannot be read here passes.

const SNIFF_BYTES = 4096;
const READ_BYTES = 1024;
/** Whatever the boxes of a file claim, reading ends here. */
const MAX_READ_BYTES = 96 * 1024;
/** Recorders stop a frame or two early. */
const TOLERANCE_US = 100_000;
const MIN_SECONDS = 1;
/** Size of a video's sample entry without the boxes in it. */
const ENTRY_BYTES = 86;

const VIDEO =
  /^(qt {2}|iso[m2-9a-c]|mp[47]1|mp42|avc1|hvc1|av01|dash|MSNV|XAVC|mmp4|F4V |M4V.|3g[p2ersgh].)$/s;
const PICTURE_OR_AUDIO =
  /^(avi[fso]|hei[cxms]|hev[cxms]|mif[12]|msf1|miaf|jpe?gs?|j2ki|crx |M4[ABP] |F4[AB] )$/;
/** Sample entries of the codecs that the worker decodes. */
const CODEC = /^(avc\d|dv[ah][1ev]|h[ev][cv]1|mp4v|[sh]263|vp09|av01|ap[c4][hnsoqx]|jpeg|mjp[ab])$/;
const OTHER_TRACK = /soun|text|sbtl|subt|tmcd|hint|meta/;

/**
 * Compares `file` with the rules `{min_seconds, max_seconds, min_lines, max_bytes}`; none and zero
 * disable a rule. Returns `{ok, problems, facts}`: problems are `{rule, code, values}` with the
 * server's codes and values, facts are `{bytes, format, seconds, lines}` as far as they are known.
 */
export async function check(file, { min_seconds, max_seconds, min_lines, max_bytes }) {
  const bytes = file.size;
  const facts = { bytes };
  const problems = [];
  const add = (rule, code, values = {}) => problems.push({ rule, code, values });
  if (max_bytes && bytes > max_bytes) add('size', 'file_too_large', { bytes, max_bytes });
  try {
    Object.assign(facts, await readFacts(new Boxes(file)));
    if (!facts.format) add('format', facts.format === null ? 'not_a_video' : 'not_an_mp4');
  } catch {
    // The file moved or is not on this phone. The upload will say so.
  }
  const { seconds, lines } = facts;
  // An unknown length is NaN, which is within all limits.
  const us = Math.round(seconds * 1e6);
  const min = Math.max(min_seconds, MIN_SECONDS);
  if (us + TOLERANCE_US < min * 1e6) {
    add('duration', 'too_short', { seconds: Math.floor(us / 1e6), min_seconds: min });
  }
  if (max_seconds && us - TOLERANCE_US > max_seconds * 1e6) {
    add('duration', 'too_long', { seconds: Math.ceil(us / 1e6), max_seconds });
  }
  if (lines < min_lines) add('lines', 'low_resolution', { lines, min_lines });
  return { ok: problems.length === 0, problems, facts };
}

/** The numbers and boxes of a file. A number that is not there is NaN, as is all that follows. */
class Boxes {
  left = MAX_READ_BYTES;
  start = 0;
  piece = new DataView(new ArrayBuffer(0));

  constructor(file) {
    this.file = file;
  }

  async number(at, length) {
    if (!(at >= this.start && at + length <= this.start + this.piece.byteLength)) {
      if (!(at + length <= this.file.size && this.left >= READ_BYTES)) return NaN;
      this.piece = new DataView(await this.file.slice(at, at + READ_BYTES).arrayBuffer());
      this.start = at;
      this.left -= READ_BYTES;
    }
    at -= this.start;
    if (length === 8) return Number(this.piece.getBigUint64(at));
    return length === 4 ? this.piece.getUint32(at) : this.piece.getUint16(at);
  }

  async name(at) {
    const number = await this.number(at, 4);
    return String.fromCharCode(...[24, 16, 8, 0].map((shift) => (number >> shift) & 255));
  }

  /** Yields the boxes in a box. */
  async *in({ start, end }) {
    while (start + 8 <= end) {
      const kind = await this.name(start + 4);
      let body = start + 8;
      let size = await this.number(start, 4);
      if (size === 1) {
        size = await this.number(body, 8);
        body += 8;
      }
      start = size === 0 ? end : start + size;
      if (!(start >= body)) return;
      yield { kind, start: body, end: Math.min(start, end), isWhole: start <= end };
    }
  }

  /** Returns the first box of a kind in a box, and so on along the path. */
  async find(box, ...path) {
    for (const kind of path) {
      let found = {};
      for await (const child of this.in(box)) {
        if (child.kind !== kind) continue;
        found = child;
        break;
      }
      box = found;
    }
    return box;
  }

  /**
   * Returns a length in ticks and the word before it, which is at `at`. Both are `growth` further
   * on in version 1, where the length has eight bytes.
   */
  async clock({ start }, at, growth = 8) {
    const isLong = (await this.number(start, 4)) >> 24 > 0;
    const length = isLong ? 8 : 4;
    const word = start + at + (isLong ? growth : 0);
    const ticks = await this.number(word + 4, length);
    // All bits are set where the writer did not know it.
    const isKnown = ticks !== 2 ** (8 * length) - 1;
    const scale = await this.number(word, 4);
    return { scale, ticks: isKnown ? ticks : NaN, end: word + 4 + length };
  }

  /** Adds up the entries of a table; `read` returns the summand and the length of an entry. */
  async sum({ start }, read) {
    const isLong = (await this.number(start, 4)) >> 24 > 0;
    let sum = 0;
    let at = start + 8;
    for (let left = await this.number(start + 4, 4); left > 0 && !isNaN(sum); left--) {
      const [part, length] = await read(this, at, isLong);
      sum += part;
      at += length;
    }
    return sum;
  }
}

/** Whether the first bytes are those of a video. */
async function isVideo(boxes) {
  for (let at = 0; at < SNIFF_BYTES; ) {
    const size = await boxes.number(at, 4);
    const kind = await boxes.name(at + 4);
    if (kind === 'ftyp') return hasVideoBrand(boxes, at + 8, Math.min(at + size, SNIFF_BYTES));
    if (/moov|mdat|wide/.test(kind)) return true;
    if (!/free|skip/.test(kind) || size < 8) return false;
    at += size;
  }
  return false;
}

async function hasVideoBrand(boxes, start, end) {
  const major = await boxes.name(start);
  if (start + 4 > end || PICTURE_OR_AUDIO.test(major)) return false;
  if (VIDEO.test(major)) return true;
  // A minor version separates the major from the compatible brands.
  for (let at = start + 8; at + 4 <= end; at += 4) {
    if (VIDEO.test(await boxes.name(at))) return true;
  }
  return false;
}

/** Returns `{format, seconds, lines}`. The format is null if the container has no video. */
async function readFacts(boxes) {
  if (!(await isVideo(boxes))) return {};
  const moov = await boxes.find({ start: 0, end: boxes.file.size }, 'moov');
  let shown;
  let isOther = false;
  for await (const box of boxes.in(moov)) {
    if (box.kind !== 'trak') continue;
    const { start } = await boxes.find(box, 'mdia', 'hdlr');
    const handler = await boxes.name(start + 8);
    if (handler === 'vide') {
      const track = await readTrack(boxes, box);
      if (!(track.rank <= shown?.rank)) shown = track;
      continue;
    }
    isOther = OTHER_TRACK.test(handler);
    if (!isOther) break;
  }
  if (shown) return { format: 'mp4', ...(await readVideo(boxes, moov, shown)) };
  return { format: isOther && moov.isWhole && boxes.left >= READ_BYTES ? null : 'mp4' };
}

/**
 * Returns a track with what makes a player prefer it, the most important first: its codec is known,
 * it is enabled, it is not a single picture, it is large. The worker decides likewise.
 */
async function readTrack(boxes, trak) {
  const tkhd = await boxes.find(trak, 'tkhd');
  const stbl = await boxes.find(trak, 'mdia', 'minf', 'stbl');
  const { start, end } = await boxes.find(stbl, 'stsd');
  const entry = start + 8;
  const width = await boxes.number(entry + 32, 2);
  const height = await boxes.number(entry + 34, 2);
  const isKnown = CODEC.test(await boxes.name(entry + 4));
  const isEnabled = (await boxes.number(tkhd.start, 4)) & 1;
  const isSingle = (await boxes.number((await boxes.find(stbl, 'stsz')).start + 8, 4)) === 1;
  const rank = (isKnown * 4 + isEnabled * 2 + !isSingle) * 2 ** 32 + (width * height || 0);
  return { rank, trak, tkhd, stbl, entry, end, width, height };
}

async function readVideo(boxes, moov, { trak, tkhd, stbl, entry, end, width, height }) {
  const movie = await boxes.clock(await boxes.find(moov, 'mvhd'), 12);
  const media = await boxes.clock(await boxes.find(trak, 'mdia', 'mdhd'), 12);
  const track = await boxes.clock(tkhd, 16);
  const pasp = await boxes.find({ start: entry + ENTRY_BYTES, end }, 'pasp');
  const byPixel = (await boxes.number(pasp.start, 4)) / (await boxes.number(pasp.start + 4, 4));
  const shown = (await boxes.number(track.end + 52, 2)) / (await boxes.number(track.end + 56, 2));
  // The shape of a pixel; rotation changes neither it nor the shorter side.
  const aspect = [byPixel, (shown * height) / width].find(isUsable) ?? 1;
  const lines = Math.min(Math.floor(width * aspect + 1e-6), height);

  const mvex = await boxes.find(moov, 'mvex');
  const all = await boxes.clock(await boxes.find(mvex, 'mehd'), 0, 0);
  const edits = await boxes.sum(await boxes.find(trak, 'edts', 'elst'), sumEdits);
  const ticks = mvex.kind ? NaN : await boxes.sum(await boxes.find(stbl, 'stts'), sumSamples);
  // The sample table has the length, whatever the headers say. An edit may cut it.
  const declared = [track.ticks / movie.scale, media.ticks / media.scale];
  const lengths = isUsable(ticks) ? [ticks / media.scale, edits / movie.scale] : declared;
  const seconds = Math.min(...(mvex.kind ? [all.ticks / movie.scale] : lengths).filter(isUsable));
  return { seconds: isUsable(seconds) ? seconds : undefined, lines: lines || undefined };
}

/** The duration of a run of samples (ISO/IEC 14496-12 §8.6.1.2), and the length of the entry. */
async function sumSamples(boxes, at) {
  return [(await boxes.number(at, 4)) * (await boxes.number(at + 4, 4)), 8];
}

/** The duration of an edit, unless it is empty (§8.6.6). */
async function sumEdits(boxes, at, isLong) {
  const length = isLong ? 8 : 4;
  const isEmpty = (await boxes.number(at + length, 4)) === 0xffffffff;
  return [isEmpty ? 0 : await boxes.number(at, length), 2 * length + 4];
}

function isUsable(number) {
  return number > 0 && number < Infinity;
}

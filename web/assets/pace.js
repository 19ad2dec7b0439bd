// Estimates how long an upload still takes. It knows neither the page nor the clock: callers pass
// the time, in milliseconds.

/** A request fills the buffers on its way in this time; after it, they pass on what the link takes. */
const FILLED_MS = 1_000;
/** Shortest and usual time of which a speed is the mean. */
const FIRST_MEAN_MS = 3_000;
const MEAN_MS = 8_000;

/** The speed of one link. After a break, the link is another one. */
export class Pace {
  /** What the server had stored, and when. Exact, but on a slow link a request lasts minutes. */
  stored = [];
  /** What the browser had handed to the network of the running request, once its buffers were full. */
  handed = [];
  left = Infinity;

  /** Notes how many bytes were sent at a time, and how many of them the server has stored. */
  add(at, sent, stored) {
    this.sent = sent;
    if (this.stored.at(-1)?.bytes !== stored) {
      this.stored.push({ at, bytes: stored });
      this.handed = [];
    }
    const isFilled = at - this.stored.at(-1).at >= FILLED_MS;
    if (isFilled && this.handed.at(-1)?.bytes !== sent) this.handed.push({ at, bytes: sent });
  }

  /** Returns an estimate that does not rise by less than a fifth, or none in the first seconds. */
  secondsLeft(now, total) {
    const last = this.stored.at(-1);
    const isRecent = last && now - last.at <= MEAN_MS;
    const [exact, live] = [speed(this.stored), speed(this.handed)];
    const bytesPerMs = isRecent ? (exact ?? live) : (live ?? exact);
    if (!bytesPerMs) return undefined;
    const arrived = Math.min(this.sent, last.bytes + bytesPerMs * (now - last.at));
    const left = (total - arrived) / bytesPerMs / 1_000;
    if (left < this.left || left > 1.2 * this.left) this.left = left;
    return this.left;
  }
}

/** Returns the mean speed between the first and the last sample, in bytes per millisecond. */
function speed(samples) {
  const last = samples.at(-1);
  while (samples.length > 2 && last.at - samples[1].at > MEAN_MS) samples.shift();
  const [first] = samples;
  if (!first || last.at - first.at < FIRST_MEAN_MS) return undefined;
  return (last.bytes - first.bytes) / (last.at - first.at);
}

/** Returns the seconds in the steps in which a time is shown: of 5 s, from a minute on of 1 min. */
export function inSteps(seconds) {
  const step = seconds < 60 ? 5 : 60;
  return Math.round(seconds / step) * step;
}

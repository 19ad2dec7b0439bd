// Follows videos while their state changes: by server-sent events, or by polling where something
// on the way holds events back.

import { announce, call, percentage } from './page.js';

const FIRST_EVENT_MS = 5_000;
const HIDDEN_MS = 30_000;
const ERRORS_MS = 30_000;
const POLL_MS = [2_000, 3_000, 5_000, 10_000];

/**
 * Calls `onData` with the newest state until the returned function is called. `stream` is the
 * address of events named `state`, `poll` that of the same JSON.
 */
export function watch({ stream, poll, onData }) {
  const ended = new AbortController();
  const { signal } = ended;
  /** Ends the stream or the poll that is open. */
  let cut;
  let timer;
  let hiding;
  let isPolling = false;
  let polls = 0;
  let lastError = -Infinity;

  function open() {
    if (isPolling) return ask();
    const source = new EventSource(stream);
    cut = () => source.close();
    timer = setTimeout(startPolling, FIRST_EVENT_MS);
    source.addEventListener('state', ({ data }) => {
      clearTimeout(timer);
      onData(JSON.parse(data));
    });
    source.addEventListener('error', () => {
      const isRepeated = performance.now() - lastError < ERRORS_MS;
      lastError = performance.now();
      clearTimeout(timer);
      // The browser connects again by itself, unless the server refused the stream.
      if (isRepeated || source.readyState === EventSource.CLOSED) startPolling();
      else timer = setTimeout(startPolling, 2 * FIRST_EVENT_MS);
    });
  }

  function startPolling() {
    close();
    isPolling = true;
    ask();
  }

  async function ask() {
    const request = new AbortController();
    const end = () => request.abort();
    cut = end;
    const { status, body } = await call(poll, { signal: request.signal });
    if (cut !== end) return;
    timer = setTimeout(ask, POLL_MS[Math.min(polls++, POLL_MS.length - 1)]);
    if ([401, 403, 404].includes(status)) stop();
    else if (status === 200 && body) onData(body);
  }

  function close() {
    clearTimeout(timer);
    cut?.();
    cut = undefined;
  }

  function stop() {
    close();
    clearTimeout(hiding);
    ended.abort();
  }

  const reopen = () => cut ?? open();
  const onVisibility = () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, HIDDEN_MS);
    else reopen();
  };
  document.addEventListener('visibilitychange', onVisibility, { signal });
  // An open stream would keep the page out of the back/forward cache.
  addEventListener('pagehide', close, { signal });
  addEventListener('pageshow', reopen, { signal });
  open();
  return stop;
}

/** Returns the addresses that tell the states of videos. */
export function addresses(ids) {
  const query = `videos=${ids.join()}`;
  return { stream: `/mis-videos/eventos?${query}`, poll: `/mis-videos/estado?${query}` };
}

/** Returns a function that reads out a label and each quarter of a hundred percent. */
export function announcer() {
  let last;
  return (label, percent) => {
    const quarter = Math.floor(percent / 25) * 25;
    if (quarter !== last) announce(`${label} ${percentage(quarter)}`);
    last = quarter;
  };
}

/** Shows the states of the player's videos. When one is final, the page is loaded again. */
function followVideos() {
  const cards = new Map();
  for (const card of document.querySelectorAll('[data-video]')) {
    const isChanging = ['waiting', 'processing'].includes(card.dataset.state);
    if (isChanging) cards.set(card.dataset.video, { card, tell: announcer() });
  }
  if (cards.size === 0) return;
  const stop = watch({
    ...addresses([...cards.keys()]),
    onData(videos) {
      for (const { id, percent, label, left } of videos) {
        const { card, tell } = cards.get(id);
        const texts = { label, left, percent: percentage(percent) };
        for (const [part, text] of Object.entries(texts)) {
          card.querySelector(`[data-${part}]`).textContent = text;
        }
        card.querySelector('[data-progress]').value = percent;
        tell(label, percent);
      }
      const isFinal = videos.some(({ state }) => ['processed', 'failed'].includes(state));
      if (!isFinal || isTyping()) return;
      stop();
      location.reload();
    },
  });
}

/** Whether something would be lost if the page were loaded again. */
function isTyping() {
  const fields = [...document.querySelectorAll('input')];
  const isChanged = fields.some((field) => field.value !== field.defaultValue);
  return isChanged || document.querySelector('dialog[open]');
}

if (location.pathname.startsWith('/mis-videos')) followVideos();

// The part of every page that HTML cannot do: who the visitor is, votes without a new page, clips
// that play in their box, sharing, dialogs. Each page is complete without it. Other modules use
// what it exports.

const SESSION_MS = 60_000;
/** Lists are older than a vote for up to two seconds, and browsers may repeat them. */
const COUNTED_MS = 5_000;
const VOTE_TIMEOUT_MS = 20_000;
/** How long somebody has not typed when places are looked up. */
const PLACES_MS = 200;
const MAX_PLACES = 5;
/** How long browsers wait at most to reload when the contest's phase changes, so that not all ask at once. */
const RELOAD_MS = 3_000;
const SLOW_LINKS = ['slow-2g', '2g', '3g'];
/** Pages that belong to the session in which they were opened. */
const PRIVATE_PAGES = /^\/(cuenta|mis-videos|organizacion)(\/|$)/;

const { lang } = document.documentElement;
const isSpanish = lang.startsWith('es');
const t = sentences(document.body);
const band = document.querySelector('[data-contest]');
/** Sentences about the contest, if there is one. */
const contest = JSON.parse(band?.dataset.contest ?? '{}');

// Sentences and numbers, written as the server writes them.

/** Returns the sentences of a part of the page. */
export function sentences(element) {
  return JSON.parse(element.dataset.t ?? '{}');
}

/** Replaces the gaps of a sentence, such as `{time}`. */
export function fill(sentence = '', values = {}) {
  return sentence.replace(/\{(\w+)\}/g, (gap, name) => values[name] ?? gap);
}

export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, isSpanish ? '.' : ',');
}

export function megabytes(bytes) {
  const tenths = Math.round((bytes * 10) / 2 ** 20);
  const size = tenths < 100 ? (tenths / 10).toFixed(1) : String(Math.round(bytes / 2 ** 20));
  return `${isSpanish ? size.replace('.', ',') : size}\u00a0MB`;
}

export function percentage(number) {
  return isSpanish ? `${number}\u00a0%` : `${number}%`;
}

/** Returns a time in steps of 5 s below a minute and of 1 min above. */
export function duration(seconds) {
  const rounded = Math.max(5, Math.ceil(seconds / 5) * 5);
  return rounded < 60 ? `${rounded}\u00a0s` : `${Math.ceil(seconds / 60)}\u00a0min`;
}

/** Reads a sentence to users of screen readers, once they have heard what comes before it. */
export function announce(sentence) {
  let region = document.querySelector('[data-announcements]');
  if (!region) {
    region = document.createElement('p');
    region.className = 'unseen';
    region.setAttribute('role', 'status');
    region.dataset.announcements = '';
    document.body.append(region);
  }
  // A region is read only if it was there before its text.
  setTimeout(() => (region.textContent = sentence), 100);
}

/** Shows a sentence in an element that is hidden while it has none. */
export function say(element, sentence) {
  if (!element) return;
  element.textContent = '';
  element.hidden = !sentence;
  setTimeout(() => (element.textContent = sentence), 100);
}

// Requests.

/** Whether the browser says that the visitor has a session. The cookie holds no secret. */
export function hasSession() {
  return document.cookie.split('; ').includes('anb_dentro=1');
}

function dropSession() {
  document.cookie = 'anb_dentro=; Max-Age=0; Path=/';
}

/**
 * Sends a request. Returns `{status, body, wait}`: the status is 0 without a response, the body is
 * none without JSON, `wait` is the number of seconds after which a retry makes sense.
 */
export async function call(address, options) {
  const headers = { Accept: 'application/json', 'Accept-Language': lang };
  try {
    const response = await fetch(address, { ...options, headers });
    const { status } = response;
    const wait = Number(response.headers.get('Retry-After')) || 0;
    return { status, wait, body: await response.json().catch(() => undefined) };
  } catch {
    return { status: 0, wait: 0 };
  }
}

/** Returns the sentence for a request that failed, or none for one that may never have arrived. */
export function reason({ status, body, wait }) {
  if (status === 429 && wait) return fill(t.wait, { time: duration(wait) });
  return status < 500 ? body?.message : undefined;
}

// Storage, which browsers may forbid or fill up.

export function stored(area, name) {
  try {
    return JSON.parse(window[area].getItem(name));
  } catch {
    return null;
  }
}

export function store(area, name, value) {
  try {
    window[area].setItem(name, JSON.stringify(value));
  } catch {
    // What is stored only saves requests.
  }
}

function forgetVisitor() {
  try {
    sessionStorage.removeItem('anb-session');
    sessionStorage.removeItem('anb-votes');
  } catch {
    // Nothing was stored.
  }
}

// Other tabs. An open channel would keep a page out of the back/forward cache.

let tabs;

function listen() {
  tabs = globalThis.BroadcastChannel && new BroadcastChannel('anb');
  tabs?.addEventListener('message', ({ data }) => {
    if (data.vote) return count(data.vote, data.votes);
    const isForm = document.querySelector(
      'main form[method=post]:not([data-vote], details:not([open]) > form)',
    );
    if (data.left) {
      forgetVisitor();
      if (PRIVATE_PAGES.test(location.pathname)) location.reload();
      else greet();
    } else if (!isForm && !playing) {
      // The language changed. What somebody types or watches is worth more.
      location.reload();
    }
  });
}

/** Sends a form that changes the whole site, tells the other tabs, then shows the new page. */
async function sendForAll(form, submitter, message, show) {
  const body = new URLSearchParams(new FormData(form));
  if (submitter?.name) body.set(submitter.name, submitter.value);
  try {
    const response = await fetch(form.action, { method: 'POST', body, redirect: 'manual' });
    if (response.type !== 'opaqueredirect') throw response;
  } catch {
    return form.submit();
  }
  tabs?.postMessage(message);
  show();
}

// Session.

/** Ids of the videos that the page shows, for which the visitor's part matters. */
function shownVideos() {
  const forms = document.querySelectorAll('[data-vote]');
  const rows = document.querySelectorAll('[data-clip]');
  const ids = [...forms].map((form) => form.dataset.vote);
  return [...new Set([...ids, ...[...rows].map((row) => row.dataset.clip)])].sort();
}

let isGreeted = false;

/** Marks what belongs to the visitor. Public pages are the same for everybody until then. */
async function greet() {
  const wasGreeted = isGreeted;
  isGreeted = hasSession();
  if (wasGreeted && !isGreeted) for (const id of shownVideos()) mark(id, 'none');
  for (const [id, { votes, at }] of Object.entries(stored('sessionStorage', 'anb-votes') ?? {})) {
    mark(id, 'voted', Date.now() - at < COUNTED_MS ? votes : 0);
  }
  const videos = shownVideos().join();
  if (!isGreeted || !videos) return;
  let known = stored('sessionStorage', 'anb-session');
  if (known?.videos !== videos || Date.now() - known.at > SESSION_MS) {
    const { status, body } = await call(`/sesion?videos=${videos}`);
    if (status === 401) {
      dropSession();
      return forgetVisitor();
    }
    if (status !== 200 || !body) return;
    known = { ...body, videos, at: Date.now() };
    store('sessionStorage', 'anb-session', known);
  }
  for (const id of known.voted) mark(id, 'voted');
  for (const id of known.own) own(id);
}

function own(id) {
  mark(id, 'own');
  const row = document.querySelector(`[data-clip="${CSS.escape(id)}"]`);
  if (!row) return;
  row.querySelector('[data-own-row]').hidden = false;
  const link = document.querySelector('[data-my-place]');
  if (!link || !link.hidden) return;
  row.id ||= 'mi-puesto';
  link.hash = row.id;
  link.hidden = false;
}

// Votes.

/** Shows a state of the vote buttons of a video: `none`, `sending`, `voted` or `own`. */
function mark(id, state, votes = 0) {
  if (state === 'none' && contest.closed) state = 'closed';
  for (const form of document.querySelectorAll(`[data-vote="${CSS.escape(id)}"]`)) {
    const button = form.querySelector('button');
    const number = form.querySelector('[data-count]');
    const isWide = form.classList.contains('wide');
    const labels = {
      none: t.vote,
      sending: isWide ? t.sending_vote : t.sending,
      voted: isWide ? t.vote_counts : t.voted,
      own: t.own,
      closed: contest.closed_label,
    };
    button.dataset.state = state;
    button.setAttribute('aria-busy', state === 'sending');
    button.setAttribute('aria-pressed', state === 'voted');
    if (contest.closed) button.setAttribute('aria-disabled', state === 'closed');
    form.querySelector('[data-label]').textContent = labels[state];
    if (votes > shownVotes(number)) number.textContent = grouped(votes);
  }
}

function shownVotes(number) {
  return Number(number.textContent.replace(/\D/g, ''));
}

/** Shows a vote that counts, of this tab or another. */
function count(id, votes) {
  const counted = stored('sessionStorage', 'anb-votes') ?? {};
  store('sessionStorage', 'anb-votes', { ...counted, [id]: { votes, at: Date.now() } });
  mark(id, 'voted', votes);
}

/** Returns why the contest refused a vote, with the date from which it would count. */
function refusal({ body }) {
  const { code, message, opens_at, closes_at, allowed_at } = body ?? {};
  const isEarly = Date.parse(opens_at) > Date.now();
  const from = allowed_at ?? (isEarly ? opens_at : undefined);
  if (from) return `${message} ${fill(contest.vote_from, { date: inWords(from) })}`;
  if (code !== 'voting_closed') return undefined;
  return fill(contest.voting_closed, { date: inWords(closes_at) }) || message;
}

/** Returns a date by the clocks of the contest. */
function inWords(date) {
  const style = { dateStyle: 'long', timeStyle: 'short', timeZone: contest.time_zone };
  return new Intl.DateTimeFormat(isSpanish ? 'es-CO' : 'en-GB', style).format(new Date(date));
}

async function vote(form) {
  const id = form.dataset.vote;
  const { state } = form.querySelector('button').dataset;
  const tell = (sentence) => say(form.querySelector('[data-status]'), sentence);
  if (state === 'sending') return;
  if (state === 'voted') return tell(t.already_voted);
  if (state === 'own') return tell(t.own_video);
  if (state === 'closed') return tell(contest.closed);

  mark(id, 'sending');
  tell('');
  const answer = await call(`/api/public/videos/${id}/vote`, {
    method: 'POST',
    keepalive: true,
    signal: AbortSignal.timeout?.(VOTE_TIMEOUT_MS),
  });
  // A captive portal answers 200 as well, but not in JSON.
  if (answer.status === 200 && answer.body) {
    const votes = shownVotes(form.querySelector('[data-count]')) + 1;
    count(id, votes);
    tabs?.postMessage({ vote: id, votes });
    announce(t.vote_counts);
  } else if (answer.body?.code === 'already_voted') {
    count(id, 0);
    tell(t.already_voted);
  } else if (answer.body?.code === 'own_video') {
    mark(id, 'own');
    tell(t.own_video);
  } else if (answer.status === 401) {
    mark(id, 'none');
    dropSession();
    const page = encodeURIComponent(location.pathname + location.search);
    location.assign(`/entrar?volver=${page}&votar=${id}`);
  } else {
    mark(id, 'none');
    tell(refusal(answer) ?? reason(answer) ?? t.vote_failed);
  }
}

// Clips. Each box has its thumb or a video, and one box of the page has a video at most.

/** What plays: the box, its video, and what the box had before. */
let playing;
const positions = new WeakMap();

/** Whether bytes are scarce, so that the light clip is the better offer. */
function isThrifty() {
  const { saveData, effectiveType, type } = navigator.connection ?? {};
  return saveData || SLOW_LINKS.includes(effectiveType) || type === 'cellular';
}

function offered(link) {
  const chosen = stored('localStorage', 'anb-size') ?? (isThrifty() ? 'light' : 'full');
  return link.dataset.light ? chosen : 'full';
}

function offer(link, size, full) {
  const bytes = link.dataset[`${size}Bytes`];
  if (!bytes) return t.watch;
  return fill(size === 'light' ? t.watch_light : full, { size: megabytes(bytes) });
}

/** Writes on the buttons what a tap loads. */
function showOffers() {
  for (const link of document.querySelectorAll('a.play')) {
    const size = offered(link);
    link.querySelector('[data-size]').textContent = offer(link, size, t.watch_size);
    const other = link.closest('.stage')?.querySelector('a[data-play]');
    if (!other) continue;
    other.dataset.play = size === 'light' ? 'full' : 'light';
    other.href = link.dataset[other.dataset.play];
    other.textContent = offer(link, other.dataset.play, t.watch_full);
  }
}

/** Shows that the tap was noticed first: the browser takes long to make the controls of a video. */
function afterPaint(action) {
  requestAnimationFrame(() => setTimeout(action));
}

function play(link, size) {
  stop();
  showOffers();
  const box = link.closest('[data-player]');
  const video = document.createElement('video');
  video.controls = true;
  video.playsInline = true;
  video.autoplay = true;
  // The thumb is here already, the poster would be loaded.
  video.poster = box.querySelector('img')?.currentSrc ?? '';
  video.setAttribute('aria-label', box.dataset.title);
  const start = positions.get(box) ?? 0;
  video.onerror = () => {
    const hasPlayed = video.currentTime > start;
    stop();
    // What played came from an address that may have expired. The link leads to a new one.
    if (hasPlayed) return play(link, size);
    link.querySelector('[data-size]').textContent = t.clip_failed;
    link.focus();
  };
  video.src = `${link.dataset[size]}#t=${start}`;
  playing = { box, video, rest: [...box.childNodes] };
  box.replaceChildren(video);
  video.focus();
}

/** Puts the thumb back, which also ends the download. A tap continues where the clip was. */
function stop() {
  if (!playing) return;
  const { box, video, rest } = playing;
  playing = undefined;
  video.onerror = null;
  video.pause();
  positions.set(box, video.ended ? 0 : video.currentTime);
  video.removeAttribute('src');
  video.load();
  box.replaceChildren(...rest);
}

/** Plays the clip of the page in the other size, and remembers the choice. */
function playOther(other) {
  const { play: size } = other.dataset;
  if (playing?.box.closest('.stage') === other.closest('.stage')) stop();
  store('localStorage', 'anb-size', size);
  play(other.closest('.stage').querySelector('a.play'), size);
}

// The contest: the time until its next date, when the page is out of date.

/** Returns a time in its two largest units, as the server writes it. */
function countdown(seconds) {
  const [days, hours] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days}\u00a0d ${hours}\u00a0h`;
  if (hours) return `${hours}\u00a0h ${minutes}\u00a0min`;
  return `${minutes}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Shows the new phase, unless somebody watches a clip or fills in a form. */
function renew() {
  const isWatched = playing && !playing.video.paused;
  const forms = document.querySelectorAll('main form[method=post]:not([data-vote])');
  const isForm = [...forms].some((form) => form.checkVisibility());
  if (isWatched || isForm || document.hidden) setTimeout(renew, 1_000);
  else location.reload();
}

for (const time of document.querySelectorAll('[data-countdown]')) {
  // The clock of the visitor may be wrong, but it runs.
  const end = Date.now() + time.dataset.countdown * 1_000;
  const timer = setInterval(() => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1_000));
    const words = countdown(left);
    if (time.textContent !== words) time.textContent = words;
    if (left) return;
    clearInterval(timer);
    setTimeout(renew, Math.random() * RELOAD_MS);
  }, 1_000);
}

// Dialogs.

let dismiss = () => {};

/** Asks a question. Resolves with whether the answer is yes; another question means no. */
export function ask(dialog) {
  dismiss();
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = () => {
      // The event of an earlier question comes late, when the dialog is open again.
      if (!dialog.open) resolve(dialog.returnValue === 'yes');
    };
    dialog.addEventListener('close', answer);
    dismiss = () => {
      dialog.removeEventListener('close', answer);
      resolve(false);
    };
  });
}

const confirmed = new WeakSet();

async function confirmFirst(form, submitter) {
  if (!(await ask(document.querySelector(form.dataset.confirm)))) return;
  // Without this module the form leads to a page that asks, and whose form does it.
  form.method = 'post';
  confirmed.add(form);
  form.requestSubmit(submitter);
}

// Events of the page.

document.addEventListener('submit', (event) => {
  const { target: form, submitter } = event;
  const { vote: id, confirm: dialog, logout, language } = form.dataset;
  if (dialog && !confirmed.delete(form)) {
    event.preventDefault();
    confirmFirst(form, submitter);
  } else if (id && (hasSession() || submitter?.dataset.state === 'closed')) {
    event.preventDefault();
    vote(form);
  } else if (logout !== undefined) {
    event.preventDefault();
    forgetVisitor();
    sendForAll(form, submitter, { left: true }, () => location.assign('/'));
  } else if (language !== undefined) {
    event.preventDefault();
    sendForAll(form, submitter, { language: true }, () => location.reload());
  }
  // Browsers offer to keep a password only from a field of its type.
  for (const button of form.querySelectorAll('[data-reveal]')) reveal(button, false);
});

document.addEventListener('click', (event) => {
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey);
  const link = event.target.closest('a.play, a[data-play], a[data-share], [data-reveal]');
  if (!link || !isPlain) return;
  const isRevealed = link.getAttribute('aria-pressed') === 'true';
  if (link.matches('[data-reveal]')) return reveal(link, !isRevealed);
  if (link.matches('[data-share]') && !navigator.share) return;
  event.preventDefault();
  if (link.matches('[data-share]')) share(link);
  else if (link.matches('a.play')) afterPaint(() => play(link, offered(link)));
  else afterPaint(() => playOther(link));
});

/** Opens the phone's own list of apps; the link itself leads to WhatsApp. */
async function share(link) {
  const url = link.dataset.url || location.href.replace('/voto/', '/videos/');
  try {
    await navigator.share({ text: link.dataset.text, url });
  } catch (error) {
    if (error.name !== 'AbortError') location.assign(link.href);
  }
}

function reveal(button, isShown) {
  document.getElementById(button.dataset.reveal).type = isShown ? 'text' : 'password';
  button.textContent = isShown ? t.conceal : t.reveal;
  button.setAttribute('aria-pressed', isShown);
}

// With the keyboard each arrow key changes the city, so the form waits for its button.
let isPointed = false;
document.addEventListener('pointerdown', () => (isPointed = true), true);
document.addEventListener('keydown', () => (isPointed = false), true);
document.addEventListener('change', ({ target }) => {
  if (isPointed && target.matches('[data-city] select')) target.form.requestSubmit();
});

// Places that a city may mean, while somebody types it. A list of the browser's own would hide names
// whose accents are not typed.
const places = document.querySelector('[data-places]');
if (places) {
  const input = document.getElementById(places.dataset.places);
  input.removeAttribute('list');
  const suggest = async () => {
    const typed = input.value;
    const { body } = await call(`/api/public/cities?q=${encodeURIComponent(typed)}`);
    const isLate = input.value !== typed || document.activeElement !== input;
    if (isLate || !Array.isArray(body)) return;
    const names = body.map(({ name, department }) => `${name}, ${department}`);
    places.hidden = !typed.trim() || !names.length || names.includes(typed);
    places.replaceChildren(
      ...names.slice(0, MAX_PLACES).map((name) => {
        const item = document.createElement('li');
        const button = document.createElement('button');
        item.append(Object.assign(button, { type: 'button', textContent: name }));
        return item;
      }),
    );
  };
  const hide = () => (places.hidden = true);
  let waiting;
  input.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(suggest, PLACES_MS);
  });
  // A tap leaves the focus where it is, so that it does not hide its own button.
  places.addEventListener('mousedown', (event) => event.preventDefault());
  places.addEventListener('click', ({ target }) => {
    if (!target.matches('button')) return;
    input.value = target.textContent;
    input.focus();
    hide();
  });
  const field = places.parentElement;
  field.addEventListener('keydown', ({ key }) => key === 'Escape' && hide());
  field.addEventListener('focusout', ({ relatedTarget }) => field.contains(relatedTarget) || hide());
}

// Players outside of boxes, as on the organisers' pages, also play one at a time.
const pauseOthers = ({ target }) => {
  for (const video of document.querySelectorAll('video')) if (video !== target) video.pause();
};
document.addEventListener('play', pauseOthers, true);

function showLink() {
  document.querySelector('[data-offline]')?.toggleAttribute('hidden', navigator.onLine);
}
addEventListener('online', showLink);
addEventListener('offline', showLink);

addEventListener('pagehide', () => tabs?.close());
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  listen();
  greet();
});
document.addEventListener('visibilitychange', () => {
  // The visitor logged in or out in another window.
  if (!document.hidden && isGreeted !== hasSession()) greet();
});

for (const button of document.querySelectorAll('[data-reveal]')) button.hidden = false;
for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false;
  button.onclick = () => print();
}
// Whoever logs in is somebody else.
if (document.querySelector('input[type=password]') || !hasSession()) forgetVisitor();
listen();
showLink();
showOffers();
greet();

// The upload page: choose a video, check it, send it, follow it until its clip is ready. Each state
// has a section of the page; `upload.js` sends, and survives broken links.

import { check } from './check.js';
import { addresses, announcer, watch } from './live.js';
import { Pace, inSteps } from './pace.js';
import * as page from './page.js';
import { PAUSED, cancelUpload, fingerprint, openUploads, upload } from './upload.js';

const ENDPOINT = '/api/uploads';
/** Interruptions that are shorter are not worth a sentence. */
const DROPPED_MS = 1_000;
/** Uploads that cost noticeable data, and where the browser keeps that their player agreed. */
const HEAVY_BYTES = 5 << 20;
const AGREED = 'anb-mobile-data';
/** States that are lost if the page is closed. */
const SENDING = ['subiendo', 'sin-conexion', 'confirmando'];
/** Problems of the file itself, which sending it again does not solve. */
const OF_THE_FILE = ['not_an_mp4', 'upload_too_large', 'file_unreadable', 'different_file'];

const root = document.querySelector('[data-upload]');
const t = page.sentences(root);
const rules = JSON.parse(root.dataset.rules);
const input = root.querySelector('[data-file]');
const session = { endpoint: ENDPOINT, logIn };

/** The chosen file, and if it continues an upload, that upload. */
let file;
let continued;
/** Title and visibility of the video. */
let metadata = {};
/** Ends the upload that runs. */
let stopping = new AbortController();
let state;
let video;

// States.

function section(name) {
  return root.querySelector(`[data-estado="${name}"]`);
}

function show(name) {
  if (state === name) return;
  const hadFocus = state && section(state).contains(document.activeElement);
  state = name;
  for (const part of root.querySelectorAll('[data-estado]')) {
    part.hidden = part.dataset.estado !== name;
  }
  showOpenUploads();
  // Otherwise the focus would be lost with the button that was tapped.
  if (hadFocus) {
    section(name).tabIndex = -1;
    section(name).focus();
  }
  if (SENDING.includes(name)) addEventListener('beforeunload', warn);
  else removeEventListener('beforeunload', warn);
}

function warn(event) {
  event.preventDefault();
}

/** Writes a text into its place in all states. */
function write(part, text = '') {
  for (const element of root.querySelectorAll(`[data-estado] [data-${part}]`)) {
    if (element.textContent !== text) element.textContent = text;
  }
}

function showProgress(percent) {
  write('percent', page.percentage(percent));
  for (const bar of root.querySelectorAll('[data-estado] [data-progress]')) bar.value = percent;
}

function percentOf(sent, total) {
  return Math.floor((100 * sent) / total);
}

function fail(sentence, { mayRetry = false } = {}) {
  write('reason', sentence);
  section('fallo').querySelector('[data-do="retry"]').hidden = !mayRetry;
  show('fallo');
}

// The file and its rules.

const SENTENCES = {
  too_short: ({ seconds, min_seconds }) => page.fill(t.too_short, { seconds, min: min_seconds }),
  too_long: ({ seconds, max_seconds }) => page.fill(t.too_long, { seconds, max: max_seconds }),
  low_resolution: ({ lines, min_lines }) => page.fill(t.too_few_lines, { lines, min: min_lines }),
  file_too_large: ({ bytes, max_bytes }) => {
    const [size, max] = [bytes, max_bytes].map(page.megabytes);
    return page.fill(t.too_heavy, { size, max });
  },
  not_an_mp4: () => t.not_an_mp4,
  not_a_video: () => t.not_a_video,
};

async function choose(chosen) {
  if (!chosen || SENDING.includes(state)) return;
  file = chosen;
  write('name', file.name);
  showTicks();
  showProgress(continued ? percentOf(continued.offset, continued.length) : 0);
  if (continued) {
    const isAgreed = await mayUseData(continued.length - continued.offset);
    return isAgreed ? send() : chooseOther();
  }
  show('revisando');
  const { ok, problems, facts } = await check(file, rules);
  if (file !== chosen) return;
  showTicks(problems, facts);
  // The ticks show all problems; the sentence says what to do about the first.
  const [problem] = problems;
  if (!ok) return fail(SENTENCES[problem.code](problem.values));
  const notice = section('listo').querySelector('[data-mobile]');
  notice.hidden = !isMetered();
  notice.textContent = mobileData(file.size);
  show('listo');
}

/** Marks the rules as met or broken, and those that cannot be judged here as open. */
function showTicks(problems = [], facts = {}) {
  const isKnown = {
    duration: facts.seconds,
    lines: facts.lines,
    size: facts.bytes,
    format: facts.format,
  };
  for (const tick of root.querySelectorAll('[data-rule]')) {
    const { rule } = tick.dataset;
    const isBroken = problems.some((problem) => problem.rule === rule);
    tick.dataset.state = isBroken ? 'broken' : isKnown[rule] ? 'met' : 'open';
    const verdict = { broken: t.rule_broken, met: t.rule_met, open: '' }[tick.dataset.state];
    tick.querySelector('[data-verdict]').textContent = verdict && ` ${verdict}`;
  }
}

// Mobile data.

function isMetered() {
  const { type, saveData } = navigator.connection ?? {};
  return Boolean(type === 'cellular' || saveData);
}

function mobileData(bytes) {
  return page.fill(t.mobile_data, { size: page.megabytes(bytes) });
}

/** Asks once a session before it uses much mobile data. */
async function mayUseData(bytes) {
  if (bytes < HEAVY_BYTES || !isMetered() || page.stored('sessionStorage', AGREED)) return true;
  const dialog = document.querySelector('#mobile-data');
  dialog.querySelector('[data-question]').textContent = mobileData(bytes);
  const isAgreed = await page.ask(dialog);
  if (isAgreed) page.store('sessionStorage', AGREED, true);
  return isAgreed;
}

function chooseOther() {
  file = undefined;
  continued = undefined;
  input.value = '';
  showTicks();
  show('elegir');
}

// Sending.

const title = section('listo').querySelector('[data-title]');

async function start() {
  title.setCustomValidity(title.value.trim() ? '' : t.title_missing);
  if (!title.reportValidity()) return;
  const isPublic = section('listo').querySelector('[data-public]').checked;
  metadata = { title: title.value.trim(), is_public: String(isPublic) };
  if (await mayUseData(file.size)) send();
}

async function send() {
  stopping = new AbortController();
  const { signal } = stopping;
  const meter = new Meter(announcer());
  let dropped;
  show('subiendo');
  const ticking = setInterval(() => meter.show(), 1_000);
  try {
    video = await upload(file, {
      ...session,
      signal,
      metadata,
      resume: continued,
      onProgress({ sent, stored, total }) {
        if (signal.aborted) return;
        clearTimeout(dropped);
        meter.add(sent, stored, total);
        show(sent < total ? 'subiendo' : 'confirmando');
      },
      onState(name, error) {
        if (name !== 'waiting' || signal.aborted) return;
        meter.restart();
        dropped = setTimeout(() => {
          show('sin-conexion');
          page.announce(t.dropped);
          if (error.status === 429) write('sent', pleaseWait(error));
        }, DROPPED_MS);
      },
    });
    if (continued) listOpenUploads();
    follow();
  } catch (error) {
    end(error, signal);
  } finally {
    clearInterval(ticking);
    clearTimeout(dropped);
  }
}

function pause() {
  stopping.abort(PAUSED);
  show('pausada');
}

/** Tries again at once instead of after the pause of `upload.js`. */
function retry() {
  if (state === 'sin-conexion') stopping.abort(PAUSED);
  send();
}

async function cancel() {
  const { signal } = stopping;
  if (!(await page.ask(document.querySelector('#cancel-upload')))) return;
  if (signal !== stopping.signal || !['pausada', ...SENDING].includes(state)) return;
  const wasPaused = state === 'pausada';
  stopping.abort();
  const print = wasPaused && (await fingerprint(file).catch(() => undefined));
  if (print) await removeUploads((entry) => entry.fingerprint === print);
  chooseOther();
}

/** Removes unfinished uploads. Those that remain expire by themselves. */
async function removeUploads(isWanted) {
  try {
    const found = (await openUploads(session)).filter(isWanted);
    for (const { video_id: id } of found) await cancelUpload(id, session);
  } catch {
    // The list still shows them.
  }
  await listOpenUploads();
}

async function end(error, signal) {
  // Another `send` may run by now.
  if (signal !== stopping.signal) return;
  if (error === PAUSED) return show('pausada');
  if (signal.aborted) return;
  const { code, problem, status } = error;
  const ofTitle = problem?.fields?.find(({ field }) => field === 'title');
  if (ofTitle) {
    show('listo');
    title.setCustomValidity(ofTitle.message);
    title.reportValidity();
    return;
  }
  if (code === 'too_many_uploads') {
    const count = await listOpenUploads();
    return fail(page.fill(t.too_many_open, { count }), { mayRetry: true });
  }
  fail(explain(code, problem, status), { mayRetry: !OF_THE_FILE.includes(code) });
}

function explain(code, problem, status) {
  if (code === 'different_file') return t.other_file;
  if (code === 'file_unreadable') return t.file_unreadable;
  if (code === 'upload_too_large') {
    return SENTENCES.file_too_large({ bytes: file.size, max_bytes: rules.max_bytes });
  }
  if (status < 500 && problem?.message) return problem.message;
  return problem?.request_id ? page.fill(t.our_fault, { id: problem.request_id }) : t.dropped;
}

function pleaseWait({ retryAfterMs }) {
  return page.fill(t.wait, { time: page.duration(retryAfterMs / 1_000) });
}

/** Shows bytes, percent and time left of an upload. */
class Meter {
  pace = new Pace();

  constructor(announce) {
    this.announce = announce;
  }

  /** Forgets the speed: after a break the link is another one. */
  restart() {
    this.pace = new Pace();
  }

  add(sent, stored, total) {
    this.pace.add(performance.now(), sent, stored);
    this.sent = sent;
    this.total = total;
    const percent = percentOf(sent, total);
    if (percent === this.percent) return;
    this.percent = percent;
    showProgress(percent);
    this.announce(t.uploading, percent);
    this.show();
  }

  show() {
    if (this.total === undefined || state !== 'subiendo') return;
    const [sent, total] = [this.sent, this.total].map(page.megabytes);
    const seconds = this.pace.secondsLeft(performance.now(), this.total);
    const left = seconds && page.duration(inSteps(seconds));
    write('sent', page.fill(left ? t.sent_of : t.sent_of_total, { sent, total, left }));
  }
}

// The session may end while a video is on its way.

const dialog = document.querySelector('[data-login]');
let loggingIn;

/** Asks for the password. Closing the dialog pauses the upload. */
function logIn() {
  loggingIn ??= new Promise((resolve, reject) => {
    dialog.returnValue = '';
    dialog.showModal();
    const end = () => {
      loggingIn = undefined;
      if (dialog.returnValue === 'yes') resolve();
      else reject(PAUSED);
    };
    dialog.addEventListener('close', end, { once: true });
  });
  return loggingIn;
}

async function sendLogIn(form) {
  const body = new URLSearchParams(new FormData(form));
  const answer = await page.call(form.action, { method: 'POST', body });
  if (answer.status !== 204) {
    const sentence = page.reason(answer) ?? t.dropped;
    return page.say(dialog.querySelector('[data-problem]'), sentence);
  }
  form.reset();
  page.say(dialog.querySelector('[data-problem]'), '');
  dialog.close('yes');
}

// Uploads that were not finished, also on other phones.

/** Lists them. Returns their number. */
async function listOpenUploads() {
  const wanted = new URLSearchParams(location.search).get('continuar');
  const list = root.querySelector('[data-open-uploads]');
  const uploads = await openUploads({ endpoint: ENDPOINT }).catch(() => []);
  const rows = uploads.map((entry) => {
    const { content } = root.querySelector('[data-open-upload]');
    const row = content.cloneNode(true).firstElementChild;
    const percent = percentOf(entry.offset, entry.length);
    const name = entry.filename ?? entry.title;
    row.querySelector('[data-name]').textContent = page.fill(t.continue_upload, { file: name });
    row.querySelector('[data-percent]').textContent = page.percentage(percent);
    row.querySelector('[data-progress]').value = percent;
    row.querySelector('[data-do="resume"]').onclick = () => {
      chooseOther();
      continued = entry;
      input.click();
    };
    row.querySelector('[data-do="cancel"]').onclick = async () => {
      const isSure = await page.ask(document.querySelector('#cancel-upload'));
      if (isSure) await removeUploads(({ video_id: id }) => id === entry.video_id);
    };
    return row;
  });
  list.replaceChildren(...rows);
  showOpenUploads();
  const index = uploads.findIndex(({ video_id: id }) => id === wanted);
  rows[index]?.querySelector('[data-do="resume"]').focus();
  return rows.length;
}

/** Shows them while nothing else is sent. */
function showOpenUploads() {
  const isFree = ['elegir', 'listo', 'fallo'].includes(state);
  const isEmpty = root.querySelector('[data-open-uploads]').childElementCount === 0;
  root.querySelector('[data-open-section]').hidden = isEmpty || !isFree;
}

// The clip.

/** Follows the video until its clip is ready or its file is rejected. */
function follow() {
  const id = video;
  const tell = announcer();
  show('en-fila');
  page.announce(t.live.received);
  const stop = watch({
    ...addresses([id]),
    onData(videos) {
      const current = videos.find((one) => one.id === id);
      if (!current || video !== id) return stop();
      const { state: status, percent, label, left } = current;
      write('label', left || label);
      write('left', left);
      if (status === 'processing') {
        showProgress(percent ?? 0);
        tell(label, percent ?? 0);
        show('procesando');
      } else if (status === 'processed') {
        stop();
        showClip(id);
      } else if (status === 'failed') {
        stop();
        showProgress(0);
        fail(left || label, { mayRetry: true });
      }
    },
  });
}

async function showClip(id) {
  const { status, body } = await page.call(`/api/videos/${id}`);
  if (status !== 200 || !body) return location.assign(`/mis-videos/${id}`);
  const player = document.createElement('video');
  player.controls = true;
  player.playsInline = true;
  player.preload = 'none';
  player.poster = body.poster_url ?? '';
  player.src = body.light_url ?? body.processed_url;
  player.setAttribute('aria-label', body.title);
  const box = section('listo-clip').querySelector('[data-clip]');
  box.className = 'player';
  box.replaceChildren(player);
  section('listo-clip').querySelector('a[href^="/mis-videos"]').href = `/mis-videos/${id}`;
  showPublished(body.is_public);
  show('listo-clip');
  page.announce(isPublicSentence(body.is_public));
}

function isPublicSentence(isPublic) {
  return isPublic ? t.live.state_public : t.live.clip_ready;
}

function showPublished(isPublic) {
  const part = section('listo-clip');
  const share = part.querySelector('[data-share]');
  const address = new URL(`/videos/${video}`, location.href).href;
  part.querySelector('h2').textContent = isPublicSentence(isPublic);
  part.querySelector('[data-do="publish"]').hidden = isPublic;
  share.hidden = !isPublic;
  share.href = `https://wa.me/?text=${encodeURIComponent(address)}`;
  share.dataset.url = address;
}

async function publish(button) {
  button.setAttribute('aria-busy', true);
  const answer = await page.call(`/api/videos/${video}/publish`, { method: 'POST' });
  button.setAttribute('aria-busy', false);
  if (answer.status === 200) {
    showPublished(true);
    section('listo-clip').querySelector('[data-share]').focus();
    page.announce(t.live.state_public);
  } else if (answer.status === 401) {
    await logIn().then(() => publish(button), () => {});
  } else {
    section('listo-clip').querySelector('h2').textContent = page.reason(answer) ?? t.dropped;
  }
}

// Events.

const ACTIONS = { start, pause, resume: send, retry, cancel, choose: chooseOther, publish };

for (const part of root.querySelectorAll('[data-estado]')) {
  part.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-do]');
    if (button) ACTIONS[button.dataset.do](button);
  });
}
input.addEventListener('change', () => choose(input.files[0]));
title.addEventListener('input', () => {
  title.setCustomValidity('');
  write('title-count', String(title.maxLength - title.value.length));
});
dialog.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  sendLogIn(event.target);
});
const drop = root.querySelector('[data-drop]');
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.toggleAttribute('data-over', name === 'dragenter' || name === 'dragover');
    if (name === 'drop') choose(event.dataTransfer.files[0]);
  });
}

root.querySelector('[data-upload-form]').hidden = true;
root.toggleAttribute('data-on', true);
write('title-count', String(title.maxLength - title.value.length));
show('elegir');
listOpenUploads();

// The moderators' list by keyboard, and without a new page after each clip. The keys work while the
// focus is in the list, so nobody who dictates presses one by accident (WCAG 2.1.4).

import { announce, ask, call, fill, grouped, reason, sentences } from './page.js';

const list = document.querySelector('[data-reports]');
const t = sentences(list);
const help = list.querySelector('dialog');

const clips = () => [...list.querySelectorAll('.reported > li:not([hidden]) article')];

function select(clip) {
  list.querySelector('video')?.pause();
  clip?.focus();
}

/** Selects the next clip, or with -1 the one before. */
function step(from, by) {
  const all = clips();
  const index = from ? all.indexOf(from) + by : 0;
  select(all[Math.min(Math.max(index, 0), all.length - 1)]);
}

function tell(sentence, kind) {
  const told = list.querySelector('[data-told]');
  told.className = `notice told ${kind}`;
  told.textContent = sentence;
  told.hidden = false;
  announce(sentence);
}

/** Hides a clip at once, so that nothing moves later, when the answer arrives. */
function leave(clip) {
  const all = clips();
  const index = all.indexOf(clip);
  const next = all[index + 1] ?? all[index - 1] ?? list.querySelector('.tabs [aria-current=page]');
  if (clip.contains(document.activeElement)) select(next);
  clip.parentElement.hidden = true;
}

/** Takes a clip off the list. Returns how many are left on the whole list. */
function remove(clip) {
  const here = list.querySelectorAll('.reported > li').length;
  clip.parentElement.remove();
  const open = list.querySelector('[data-open]');
  const left = Math.max(Number(open?.dataset.open ?? here) - 1, 0);
  if (open) {
    open.dataset.open = left;
    open.textContent = left ? grouped(left) : '';
  }
  if (here > 1) return left;
  // The page has only the first clips of a long list.
  if (left) location.reload();
  list.querySelector('[data-empty]').hidden = false;
  return left;
}

async function settle(form) {
  const clip = form.closest('article');
  const body = new URLSearchParams(new FormData(form));
  leave(clip);
  const answer = await call(form.action, { method: 'POST', body });
  const isLate = answer.body?.code === 'already_settled';
  if (answer.status === 401) {
    return location.assign(`/entrar?volver=${encodeURIComponent(location.pathname)}`);
  }
  if (answer.status !== 204 && !isLate) {
    clip.parentElement.hidden = false;
    select(clip);
    return tell(reason(answer) ?? t.failed, 'bad');
  }
  const count = grouped(remove(clip));
  const done = isLate ? t.late : t[form.dataset.act];
  tell(`${done} ${fill(t.left, { count })}`, isLate ? 'plain' : 'good');
}

const KEYS = {
  j: (clip) => step(clip, 1),
  k: (clip) => step(clip, -1),
  o: (clip) => clip?.querySelector('a.play')?.click(),
  h: (clip) => clip?.querySelector('[data-act=hidden] select')?.focus(),
  d: (clip) => clip?.querySelector('[data-act=dismissed]')?.requestSubmit(),
  s: (clip) => clip?.querySelector('[data-act=shown]')?.requestSubmit(),
  '?': () => ask(help),
};
const ARROWS = { ArrowDown: 'j', ArrowUp: 'k' };

list.addEventListener('keydown', (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || target.closest('dialog')) return;
  const clip = target.closest('article');
  if (target.matches('select')) {
    if (key === 'Escape') clip.focus();
    if (key !== 'Enter') return;
    event.preventDefault();
    return target.form.requestSubmit();
  }
  // A player has its own use for the arrows.
  const act = KEYS[target === clip ? (ARROWS[key] ?? key) : key];
  if (!act || event.repeat && key === 'd') return;
  event.preventDefault();
  act(clip);
});

list.addEventListener('submit', (event) => {
  if (!event.target.dataset.act) return;
  event.preventDefault();
  settle(event.target);
});

const button = list.querySelector('[data-help]');
button.hidden = false;
button.addEventListener('click', () => ask(help));
if (document.activeElement === document.body) clips()[0]?.focus({ preventScroll: true });

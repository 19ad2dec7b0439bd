// Keeps the organisers' figures up to date.

import { watch } from './live.js';
import { announce } from './page.js';

/** Shows a figure, and what is wrong with it. */
function show(tile, { value, note, bad }) {
  const [figure, sentence] = ['value', 'note'].map((part) => tile.querySelector(`[data-${part}]`));
  figure.textContent = value;
  sentence.hidden = !note;
  if (note && bad && note !== sentence.textContent) announce(note);
  sentence.textContent = note ?? '';
  tile.classList.toggle('late', Boolean(bad));
}

const tiles = [...document.querySelectorAll('[data-organise] [data-tile]')];
if (tiles.length > 0) {
  watch({
    stream: '/organizacion/eventos',
    poll: '/organizacion/estado',
    onData(data) {
      for (const tile of tiles) {
        const figure = data.tiles[tile.dataset.tile];
        if (figure) show(tile, figure);
      }
    },
  });
}

// What a page must not have. Answers `{problems, shift, moved}`.
const [width, hasScript, done] = arguments;
const problems = {};
const note = (what, found) => found.length > 0 && (problems[what] = found);

const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
note('an id twice', ids.filter((id, index) => ids.indexOf(id) !== index));

const describe = (element) => element.outerHTML.slice(0, 120);
const page = document.scrollingElement;
if (page.scrollWidth > width) {
  // Boxes whose parents are not as wide, since the page grows with them.
  const right = (element) => element.getBoundingClientRect().right + scrollX;
  const isWide = (e) => right(e) > width + 1 && right(e) > right(e.parentElement);
  const wide = [...document.querySelectorAll('main *')].filter(isWide);
  note(`scrolls sideways: ${page.scrollWidth} px`, [...wide.map(describe), 'the page']);
}

// Text in a box that is too small for it, unless the box ends it with an ellipsis.
const isCut = (element) => {
  const { overflowX, textOverflow, webkitLineClamp, position } = getComputedStyle(element);
  const isShort = textOverflow === 'ellipsis' || webkitLineClamp !== 'none';
  const isForReaders = position === 'absolute' && element.clientWidth <= 1;
  if (isShort || isForReaders || ['auto', 'scroll'].includes(overflowX)) return false;
  return element.scrollWidth > element.clientWidth + 1 && element.checkVisibility();
};
const boxes = 'button, .button, .chip, .panel, .card, h1, h2, h3, p, dd, td';
note('text leaves its box', [...document.querySelectorAll(boxes)].filter(isCut).map(describe));

if (!hasScript) {
  done({ problems, shift: 0 });
} else {
  const shifts = [];
  const add = (list) => shifts.push(...list.getEntries().filter((shift) => !shift.hadRecentInput));
  const observer = new PerformanceObserver(add);
  observer.observe({ type: 'layout-shift', buffered: true });
  // What the browser has buffered arrives in a task of its own.
  setTimeout(() => {
    const place = ({ x, y, width, height }) => `${width}x${height} at ${x},${y}`;
    const moved = shifts.flatMap(({ startTime, sources }) => sources.map(
      ({ node, previousRect, currentRect }) => `${node instanceof Element ? describe(node) : node?.data}` +
        ` after ${Math.round(startTime)} ms: ${place(previousRect)} → ${place(currentRect)}`));
    const shift = shifts.reduce((sum, { value }) => sum + value, 0);
    done({ problems, shift, moved: moved.slice(0, 5) });
  }, 30);
}

// Updates a second, as a curve.

import { clock, rate, write } from './words.js';

const SPACE = 'http://www.w3.org/2000/svg';
const ROOM = { left: 34, right: 4, top: 6, bottom: 16 };

export class Plot {
  constructor(svg, reading) {
    this.svg = svg;
    this.reading = reading;
    this.values = [];
    this.step = 1000;
    this.parts = Object.fromEntries(['rules', 'area', 'curve', 'hand', 'words'].map((name) => {
      const element = document.createElementNS(SPACE, name === 'rules' || name === 'words' ? 'g' : name === 'hand' ? 'line' : 'path');
      element.setAttribute('class', name);
      svg.append(element);
      return [name, element];
    }));
    this.parts.hand.setAttribute('visibility', 'hidden');
    new ResizeObserver(() => this.draw()).observe(svg);
    svg.addEventListener('pointermove', (event) => this.point(event));
    svg.addEventListener('pointerleave', () => this.leave());
  }

  /** Shows these values, the newest last, `step` milliseconds apart. */
  show(values, step) {
    this.values = values;
    this.step = step;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.svg;
    if (width === 0) return;
    const inner = { width: width - ROOM.left - ROOM.right, height: height - ROOM.top - ROOM.bottom };
    // As many as can be told apart, and not more empty room than half a minute's growth shows.
    const most = Math.max(2, Math.floor(inner.width / 2));
    const seen = this.values.slice(-most);
    const slots = Math.max(60, seen.length);
    const top = ceiling(Math.max(...seen, 1));
    const x = (place) => ROOM.left + inner.width * (slots - seen.length + place) / (slots - 1);
    const y = (value) => ROOM.top + inner.height * (1 - value / top);
    this.shown = { seen, x, y, width };
    const points = seen.map((value, place) => `${x(place).toFixed(1)} ${y(value).toFixed(1)}`);
    const path = points.length ? `M${points.join('L')}` : '';
    this.parts.curve.setAttribute('d', path);
    this.parts.area.setAttribute('d', path && `${path}L${x(seen.length - 1).toFixed(1)} ${y(0)}L${x(0).toFixed(1)} ${y(0)}Z`);
    const back = (slots - 1) * this.step;
    const frame = `${top} ${width} ${back}`;
    if (frame === this.frame) return;
    this.frame = frame;
    const levels = [0, top / 2, top];
    this.parts.rules.replaceChildren(...levels.map((level) => shape('line', {
      class: 'rule', x1: ROOM.left, x2: width - ROOM.right, y1: Math.round(y(level)), y2: Math.round(y(level)),
    })));
    const labels = levels.map((level) => shape('text', { x: ROOM.left - 7, y: y(level) + 4, 'text-anchor': 'end' }, rate(level)));
    const since = shape('text', { x: ROOM.left, y: height - 2 }, `${span(back)} ago`);
    const until = shape('text', { x: width - ROOM.right, y: height - 2, 'text-anchor': 'end' }, 'now');
    this.parts.words.replaceChildren(...labels, since, until);
  }

  point(event) {
    const { seen, x } = this.shown ?? {};
    if (!seen?.length) return;
    const at = event.clientX - this.svg.getBoundingClientRect().left;
    const first = x(0);
    const gap = seen.length > 1 ? x(1) - first : 1;
    const place = Math.min(seen.length - 1, Math.max(0, Math.round((at - first) / gap)));
    const { hand } = this.parts;
    for (const [name, value] of Object.entries({ x1: x(place), x2: x(place), y1: ROOM.top, y2: this.svg.clientHeight - ROOM.bottom, visibility: 'visible' })) {
      hand.setAttribute(name, value);
    }
    write(this.reading, `${rate(seen[place])} at ${clock(Date.now() - (seen.length - 1 - place) * this.step)}`);
  }

  leave() {
    this.parts.hand.setAttribute('visibility', 'hidden');
    write(this.reading, '');
  }
}

function shape(name, attributes, text = '') {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** The next number of the kind 1, 2, 4, 6, 10 times a power of ten. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((factor) => factor * power).find((level) => level >= value) ?? value;
}

function span(ms) {
  const minutes = Math.round(ms / 60000);
  if (minutes < 1) return `${Math.round(ms / 1000)} s`;
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

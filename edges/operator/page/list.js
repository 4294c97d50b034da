// The list: only the rows that can be seen are there, and they are used again as it scrolls.

import { coins, count, exact, make, rate, set, short, state, waits, write } from './words.js';

/** Rows asked for above and below what is seen. */
const MARGIN = 10;

export class List {
  /** `changed` is called when another part of the list is wanted, `chosen` with the key of the row that is. */
  constructor(element, changed, chosen) {
    this.element = element;
    this.space = element.firstElementChild;
    this.height = parseFloat(getComputedStyle(element).getPropertyValue('--row'));
    this.changed = changed;
    this.chosen = chosen;
    this.rows = new Map();
    this.order = [];
    this.pool = [];
    this.offset = 0;
    this.matching = 0;
    this.selected = null;
    element.addEventListener('scroll', () => this.scrolled(), { passive: true });
    element.addEventListener('click', (event) => this.choose(event.target.closest('.row')?.dataset.key));
    element.addEventListener('keydown', (event) => this.pressed(event));
    new ResizeObserver(() => this.scrolled()).observe(element);
  }

  /** The part of the list that is to be asked for. */
  get wanted() {
    const first = Math.floor(this.element.scrollTop / this.height);
    const seen = Math.ceil(this.element.clientHeight / this.height) + 1;
    // In strides, so that a little scrolling asks for nothing new.
    const offset = Math.max(0, Math.floor((first - MARGIN) / 5) * 5);
    return { first, seen, offset, limit: seen + 2 * MARGIN + 5 };
  }

  /** Takes an answer: the keys in order, and the rows that are new. */
  take({ order, offset, matching, channels }) {
    for (const side of channels) this.rows.set(side.key, side);
    if (this.rows.size > 600) {
      const kept = new Set(order);
      for (const key of this.rows.keys()) if (!kept.has(key)) this.rows.delete(key);
    }
    this.order = order;
    this.offset = offset;
    if (matching !== this.matching) {
      this.matching = matching;
      this.space.style.height = `${matching * this.height}px`;
    }
    this.draw();
  }

  select(key) {
    this.selected = key;
    this.draw();
  }

  top() {
    this.element.scrollTop = 0;
  }

  scrolled() {
    this.draw();
    const { offset } = this.wanted;
    if (offset !== this.asked) {
      this.asked = offset;
      this.changed();
    }
  }

  draw() {
    const { first, seen } = this.wanted;
    const last = Math.min(this.matching, first + seen);
    while (this.pool.length < seen) this.pool.push(this.row());
    const unused = new Set(this.pool);
    for (let index = first; index < last; index += 1) {
      const row = this.pool[index % this.pool.length];
      unused.delete(row);
      this.fill(row, index, this.rows.get(this.order[index - this.offset]));
    }
    for (const row of unused) row.element.hidden = true;
  }

  row() {
    const parts = {
      place: make('span', { class: 'place' }),
      id: make('span', { class: 'mono' }),
      role: make('span', { class: 'tag' }),
      tag: make('span', { class: 'tag' }),
      round: make('b'),
      rate: make('span'),
      share: make('i'),
      ours: make('span', { class: 'sum' }),
      theirs: make('span', { class: 'sum theirs' }),
      wait: make('span', { class: 'tag' }),
      waited: make('i'),
    };
    parts.meter = make('span', { class: 'meter' }, parts.waited);
    parts.bar = make('div', { class: 'bar' }, parts.share, make('i'));
    parts.end = make('span', { class: 'end' }, parts.rate, ' round ', parts.round);
    parts.element = make('div', { class: 'row', role: 'option' },
      make('span', { class: 'name' }, parts.id, parts.role, parts.place, parts.tag), parts.end, parts.bar,
      make('span', { class: 'sums' }, parts.ours, make('span', { class: 'waits' }, parts.meter, parts.wait), parts.theirs));
    this.space.append(parts.element);
    return parts;
  }

  fill(row, index, side) {
    const { element } = row;
    element.hidden = false;
    if (row.index !== index) {
      row.index = index;
      element.style.transform = `translateY(${index * this.height}px)`;
      element.setAttribute('aria-posinset', index + 1);
    }
    set(element, 'aria-setsize', String(this.matching));
    element.classList.toggle('blank', !side);
    if (!side) {
      row.shown = null;
      return;
    }
    const selected = String(side.key === this.selected);
    set(element, 'aria-selected', selected);
    if (row.shown === side) return;
    row.shown = side;
    element.dataset.key = side.key;
    element.id = `side-${side.key}`;
    set(row.place, 'data-place', side.place);
    write(row.place, state(side));
    write(row.id, short(side.id) || 'no id yet');
    const amiss = [side.peer ? '' : 'no peer', side.client ? '' : 'no client'].filter(Boolean).join(', ');
    write(row.role, side.role);
    write(row.tag, amiss);
    row.tag.classList.toggle('amiss', amiss !== '');
    write(row.round, count(side.round));
    write(row.rate, side.rate >= 0.05 ? `${rate(side.rate)}/s ·` : '');
    const wait = waits(side);
    write(row.wait, wait?.text ?? '');
    row.meter.hidden = !wait;
    row.meter.classList.toggle('lock', wait?.isLock ?? false);
    row.waited.style.width = `${((wait?.share ?? 0) * 100).toFixed(0)}%`;
    const share = shareOf(side);
    row.bar.classList.toggle('empty', share === null);
    row.share.style.width = `${((share ?? 0) * 100).toFixed(2)}%`;
    write(row.ours, coins(side.balances?.[0]));
    write(row.theirs, coins(side.balances?.[1]));
    set(row.ours, 'title', exact(side.balances?.[0]));
    set(row.theirs, 'title', exact(side.balances?.[1]));
    row.ours.classList.toggle('own', side.role === 'initiator');
    row.theirs.classList.toggle('own', side.role === 'responder');
    set(element, 'aria-label', `${short(side.id) || 'Channel without an id'}, ${side.role}, ${state(side)}, ${amiss}, round ${side.round}, ${wait ? `${wait.text}, ` : ''}`
      + `initiator ${coins(side.balances?.[0])}, responder ${coins(side.balances?.[1])}`);
  }

  choose(key) {
    if (key) this.chosen(key);
  }

  pressed(event) {
    const at = this.order.indexOf(this.selected) + this.offset;
    const page = this.wanted.seen - 2;
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.matching - 1 };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const index = Math.min(Math.max(next, 0), this.matching - 1);
    const { scrollTop, clientHeight } = this.element;
    const place = index * this.height;
    if (place < scrollTop) this.element.scrollTop = place;
    if (place + this.height > scrollTop + clientHeight) this.element.scrollTop = place + this.height - clientHeight;
    const key = this.order[index - this.offset];
    if (key) {
      this.element.setAttribute('aria-activedescendant', `side-${key}`);
      this.choose(key);
    }
  }
}

/** The initiator's share of the coins, from 0 to 1; nothing where there are none yet. */
export function shareOf(side) {
  if (!side.balances) return null;
  const [initiator, responder] = side.balances.map(Number);
  return initiator + responder > 0 ? initiator / (initiator + responder) : 0.5;
}

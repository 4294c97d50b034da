// One channel: who has what, what is waited for, and what was said.

import { shareOf } from './list.js';
import { ago, clock, coins, count, exact, fields, kind, make, set, short, state, waits, write } from './words.js';

/** How many entries stay on the page. */
const ENTRIES = 60;

const WAYS = {
  from_client: 'client →',
  to_client: '→ client',
  from_peer: 'peer →',
  to_peer: '→ peer',
  to_chain: '→ chain',
};

export class Channel {
  constructor(element) {
    this.element = element;
    this.key = null;
    this.close();
  }

  close() {
    this.key = null;
    this.last = 0;
    this.parts = null;
    this.element.replaceChildren(make('p', { class: 'none' }, 'Choose a channel to see what happens in it.'));
  }

  open(key) {
    if (key === this.key) return;
    this.key = key;
    this.last = 0;
    this.shown = null;
    this.waiting = [];
    this.held = false;
    this.build();
  }

  build() {
    const part = (tag, attributes = {}) => make(tag, attributes);
    const parts = this.parts = {
      place: part('span', { class: 'place' }), heard: part('span', { class: 'soft' }), ident: part('p', { class: 'ident mono' }),
      initiator: part('strong'), responder: part('strong'), share: part('i'), facts: part('dl', { class: 'facts' }),
      first: part('span', { class: 'who' }), second: part('span', { class: 'who' }), progress: part('div'),
      one: part('span', { class: 'mono' }), other: part('span', { class: 'mono' }), log: part('ol', { class: 'log' }),
      marks: [part('u'), part('u')],
    };
    parts.bar = make('div', { class: 'bar tall', role: 'img' }, parts.share, make('i'), ...parts.marks);
    parts.hold = make('button', { type: 'button', onclick: () => this.hold(!this.held && !this.waiting.length), 'aria-pressed': 'false' }, 'Hold');
    const header = make('header', {},
      make('div', { class: 'title' }, make('h2', {}, 'Channel'), parts.place, parts.heard),
      parts.ident,
      make('div', { class: 'parties' }, parts.first, parts.second, parts.initiator, parts.responder, parts.one, parts.other),
      parts.bar, parts.progress, parts.facts);
    this.element.replaceChildren(header,
      make('div', { class: 'log-head' }, make('h3', {}, 'Latest messages'), parts.hold),
      make('div', { class: 'scroll', tabindex: '0', 'aria-label': 'Latest messages, the newest first' }, parts.log));
  }

  /** Takes what is new of the channel that is open. */
  take({ key, channel, entries }, now) {
    if (key !== this.key || !this.parts) return;
    if (channel) this.describe(channel, now);
    else if (!this.shown) this.element.replaceChildren(make('p', { class: 'none' }, 'This channel is not here any more.'));
    if (entries?.length) this.hear(entries);
  }

  describe(side, now) {
    const { parts } = this;
    write(parts.heard, `heard ${ago(side.heard, now)}`);
    const text = JSON.stringify(side);
    if (text === this.shown) return;
    this.shown = text;
    set(parts.place, 'data-place', side.place);
    write(parts.place, state(side));
    write(parts.ident, side.id ?? `no id yet; key ${side.key}`);
    write(parts.first, side.role === 'initiator' ? 'Initiator, ours' : 'Initiator');
    write(parts.second, side.role === 'responder' ? 'Responder, ours' : 'Responder');
    write(parts.initiator, coins(side.balances?.[0]));
    write(parts.responder, coins(side.balances?.[1]));
    set(parts.initiator, 'title', exact(side.balances?.[0]));
    set(parts.responder, 'title', exact(side.balances?.[1]));
    write(parts.one, short(side.initiator) || 'anybody');
    write(parts.other, short(side.responder));
    const share = shareOf(side);
    parts.bar.classList.toggle('empty', share === null);
    parts.share.style.width = `${((share ?? 0) * 100).toFixed(2)}%`;
    set(parts.bar, 'aria-label', share === null ? 'No coins yet' : `The initiator has ${(share * 100).toFixed(0)} of 100`);
    const reserve = share === null ? 0 : Number(side.reserve) / side.balances.map(Number).reduce((a, b) => a + b, 0);
    [reserve, 1 - reserve].forEach((at, place) => {
      parts.marks[place].hidden = !(reserve > 0 && reserve < 0.5);
      parts.marks[place].style.left = `${at * 100}%`;
    });
    parts.progress.replaceChildren(...progress(side));
    const facts = [
      ['round', count(side.round)], ['reserve', coins(side.reserve)], ['since', day(side.since, now) + clock(side.since)],
      ['client', side.client ? 'attached' : 'away', !side.client], ['peer', side.peer ? 'connected' : 'away', !side.peer],
    ];
    parts.facts.replaceChildren(...facts.map(([name, value, amiss]) =>
      make('div', {}, make('dt', {}, name), make('dd', { class: amiss ? 'amiss' : '' }, value))));
  }

  /** Entries come with the newest first. While the log is held they wait. */
  hear(entries) {
    this.last = Math.max(this.last, entries[0].number);
    this.waiting = [...entries, ...this.waiting].slice(0, ENTRIES);
    const reads = this.held || this.parts.log.querySelector('details[open]');
    if (reads) write(this.parts.hold, `Show ${this.waiting.length} new`);
    else this.show();
  }

  hold(held) {
    this.held = held;
    if (!held) {
      this.parts.log.querySelectorAll('details[open]').forEach((details) => { details.open = false; });
      this.show();
    }
    write(this.parts.hold, held ? 'Go on' : 'Hold');
    this.parts.hold.setAttribute('aria-pressed', String(held));
  }

  show() {
    const { log, hold } = this.parts;
    log.prepend(...this.waiting.map(said));
    this.waiting = [];
    while (log.children.length > ENTRIES) log.lastElementChild.remove();
    write(hold, 'Hold');
  }
}

/** The date, where it was not just now. */
function day(then, now) {
  return now - then > 72e6 ? `${new Date(then).toLocaleDateString('en', { day: 'numeric', month: 'short' })}, ` : '';
}

function progress(side) {
  const wait = waits(side);
  if (!wait) return [];
  const name = wait.isLock ? 'Lock after closing alone' : 'Confirmations';
  const until = wait.isLock && side.lock.left ? `, until height ${count(side.lock.until)}` : '';
  return [make('div', { class: wait.isLock ? 'steps lock' : 'steps' },
    make('span', {}, name), make('span', {}, wait.text + until),
    make('div', { role: 'progressbar', 'aria-label': name, 'aria-valuenow': Math.round(wait.share * 100) }, bar(wait.share)))];
}

function bar(share) {
  const element = make('i');
  element.style.width = `${(share * 100).toFixed(1)}%`;
  return element;
}

function said(entry) {
  const line = [
    make('time', { datetime: new Date(entry.at).toISOString() }, clock(entry.at, true)),
    make('span', { class: 'way' }, WAYS[entry.way] ?? entry.way),
    make('span', { class: 'what' }, make('b', {}, entry.name), make('span', {}, entry.gist)),
  ];
  if (!entry.tx && !entry.info && !entry.updates.length) return make('li', {}, make('div', { class: 'said' }, ...line));
  const details = make('details', {}, make('summary', { class: 'said' }, ...line));
  details.addEventListener('toggle', () => {
    if (details.children.length > 1) return;
    const { tx, info, updates } = entry;
    if (tx) details.append(fields({ type: kind(tx.type), hash: tx.hash, ...tx.tx, signatures: tx.signatures }));
    updates.forEach((update) => details.append(fields(update)));
    if (info !== null) details.append(fields(typeof info === 'object' ? info : { info }));
  }, { once: true });
  return make('li', {}, details);
}

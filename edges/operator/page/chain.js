// The chain: its newest blocks and what waits for one.

import { clock, count, make, short, transaction, write } from './words.js';

export class ChainPane {
  constructor(element) {
    this.element = element;
    this.blocks = new Map();
    this.pending = new Map();
    this.parts = {
      height: make('span', { class: 'soft' }), waiting: make('span', { class: 'soft' }),
      pool: make('ol'), list: make('ol', { class: 'blocks' }), nothing: make('p', { class: 'soft' }, 'Nothing waits.'),
      fork: this.forkForm(),
    };
    const { height, waiting, pool, list, nothing, fork } = this.parts;
    element.replaceChildren(
      make('header', {}, make('div', { class: 'title' }, make('h2', {}, 'Chain'), height), fork),
      make('div', { class: 'scroll', tabindex: '0', 'aria-label': 'Blocks and waiting transactions' },
        make('h3', {}, 'Waiting', waiting), nothing, pool, make('h3', {}, 'Blocks'), list));
  }

  take(chain) {
    const { parts } = this;
    write(parts.height, chain.top ? `height ${count(chain.top.height)}` : 'not known yet');
    write(parts.waiting, chain.pending.count ? ` ${count(chain.pending.count)}` : '');
    parts.nothing.hidden = chain.pending.count > 0;
    parts.fork.hidden = !chain.can_fork;
    this.pending = keep(parts.pool, this.pending, chain.pending.txs, (tx) => tx.hash, (tx) => make('li', {}, transaction(tx)));
    this.blocks = keep(parts.list, this.blocks, chain.blocks, (block) => block.hash, blockItem);
  }

  forkForm() {
    const depth = make('input', { type: 'number', min: '1', max: '100', value: '1', required: true, id: 'depth' });
    const output = make('output', { role: 'status' });
    const submit = async (event) => {
      event.preventDefault();
      const body = JSON.stringify({ depth: Number(depth.value) });
      const headers = { 'Content-Type': 'application/json' };
      try {
        const answer = await fetch('/api/chain/fork', { method: 'POST', headers, body });
        const told = await answer.json();
        write(output, answer.ok ? '' : told.reason);
      } catch {
        write(output, 'The service does not answer.');
      }
    };
    return make('form', { class: 'fork', hidden: true, onsubmit: submit },
      make('label', { for: 'depth' }, 'Fork from'), depth, 'blocks below', make('button', {}, 'Fork'), output);
  }
}

/** Makes the children of `list` those of `values` in their order; who was there before stays the same element. */
function keep(list, before, values, name, item) {
  const now = new Map(values.map((value) => [name(value), before.get(name(value)) ?? item(value)]));
  for (const [key, element] of before) if (!now.has(key)) element.remove();
  let place = list.firstElementChild;
  for (const element of now.values()) {
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
  return now;
}

function blockItem(block) {
  const name = block.kind === 'key' ? `Key block ${count(block.height)}` : `Micro block, ${count(block.tx_count)} tx`;
  const more = block.tx_count - block.txs.length;
  return make('li', { 'data-kind': block.kind, title: block.hash },
    make('div', { class: 'line' }, make('span', {}, name), make('span', { class: 'mono soft' }, short(block.hash, 7)),
      make('time', { datetime: new Date(block.time).toISOString() }, clock(block.time))),
    ...block.txs.map(transaction), more > 0 ? make('p', { class: 'soft' }, `and ${count(more)} more`) : null);
}

// Asks for what changed once a second while somebody looks, and hands it to the parts of the page.

import { ChainPane } from './chain.js';
import { Channel } from './channel.js';
import { List } from './list.js';
import { Plot } from './plot.js';
import { count, make, rate, set, write } from './words.js';

const QUICK = 1000;
const CALM = 2000;
const LOST = 4000;
const PATIENCE = 10000;
const MINUTE = 60000;
const KEPT_RATES = 600;

const $ = (id) => document.getElementById(id);
const list = new List($('list'), () => soon(60), (key) => choose(key));
const channel = new Channel($('channel'));
const chain = new ChainPane($('chain'));
const plot = new Plot($('plot'), $('plot-read'));
const seen = { mark: '', view: '', rates: [], count: 0, span: 'minutes' };
let timer = 0;
let asking = null;

function view() {
  const { offset, limit } = list.wanted;
  const place = $('places').querySelector('[aria-pressed="true"]')?.dataset.place ?? '';
  return new URLSearchParams({ place, find: $('find').value.trim(), sort: $('sort').value, offset, limit }).toString();
}

function soon(ms) {
  clearTimeout(timer);
  timer = setTimeout(ask, ms);
}

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  asking?.abort();
  const mine = asking = new AbortController();
  const looked = view();
  const rest = new URLSearchParams({
    since: seen.mark, rows: looked === seen.view ? seen.mark : '', rates: seen.count, open: channel.key ?? '', log: channel.last,
  });
  try {
    const answer = await fetch(`/api/live?${looked}&${rest}`, { signal: AbortSignal.any([mine.signal, AbortSignal.timeout(PATIENCE)]) });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const news = await answer.json();
    const changed = news.mark !== seen.mark || news.open.entries?.length > 0;
    seen.view = looked;
    take(news);
    pulse('live', 'live');
    if (mine === asking) soon(changed ? QUICK : CALM);
  } catch (error) {
    if (error.name === 'AbortError') return;
    pulse('lost', 'the service does not answer');
    seen.mark = '';
    soon(LOST);
  }
}

function take(news) {
  // A service that was started again counts from the beginning.
  if (seen.mark && seen.mark.split('.')[0] !== news.mark.split('.')[0]) {
    seen.rates = [];
    channel.last = 0;
  }
  seen.mark = news.mark;
  list.take(news);
  $('none').hidden = news.matching > 0;
  channel.take(news.open, news.now);
  if (news.chain) showChain(news.chain);
  seen.rates = [...seen.rates, ...news.rates.values].slice(-KEPT_RATES);
  const isNew = seen.count !== news.rates.count;
  seen.count = news.rates.count;
  if (isNew && seen.span === 'minutes') plot.show(seen.rates, 1000);
  write($('count'), count(news.count));
  write($('rate'), rate(news.rate));
  places(news.places, news.count);
}

function showChain(news) {
  chain.take(news);
  write($('network'), news.network);
  write($('height'), news.top ? count(news.top.height) : '–');
  write($('waiting'), count(news.pending.count));
}

function places(counts, all) {
  const group = $('places');
  const wanted = [['', 'All', all], ['opening', 'Opening', counts.opening], ['open', 'Open', counts.open],
    ['closing', 'Closing', counts.closing], ['closed', 'Closed', counts.closed]];
  if (!group.children.length) {
    group.append(...wanted.map(([place, name]) => make('button', {
      type: 'button', 'data-place': place, 'aria-pressed': String(place === ''), onclick: (event) => {
        for (const other of group.children) set(other, 'aria-pressed', String(other === event.currentTarget));
        again();
      },
    }, name, make('b'))));
  }
  wanted.forEach(([, , number], at) => write(group.children[at].lastElementChild, count(number)));
}

function pulse(state, text) {
  set($('pulse'), 'data-state', state);
  write($('pulse'), text);
}

function again() {
  list.top();
  soon(0);
}

function choose(key) {
  if (location.hash.slice(1) === key) show('channel');
  else location.hash = key;
}

function followHash() {
  const key = location.hash.slice(1);
  const isKey = /^[0-9a-f]{64}$/.test(key);
  list.select(isKey ? key : null);
  if (isKey) channel.open(key);
  else channel.close();
  show(isKey ? 'channel' : 'channels');
  soon(0);
}

function show(name) {
  set(document.body, 'data-view', name);
  for (const button of document.querySelectorAll('.tabs button')) {
    if (button.dataset.view === name) button.setAttribute('aria-current', 'page');
    else button.removeAttribute('aria-current');
  }
}

async function span(name) {
  seen.span = name;
  for (const button of document.querySelectorAll('[data-span]')) set(button, 'aria-pressed', String(button.dataset.span === name));
  if (name === 'minutes') return plot.show(seen.rates, 1000);
  try {
    const day = await (await fetch('/api/updates?span=day')).json();
    if (seen.span === 'day') plot.show(day.values, day.step_ms);
  } catch {
    // The next minute tries again.
  }
}

$('find').addEventListener('input', again);
$('sort').addEventListener('change', again);
document.querySelectorAll('.tabs button').forEach((button) => button.addEventListener('click', () => show(button.dataset.view)));
document.querySelectorAll('[data-span]').forEach((button) => button.addEventListener('click', () => span(button.dataset.span)));
setInterval(() => { if (seen.span === 'day' && !document.hidden) span('day'); }, MINUTE);
document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : ask()));
addEventListener('hashchange', followHash);

const themes = matchMedia('(prefers-color-scheme: dark)');
const theme = localStorage.getItem('theme');
if (theme) document.documentElement.dataset.theme = theme;
$('theme').addEventListener('click', () => {
  const isDark = (document.documentElement.dataset.theme ?? (themes.matches ? 'dark' : 'light')) === 'dark';
  document.documentElement.dataset.theme = isDark ? 'light' : 'dark';
  localStorage.setItem('theme', isDark ? 'light' : 'dark');
});

followHash();

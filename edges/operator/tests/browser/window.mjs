// Looks at the window in a browser: over the played service of `examples/window`, with a thousand sides of channels.
//
//   npm ci && node window.mjs            asserts; a screenshot is left in shots/ where something is amiss
//   node window.mjs --shots              leaves screenshots of everything
//   node window.mjs --measure            tells how long the page takes to open and what an open page costs
//
// CHROMIUM names the browser, /usr/bin/chromium where unset; WINDOW an example that is built already.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = fileURLToPath(new URL('.', import.meta.url));
const shots = join(here, 'shots');
const wants = (flag) => process.argv.includes(flag);
const SIDES = 1000;
const WIDE = { width: 1680, height: 1000 };
const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const PHONE = { width: 390, height: 844 };

/** Starts the example; gives its address and what ends it. */
async function start(...args) {
  const cargo = ['run', '-q', '-p', 'strait-operator', '--example', 'window', '--', ...args];
  const [program, rest] = process.env.WINDOW ? [process.env.WINDOW, args] : ['cargo', cargo];
  const child = spawn(program, rest, { cwd: join(here, '../..'), stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await new Promise((resolve, reject) => {
    let told = '';
    child.stdout.on('data', (data) => {
      told += data;
      if (told.includes('\n')) resolve(told.split('\n')[0]);
    });
    child.on('exit', (code) => reject(new Error(`the example ended with ${code}`)));
  });
  return { address, pid: String(child.pid), stop: () => child.kill() };
}

async function browse() {
  const profile = mkdtempSync(join(tmpdir(), 'window-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath: BROWSER, headless: true, args: ARGS });
  return { context, async close() { await context.close(); rmSync(profile, { recursive: true, force: true }); } };
}

/** A page where every message of the console, every failure and every request to elsewhere is noted. */
async function open(context, address, size, colorScheme = 'light') {
  const page = await context.newPage();
  const amiss = [];
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) amiss.push(message.text()); });
  page.on('pageerror', (error) => amiss.push(String(error)));
  page.on('request', (request) => { if (!request.url().startsWith(new URL(address).origin)) amiss.push(request.url()); });
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme });
  await page.goto(address);
  return { page, amiss };
}

const rows = (page) => page.locator('.row:not([hidden]):not(.blank)');
const settled = (page) => page.waitForFunction(() => document.querySelectorAll('.row:not([hidden]):not(.blank)').length > 4);

async function theListIsThere(page) {
  await settled(page);
  assert.equal(await page.textContent('#count'), SIDES.toLocaleString('en'));
  assert.ok(await rows(page).count() < 40, 'only what is seen is there');
  assert.ok(await page.locator('.row .bar i').first().isVisible());
  assert.match(await rows(page).first().textContent(), /initiator|responder/, 'the role of a side is told');
  const wide = await page.locator('.row:not([hidden]) .bar i:first-child').evaluateAll((bars) => bars.filter((bar) => bar.clientWidth > 5).length);
  assert.ok(wide > 4, 'bars have a length');
  assert.ok(await page.locator('.row .waits', { hasText: 'blocks deep' }).first().isVisible(), 'depth is told');
  assert.ok(await page.locator('.row .meter:not([hidden]) i').first().isVisible(), 'depth is shown as progress');
  await page.waitForFunction(() => document.querySelector('.plot .curve').getAttribute('d').includes('L'));
  const before = await page.textContent('.space');
  await page.waitForFunction((old) => document.querySelector('.space').textContent !== old, before);
}

async function amountsDoNotMislead(page) {
  const shown = await page.evaluate(async (amounts) => {
    const { coins, exact } = await import('/words.js');
    return amounts.map((amount) => [coins(amount), exact(amount)]);
  }, ['1999999999999999995', '1500000000000000000', '1000050000000000000', '1000150000000000000', '999999999999999', '0']);
  assert.deepEqual(shown, [['≈2 AE', '1.999999999999999995 AE'], ['1.5 AE', '1.5 AE'], ['≈1 AE', '1.00005 AE'], ['≈1.0002 AE', '1.00015 AE'],
    ['999,999,999,999,999 aettos', '0.000999999999999999 AE'], ['0 AE', '0 AE']]);
}

async function theEndOfTheListIsReached(page) {
  await page.locator('#list').evaluate((list) => { list.scrollTop = list.scrollHeight; });
  await page.waitForFunction((last) => document.querySelector(`.row[aria-posinset="${last}"]:not(.blank)`), SIDES);
  await page.locator('#list').evaluate((list) => { list.scrollTop = 0; });
  await settled(page);
}

async function theListIsSearched(page) {
  await page.click('[data-place="closing"]');
  await page.waitForFunction(() => {
    const places = [...document.querySelectorAll('.row:not([hidden]) .place')];
    return places.length > 0 && places.every((place) => place.dataset.place === 'closing');
  });
  await page.fill('#find', 'ak_nobody');
  await page.waitForSelector('#none:not([hidden])');
  await page.fill('#find', '');
  await page.click('.places [data-place=""]');
  await page.waitForFunction((all) => document.querySelector('.row')?.getAttribute('aria-setsize') === String(all), SIDES);
}

async function aChannelOpens(page) {
  await page.locator('.row[aria-posinset="9"]').click();
  await page.waitForSelector('.log li');
  await page.waitForFunction(() => document.querySelector('.row[aria-selected="true"]'));
  assert.match(await page.textContent('.ident'), /^ch_/);
  const details = page.locator('.log details', { hasText: 'round' }).first();
  await details.locator('summary').click();
  assert.match(await page.locator('.log .fields').first().textContent(), /channel id.*ch_/);
}

async function progressIsShown(page) {
  await page.click('[data-place="closing"]');
  await page.waitForFunction(() => document.querySelector('.row[aria-posinset="1"] .place')?.dataset.place === 'closing');
  await page.locator('.row[aria-posinset="1"]').click();
  await page.waitForSelector('.steps.lock');
  assert.match(await page.textContent('.steps.lock'), /locked for \d+ blocks|can be settled/);
  await page.setViewportSize(PHONE);
  await page.waitForSelector('.steps.lock', { state: 'visible' });
  const lines = await page.locator('.steps.lock > span').evaluateAll((spans) => spans.map((span) => span.getBoundingClientRect().height));
  assert.ok(lines.every((height) => height < 30), `what is waited for stays in a line on a phone: ${lines}`);
  await page.setViewportSize(WIDE);
}

async function theChainGrows(page) {
  await page.waitForFunction(() => document.querySelectorAll('.blocks li').length > 10);
  assert.ok(await page.locator('.blocks .tx').count() > 0, 'transactions are in blocks');
  const height = Number((await page.textContent('#height')).replace(',', ''));
  await page.waitForFunction((old) => Number(document.getElementById('height').textContent.replace(',', '')) > old, height);
}

async function theTokenIsAskedFor(context, window) {
  const { page } = await open(context, new URL('/', window.address).href, PHONE);
  assert.match(await page.textContent('main'), /token/);
  await page.fill('#token', new URL(window.address).searchParams.get('token'));
  await page.click('button');
  await settled(page);
  assert.equal(new URL(page.url()).search, '', 'the token is not left in the address');
  await page.close();
}

async function shoot(context, address) {
  const { page } = await open(context, address, WIDE);
  await settled(page);
  await page.waitForTimeout(40_000);
  await page.locator('.row[aria-posinset="7"]').click();
  await page.waitForTimeout(6000);
  await page.locator('.log details summary').nth(3).click();
  for (const [name, size] of [['wide', WIDE], ['middle', { width: 1180, height: 820 }], ['phone', PHONE]]) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const view of name === 'wide' ? [''] : ['channels', 'channel', 'chain']) {
        if (view && await page.locator(`.tabs [data-view="${view}"]`).isVisible()) await page.click(`.tabs [data-view="${view}"]`);
        await page.waitForTimeout(700);
        await page.screenshot({ path: join(shots, `${name}-${view}-${colorScheme}.png`) });
      }
    }
  }
  await page.close();
}

/** CPU seconds that this program's children, and theirs, used so far; without the process `but`. */
function cpuSeconds(but) {
  const children = new Map();
  const ticks = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
      children.set(fields[1], [...children.get(fields[1]) ?? [], pid]);
      ticks.set(pid, Number(fields[11]) + Number(fields[12]));
    } catch { /* It ended meanwhile. */ }
  }
  const under = (pid) => (children.get(pid) ?? []).filter((child) => child !== but)
    .reduce((sum, child) => sum + ticks.get(child) + under(child), 0);
  return under(String(process.pid)) / 100;
}

/** How long the page takes to open, with a driver; and what it costs while it is open, in a browser that nobody drives. */
async function measure(context, { address, pid }) {
  for (let turn = 0; turn < 3; turn += 1) {
    const begun = performance.now();
    const { page } = await open(context, address, WIDE);
    await settled(page);
    console.log(`open: ${(performance.now() - begun).toFixed(0)} ms until rows are there`);
    await page.close();
  }
  await context.close();
  const { order } = await (await fetch(`${address}api/channels?limit=9`)).json();
  for (const [name, url] of [['only the list', address], ['a channel open', `${address}#${order[8]}`], ['an empty page', 'about:blank']]) {
    const profile = mkdtempSync(join(tmpdir(), 'window-'));
    const size = `--window-size=${WIDE.width},${WIDE.height}`;
    const alone = spawn(BROWSER, ['--headless', ...ARGS, '--remote-debugging-port=0', size, `--user-data-dir=${profile}`, url], { stdio: 'ignore' });
    await new Promise((resolve) => { setTimeout(resolve, 8000); });
    const [cpu, begun] = [cpuSeconds(pid), performance.now()];
    await new Promise((resolve) => { setTimeout(resolve, 30_000); });
    const share = (cpuSeconds(pid) - cpu) / (performance.now() - begun) * 1e5;
    console.log(`${name}: all processes of the browser use ${share.toFixed(1)} % of a core`);
    await new Promise((resolve) => { alone.on('exit', resolve); alone.kill(); });
    rmSync(profile, { recursive: true, force: true });
  }
}

const window = await start('127.0.0.1:0', String(SIDES));
const { context, close } = await browse();
let failed = null;
try {
  mkdirSync(shots, { recursive: true });
  if (wants('--measure')) await measure(context, window);
  else if (wants('--shots')) await shoot(context, window.address);
  else {
    const { page, amiss } = await open(context, window.address, WIDE);
    failed = page;
    for (const look of [theListIsThere, amountsDoNotMislead, theEndOfTheListIsReached, theListIsSearched, aChannelOpens, progressIsShown, theChainGrows]) {
      await look(page);
      console.log(`ok ${look.name}`);
    }
    assert.deepEqual(amiss, []);
    const phone = await open(context, window.address, PHONE, 'dark');
    failed = phone.page;
    await settled(phone.page);
    await phone.page.locator('.row[aria-posinset="3"]').click();
    await phone.page.waitForSelector('.log li');
    assert.ok(!await phone.page.locator('#list').isVisible(), 'on a phone one part is shown at a time');
    const overflow = await phone.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.ok(!overflow, 'nothing hangs over the edge');
    console.log('ok phone');
    const guarded = await start('0.0.0.0:0', String(SIDES));
    guarded.address = guarded.address.replace('0.0.0.0', '127.0.0.1');
    await theTokenIsAskedFor(context, guarded).finally(guarded.stop);
    console.log('ok token');
    failed = null;
  }
} finally {
  if (failed) await failed.screenshot({ path: join(shots, 'failed.png') }).catch(() => {});
  await close();
  window.stop();
}

// Numbers, names and transactions in words; and how elements are made.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Writes a text where it is not there yet: what stays the same need not be drawn again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const AE = 10n ** 18n;
const TICK = AE / 10000n;

export const count = (number) => whole.format(number);
export const rate = (number) => (number >= 100 ? whole : tenths).format(number);

/**
 * An amount in aettos, which is a decimal text: in AE from a thousandth on, else as it is. Four decimals at most; with ≈ in
 * front where there are more, the nearest, of two the even one.
 */
export function coins(text) {
  if (text === null || text === undefined) return '–';
  const amount = BigInt(text);
  if (amount !== 0n && amount < AE / 1000n) return `${whole.format(amount)} aettos`;
  const rest = amount % TICK;
  const twice = 2n * rest;
  const ticks = amount / TICK;
  const isUp = twice > TICK || (twice === TICK && ticks % 2n === 1n);
  return `${rest ? '≈' : ''}${inAe((isUp ? ticks + 1n : ticks) * TICK)}`;
}

/** An amount in AE to the last aetto. */
export function exact(text) {
  return text === null || text === undefined ? '' : inAe(BigInt(text));
}

function inAe(amount) {
  const fraction = (amount % AE).toString().padStart(18, '0').replace(/0+$/, '');
  return `${whole.format(amount / AE)}${fraction ? `.${fraction}` : ''} AE`;
}

/** The beginning and the end of an id: enough to tell it from others. */
export function short(id, head = 9) {
  return id && id.length > head + 7 ? `${id.slice(0, head)}…${id.slice(-5)}` : id ?? '';
}

export function ago(then, now) {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 2) return 'now';
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

const two = (number) => String(number).padStart(2, '0');

export function clock(ms, withMs) {
  const time = new Date(ms);
  const text = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return withMs ? `${text}.${String(time.getMilliseconds()).padStart(3, '0')}` : text;
}

/** `ChannelCloseSoloTx` as "Channel close solo". */
export function kind(type) {
  const words = type.replace(/Tx$/, '').replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
  return words.replace('offchain', 'update').replace(/^Ga /, 'Generalized account ');
}

/** What a transaction does, in a line. */
export function gist({ type, tx }) {
  const to = (a, b) => `${short(a, 6)} → ${short(b, 6)}`;
  switch (type) {
    case 'SpendTx': return `${coins(tx.amount)}, ${to(tx.sender_id, tx.recipient_id)}`;
    case 'ChannelCreateTx': return `${coins(tx.initiator_amount)} and ${coins(tx.responder_amount)}, ${to(tx.initiator_id, tx.responder_id)}`;
    case 'ChannelOffchainTx': return `round ${count(tx.round)}`;
    case 'ChannelDepositTx': return `${coins(tx.amount)} from ${short(tx.from_id)}`;
    case 'ChannelWithdrawTx': return `${coins(tx.amount)} to ${short(tx.to_id)}`;
    case 'ChannelCloseMutualTx':
    case 'ChannelSettleTx': return `${coins(tx.initiator_amount_final)} and ${coins(tx.responder_amount_final)}`;
    default: return tx.from_id ? `by ${short(tx.from_id)}` : '';
  }
}

/** Every field of a transaction or an update, as rows of names and values. */
export function fields(pairs) {
  const rows = Object.entries(pairs).flatMap(([name, value]) => {
    const isAmount = /amount|fee|reserve|deposit/.test(name) && typeof value === 'string' && /^\d+$/.test(value);
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 1);
    return [make('dt', {}, name.replaceAll('_', ' ')), make('dd', {}, isAmount ? `${text}  (${coins(value)})` : text)];
  });
  return make('dl', { class: 'fields' }, ...rows);
}

/** A transaction that opens to show its fields. They are made when somebody looks. */
export function transaction(signed) {
  const details = make('details', { class: 'tx' },
    make('summary', {}, make('b', {}, kind(signed.type)), make('span', {}, gist(signed))));
  details.addEventListener('toggle', () => {
    if (details.children.length === 1) details.append(fields({ hash: signed.hash, ...signed.tx, signatures: signed.signatures }));
  }, { once: true });
  return details;
}

const PLACES = { opening: 'opening', open: 'open', closing: 'closing alone', closed: 'closed' };
const DOINGS = { idle: '', open: '', reestablish: 'coming back', create: 'confirming', shutdown: 'closing together' };

/** Where a side is and what is under way, in words. */
export function state(side) {
  const doing = DOINGS[side.doing] ?? side.doing.replaceAll('_', ' ');
  return doing && !(side.place === 'closed') ? `${PLACES[side.place]}, ${doing}` : PLACES[side.place];
}

/** What a side waits for, in words, and how much of it is there, from 0 to 1; nothing where it waits for nothing. */
export function waits(side) {
  if (side.lock) {
    const { left, period } = side.lock;
    const text = left ? `locked for ${count(left)} blocks` : 'can be settled';
    return { text, share: period ? Math.min(1, Math.max(0, 1 - left / period)) : 1, isLock: true };
  }
  if (!side.depth) return null;
  const { reached, needed } = side.depth;
  return { text: `${count(reached)} of ${count(needed)} blocks deep`, share: needed ? reached / needed : 1, isLock: false };
}

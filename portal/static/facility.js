// The facility's chart and its live values. Numbers come from the API, colours from the tokens.
import { refresh, say } from './page.js';

const box = document.getElementById('chart');
const words = JSON.parse(box.dataset.words);
const language = document.documentElement.lang;
const locale = language === 'sv' ? 'sv-SE' : 'en-GB';
const one = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const monthName = new Intl.DateTimeFormat(locale, { month: 'short', timeZone: 'UTC' });
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NORMAL_TIME = HOUR; // UTC+1 all year; the axis is drawn as if that were UTC
const byHour = box.dataset.step === 'hour';
const hidden = new Set();
const narrow = () => innerWidth < 620;
/** As short as it says all: `45`, `45,5`. */
const number = value => one.format(value).replace(/[.,]0$/, '').replace('-', '\u2212');

const probe = document.createElement('span');
probe.className = 'vh';
document.body.append(probe);
function token(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

async function get(what, from, to) {
  const query = new URLSearchParams({ commodity: box.dataset.commodity, from, to });
  const answer = await fetch(`/api/v1/facilities/${box.dataset.facility}/${what}?${query}`);
  if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
  return answer.json();
}

/** Columns of [time, value] on the axis of normal time, the same shape by hour and by day. */
function points(body) {
  const at = byHour ? body.t.map(second => second * 1000 + NORMAL_TIME) : body.day.map(day => Date.parse(day));
  const pair = name => body.series[name].map((value, index) => [at[index], value]);
  return {
    at,
    quality: body.quality,
    power: pair(byHour ? 'power_kw' : 'power_kw_mean'),
    supply: pair(byHour ? 'supply_temp_c' : 'supply_temp_c_vw'),
    return: pair(byHour ? 'return_temp_c' : 'return_temp_c_vw'),
    outdoor: pair('outdoor_temp_c'),
  };
}

/** A kind's limits, one horizontal line for each time one held. */
function spans(limits, kind) {
  return limits.filter(entry => entry.kind === kind)
    .map(limit => [[Date.parse(limit.from) + NORMAL_TIME, limit.limit], [Date.parse(limit.to) + NORMAL_TIME, limit.limit]]);
}

/** Where the time axis has its labels: days for weeks, halves of months for a season, months for years. */
function ticks(from, to) {
  const days = (to - from) / DAY;
  const out = [];
  const start = new Date(from);
  if (days <= 31) {
    const each = Math.ceil(days / (narrow() ? 4 : 7)) * DAY;
    for (let time = Math.ceil(from / DAY) * DAY; time < to; time += each) out.push(time);
    return out;
  }
  const each = days <= 100 ? 1 : days <= 400 ? (narrow() ? 3 : 2) : (narrow() ? 6 : 3);
  for (let month = 0; month <= 26; month += 1) {
    const first = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + month, 1);
    if (new Date(first).getUTCMonth() % each === 0 && first >= from && first < to) out.push(first);
    const middle = first + 14 * DAY;
    if (days <= 100 && !narrow() && middle >= from && middle < to) out.push(middle);
  }
  return out;
}

const day = time => { const date = new Date(time); return `${date.getUTCDate()} ${monthName.format(date).replace('.', '')}`; };
function label(time) {
  const date = new Date(time);
  if (!byHour) return `${day(time)} ${date.getUTCFullYear()}`;
  const hour = String(date.getUTCHours()).padStart(2, '0');
  return `${day(time)} ${words.at} ${hour}${language === 'sv' ? '.00' : ':00'}`;
}

let data = null;
let chart = null;

function colours() {
  return {
    ink: token('ink'), ink2: token('ink-2'), line: token('line-strong'), grid: token('chart-grid'), surface: token('surface'), alarm: token('alarm-fill'),
    power: token('s-power'), supply: token('s-supply'), return: token('s-return'), outdoor: token('s-outdoor'),
  };
}

function option() {
  const c = colours();
  const span = data.to - data.from;
  const marks = ticks(data.from, data.to);
  const axis = (index, labelled) => ({
    type: 'value', gridIndex: index, min: data.from, max: data.to, axisLine: { onZero: false, lineStyle: { color: c.line } }, splitLine: { show: false },
    axisTick: { show: labelled, length: 4, lineStyle: { color: c.line }, customValues: marks },
    axisLabel: {
      show: labelled, customValues: marks, color: c.ink2, fontSize: 12.5, hideOverlap: true, align: 'left', padding: [0, 0, 0, 2],
      formatter: time => {
        if (time > data.to - span / 40) return '';
        if (span <= 100 * DAY) return day(time);
        const date = new Date(time);
        const name = monthName.format(date).replace('.', '');
        return date.getUTCMonth() === 0 ? String(date.getUTCFullYear()) : name;
      },
    },
  });
  const value = (index, name, extra = {}) => ({
    type: 'value', gridIndex: index, name, nameGap: 10, splitNumber: 4, axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: c.grid } },
    axisLabel: { color: c.ink2, fontSize: 12.5, formatter: number },
    nameTextStyle: { color: c.ink2, fontSize: 12.5, align: 'left', padding: [0, 0, 0, -26] }, ...extra,
  });
  const end = (text, colour) => (narrow() ? undefined : { show: true, formatter: text, color: colour, fontSize: 12.5, fontWeight: 600, distance: 6 });
  const line = (id, name, grid, rows, colour, extra = {}) => ({
    id, name, type: 'line', xAxisIndex: grid, yAxisIndex: grid, data: hidden.has(id) ? [] : rows, symbol: 'none', connectNulls: false, animation: false,
    sampling: rows.length > 3000 ? 'minmax' : undefined, lineStyle: { color: colour, width: 1.75 }, itemStyle: { color: colour }, emphasis: { disabled: true }, z: 3,
    endLabel: hidden.has(id) ? undefined : end(name, colour), labelLayout: { moveOverlap: 'shiftY' }, ...extra,
  });
  const limit = (id, grid, held) => held.map((rows, index) => {
    const last = rows[1][0] >= data.to;
    const text = `${words.limit.toLowerCase()} ${number(rows[1][1])}`;
    return line(`${id}-${index}`, words.limit, grid, rows, c.alarm, { silent: true, lineStyle: { color: c.alarm, width: 1.25, type: [5, 4] }, z: 2, endLabel: last ? end(text, c.alarm) : undefined });
  });
  const powerKind = byHour ? 'hourly_power' : 'daily_power';
  return {
    animation: false, useUTC: true, legend: { show: false }, aria: { enabled: false }, textStyle: { fontFamily: 'Inter, system-ui, sans-serif', fontSize: 12.5, color: c.ink2 },
    axisPointer: { link: [{ xAxisIndex: 'all' }] },
    tooltip: {
      trigger: 'axis', renderMode: 'richText', confine: true, backgroundColor: c.surface, borderColor: c.line, borderWidth: 1, padding: [8, 12],
      textStyle: { color: c.ink, fontSize: 13, fontFamily: 'Inter, system-ui, sans-serif' }, axisPointer: { lineStyle: { color: c.ink2, type: 'solid' } },
      formatter: shown => tip(shown[0]?.axisValue),
    },
    grid: [
      { left: 46, right: narrow() ? 10 : 86, top: 28, height: '31%', outerBoundsMode: 'none' },
      { left: 46, right: narrow() ? 10 : 86, top: '43%', height: '31%', outerBoundsMode: 'none' },
      { left: 46, right: narrow() ? 10 : 86, top: '83%', bottom: 26, outerBoundsMode: 'none' },
    ],
    xAxis: [axis(0, false), axis(1, false), axis(2, true)],
    yAxis: [value(0, 'kW', { min: 0 }), value(1, '°C', { scale: true }), value(2, '°C', { scale: true, splitNumber: 2 })],
    series: [
      line('power', words.power, 0, data.points.power, c.power),
      line('supply', words.supply, 1, data.points.supply, c.supply),
      line('return', words.return, 1, data.points.return, c.return, { lineStyle: { color: c.return, width: 2 } }),
      line('outdoor', words.outdoor, 2, data.points.outdoor, c.outdoor, { lineStyle: { color: c.outdoor, width: 1.5 } }),
      ...limit('limit-power', 0, spans(data.limits, powerKind)),
      ...limit('limit-return', 1, spans(data.limits, 'return_temperature')),
    ],
  };
}

function tip(time) {
  if (time === undefined) return '';
  const step = byHour ? HOUR : DAY;
  const index = Math.round((time - data.points.at[0]) / step);
  const row = (id, unit) => {
    const value = data.points[id][index]?.[1];
    return `${words[id]}  ${value == null ? words.missing : `${one.format(value).replace('-', '\u2212')}\u00a0${unit}`}`;
  };
  const lines = [label(data.points.at[index]), row('power', 'kW'), row('supply', '°C'), row('return', '°C'), row('outdoor', '°C')];
  if (data.points.quality[index] && data.points.quality[index] !== 'M') lines.push(`${words.quality}  ${data.points.quality[index]}`);
  return lines.join('\n');
}

async function load() {
  const { from, to } = box.dataset;
  const [body, limits] = await Promise.all([get(byHour ? 'hours' : 'days', from, to), get('limits', from, to)]);
  data = { from: Date.parse(from) + NORMAL_TIME, to: Date.parse(to) + NORMAL_TIME, points: points(body), limits: limits.limits };
}

function draw() {
  if (!data || !box.offsetWidth) return;
  chart ??= echarts.init(box, null, { renderer: 'canvas' });
  chart.setOption(option(), true);
  document.documentElement.dataset.charts = 'ready';
}

async function begin() {
  const fonts = document.fonts?.load ? Promise.race([document.fonts.load('400 13px Inter'), new Promise(done => setTimeout(done, 800))]) : null;
  try {
    await Promise.all([load(), fonts]);
    draw();
  } catch (error) {
    console.warn(error);
    const fault = document.createElement('p');
    fault.className = 'chart-fault';
    fault.textContent = words.failed;
    box.replaceChildren(fault);
  }
}

for (const button of document.querySelectorAll('[data-series]')) {
  button.addEventListener('click', () => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', on);
    hidden[on ? 'delete' : 'add'](button.dataset.series);
    draw();
  });
}
document.addEventListener('themechange', draw);
document.addEventListener('framechange', () => { draw(); chart?.resize(); });
let resizing;
addEventListener('resize', () => { clearTimeout(resizing); resizing = setTimeout(() => { chart?.resize(); draw(); }, 120); });

// Live: new hours and alarms change what is shown in place; only a new alarm is spoken at once.
const known = () => new Set([...document.querySelectorAll('[data-alarm]')].map(row => row.dataset.alarm));
const stream = new EventSource(`/api/v1/facilities/${box.dataset.facility}/events`);
let lost;
stream.addEventListener('open', () => { clearTimeout(lost); lost = undefined; });
stream.addEventListener('error', () => {
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }).format(new Date());
  lost ??= setTimeout(() => {
    const text = words.retry.replace('{at}', language === 'sv' ? clock.replace(':', '.') : clock);
    document.getElementById('latest').textContent = text;
    say(text);
  }, 10_000);
});
stream.addEventListener('change', async event => {
  const before = known();
  const change = JSON.parse(event.data);
  if (change.alarms.some(alarm => alarm.until === null && !before.has(String(alarm.occurrence_id)))) say(words.alarm);
  await refresh(['banner', 'latest', 'gauges', 'alarms', 'readings']);
  if (box.dataset.range !== '14d') return;
  const end = Math.max(...change.latest.map(hour => Date.parse(hour.start_at) + HOUR));
  const length = Date.parse(box.dataset.to) - Date.parse(box.dataset.from);
  if (end > Date.parse(box.dataset.to)) {
    box.dataset.to = new Date(end).toISOString();
    box.dataset.from = new Date(end - length).toISOString();
  }
  await load().then(draw, error => console.warn(error));
});

begin();

// What every page does: theme, menu, chart or table, the bell. No inline handlers, no dependencies.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

let lastSaid = 0;
/** Says one sentence to screen readers, at most one in ten seconds. */
export function say(text) {
  const now = Date.now();
  if (now - lastSaid < 10_000) return;
  lastSaid = now;
  $('#live').textContent = text;
}

/** Takes the marked parts of a freshly drawn page; what has the focus is left alone. */
export async function refresh(regions) {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const old of $$('[data-live-region]')) {
    if (regions && !regions.includes(old.dataset.liveRegion)) continue;
    const part = fresh.getElementById(old.id);
    if (part && !old.contains(document.activeElement)) old.replaceWith(document.importNode(part, true));
  }
}

function theme(name) {
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  for (const button of $$('[data-theme-set]')) button.setAttribute('aria-pressed', button.dataset.themeSet === name);
  document.dispatchEvent(new Event('themechange'));
}
theme(document.documentElement.dataset.theme ?? 'auto');
for (const button of $$('[data-theme-set]')) {
  button.addEventListener('click', () => {
    theme(button.dataset.themeSet);
    try { localStorage.setItem('theme', button.dataset.themeSet); } catch { /* not kept, then */ }
  });
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => document.dispatchEvent(new Event('themechange')));

// The menu is a plain link to #nav without JavaScript, a toggle with it.
const menu = $('[data-menu]');
const nav = $('#nav');
if (menu && nav) {
  menu.setAttribute('role', 'button');
  menu.setAttribute('aria-expanded', 'false');
  menu.setAttribute('aria-controls', 'nav');
  menu.addEventListener('click', event => {
    event.preventDefault();
    menu.setAttribute('aria-expanded', nav.classList.toggle('open'));
  });
}

for (const frame of $$('.frame')) {
  for (const button of $$('[data-view-set]', frame)) {
    button.addEventListener('click', () => {
      frame.dataset.view = button.dataset.viewSet;
      for (const other of $$('[data-view-set]', frame)) other.setAttribute('aria-pressed', other === button);
      document.dispatchEvent(new Event('framechange'));
    });
  }
}

if (document.body.dataset.user) {
  const stream = new EventSource('/api/v1/notices/events');
  stream.addEventListener('notice', event => {
    const notice = JSON.parse(event.data);
    for (const count of $$('[data-unread]')) {
      count.textContent = notice.unread;
      count.hidden = !notice.unread;
    }
    say(notice.title);
    refresh(['notices', 'notices-sub', 'facility-notices']);
  });
}

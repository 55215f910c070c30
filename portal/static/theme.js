// The chosen theme, before anything is painted. "auto" follows the system.
'use strict';
try {
  const saved = localStorage.getItem('theme');
  if (saved === 'light' || saved === 'dark') document.documentElement.dataset.theme = saved;
} catch { /* storage may be forbidden: the system's theme then */ }

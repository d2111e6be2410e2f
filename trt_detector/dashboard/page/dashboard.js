// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
// Pictures, theme, chart tooltips and open details; everything else is NiceGUI's.
(() => {
  'use strict';
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // Pictures: fetched one after the other, as fast as they are shown, only while they are visible.
  const FRAME_MS = 66, EMPTY_MS = 100, IDLE_MS = 500, RETRY_MS = 1000;
  const visible = new WeakSet();
  const watched = new WeakSet();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) visible.add(entry.target.parentElement);
      else visible.delete(entry.target.parentElement);
    }
  });

  async function show(image, blob) {
    const url = URL.createObjectURL(blob);
    try {
      await new Promise((resolve, reject) => {
        image.onload = resolve;
        image.onerror = reject;
        image.src = url;
      });
      image.classList.add('live');
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  async function pump(image) {
    let after = 0, empty = 0;
    observer.observe(image);
    while (image.isConnected) {
      if (document.hidden || !visible.has(image.parentElement)) {
        await sleep(IDLE_MS);
        continue;
      }
      const started = performance.now();
      let wait = RETRY_MS;
      try {
        const topic = encodeURIComponent(image.dataset.picture);
        const answer = await fetch(`frame?topic=${topic}&after=${after}`);
        if (answer.status === 200) {
          after = answer.headers.get('X-Number');
          await show(image, await answer.blob());
          [wait, empty] = [FRAME_MS, 0];
        } else if (answer.status === 204) {
          empty += 1;
          wait = empty < 20 ? EMPTY_MS : IDLE_MS;
          if (empty > 30) image.classList.remove('live');
        }
      } catch (error) {
        image.classList.remove('live');  // the server or the picture is gone; tried again
      }
      await sleep(Math.max(10, wait - (performance.now() - started)));
    }
    observer.unobserve(image);
  }

  // Theme: that of the system until the user chooses one.
  const themes = ['auto', 'light', 'dark'];
  const system = matchMedia('(prefers-color-scheme: dark)');
  function readTheme() {
    const stored = localStorage.getItem('trt_detector.theme');
    return themes.includes(stored) ? stored : 'auto';
  }
  function applyTheme() {
    const theme = readTheme();
    const dark = theme === 'dark' || (theme === 'auto' && system.matches);
    document.documentElement.classList.toggle('dark', dark);
    if (window.Quasar && Quasar.Dark) Quasar.Dark.set(dark);
    document.querySelectorAll('.theme').forEach((button) => {
      button.title = `Theme: ${theme}`;
      button.dataset.theme = theme;
    });
  }
  window.trtTheme = () => {
    const next = themes[(themes.indexOf(readTheme()) + 1) % themes.length];
    localStorage.setItem('trt_detector.theme', next);
    applyTheme();
  };
  system.addEventListener('change', applyTheme);
  applyTheme();

  // Charts: values at the pointer.
  let pointer = null;
  function point() {
    document.querySelectorAll('.cursor, .tip').forEach((each) => each.remove());
    const target = pointer && document.elementFromPoint(pointer.x, pointer.y);
    const plot = target && target.closest && target.closest('.plot');
    if (!plot) return;
    const area = plot.querySelector('.area');
    const box = area.getBoundingClientRect();
    const data = JSON.parse(plot.dataset.chart);
    const share = (pointer.x - box.left) / box.width;
    let best = -1;
    data.x.forEach((x, index) => {
      if (best < 0 || Math.abs(x - share) < Math.abs(data.x[best] - share)) best = index;
    });
    if (best < 0 || Math.abs(data.x[best] - share) > 0.03) return;
    const cursor = document.createElement('i');
    cursor.className = 'cursor';
    cursor.style.left = `${100 * data.x[best]}%`;
    const tip = document.createElement('div');
    tip.className = 'tip' + (data.x[best] > 0.6 ? ' left' : '');
    tip.style.left = cursor.style.left;
    const texts = data.series.map((line) => `${line.name} ${line.y[best] ?? '–'}`);
    tip.textContent = `${data.ago[best]} s ago: ${texts.join(', ')} ${data.unit}`;
    area.append(cursor, tip);
  }
  addEventListener('pointermove', (event) => {
    pointer = {x: event.clientX, y: event.clientY};
    point();
  }, {passive: true});
  document.addEventListener('pointerleave', () => { pointer = null; point(); });

  // Diagnostics: what a user opened stays open when the values change.
  const open = new Set();
  document.addEventListener('toggle', (event) => {
    const key = event.target.dataset && event.target.dataset.key;
    if (key) event.target.open ? open.add(key) : open.delete(key);
  }, true);

  // A picture fills the window after a click, until the next one.
  function zoom(event) {
    const picture = event.target.closest && event.target.closest('.picture');
    if (picture) picture.classList.toggle('zoomed');
  }
  document.addEventListener('click', zoom);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') zoom(event);
    if (event.key === 'Escape') {
      document.querySelectorAll('.zoomed').forEach((each) => each.classList.remove('zoomed'));
    }
  });

  function follow() {
    document.querySelectorAll('img[data-picture]').forEach((image) => {
      if (!watched.has(image)) {
        watched.add(image);
        pump(image);
      }
    });
    document.querySelectorAll('details[data-key]').forEach((each) => {
      if (open.has(each.dataset.key) && !each.open) each.open = true;
    });
    document.querySelectorAll('.theme:not([data-theme])').forEach(applyTheme);
    if (pointer && !document.querySelector('.tip')) point();
  }
  addEventListener('DOMContentLoaded', () => {
    new MutationObserver(follow).observe(document.body, {childList: true, subtree: true});
    follow();
  });
})();

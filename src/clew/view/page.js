"use strict";
(() => {
  const ROW = 20, BOX = 18, AXIS = 24, FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
  const [KEY_ROW, START, END, FILL, LOOK, BUSY, LABEL, TIME, TITLE, TOLD] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const element = (id) => document.getElementById(id);

  // ---- tables: a click on a head sorts by that column, numbers from the largest, names from A
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.querySelectorAll("th")];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const isNumber = head.classList.contains("number");
      const first = isNumber ? "descending" : "ascending";
      const other = isNumber ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const key = (row) => isNumber ? Number(row.cells[column].dataset.value) : row.cells[column].textContent;
      const compare = (a, b) => isNumber ? key(a) - key(b) : key(a).localeCompare(key(b));
      const sign = order === "ascending" ? 1 : -1;
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
    }));
  }

  const canvas = element("canvas");
  const context = canvas && canvas.getContext("2d");
  if (!context) return;
  const data = JSON.parse(element("data").textContent);
  const { span, boxes } = data;
  const tip = element("tip"), details = element("details"), find = element("find");
  const rows = Array.from({ length: data.rows }, () => []);
  boxes.forEach((box) => rows[box[KEY_ROW]].push(box));
  let from = 0, to = span, width = 0, chosen = null, found = "", isAsked = false;
  element("live").hidden = false;
  element("still").hidden = true;

  // ---- drawing
  const x = (ns) => (ns - from) / (to - from) * width;
  const ns = (px) => from + px / width * (to - from);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function ask() {
    if (!isAsked) { isAsked = true; requestAnimationFrame(() => { isAsked = false; draw(); }); }
  }

  function resize() {
    const sharpness = window.devicePixelRatio || 1;
    width = canvas.parentElement.clientWidth;
    const height = AXIS + data.rows * ROW;
    canvas.style.height = height + "px";
    canvas.width = Math.round(width * sharpness);
    canvas.height = Math.round(height * sharpness);
    context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    draw();
  }

  function draw() {
    const ink = colour("--ink"), faint = colour("--faint"), grid = colour("--grid");
    context.clearRect(0, 0, width, AXIS + data.rows * ROW);
    context.font = FONT;
    context.textBaseline = "alphabetic";
    for (const [at, label] of ticks(from, to, Math.max(2, Math.floor(width / 95)))) {
      const left = Math.round(x(at)) + 0.5;
      context.strokeStyle = grid;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(left, 4);
      context.lineTo(left, AXIS + data.rows * ROW);
      context.stroke();
      context.fillStyle = faint;
      if (left + 4 + context.measureText(label).width <= width) context.fillText(label, left + 4, 14);
    }
    for (const row of rows) {
      const late = [];
      for (const box of row) {
        if (box[END] < from || box[START] > to) continue;
        // What is drawn wider than it is comes last, or its neighbour would hide it.
        if (box[LOOK] === "skipped" || box[LOOK].startsWith("failed")) late.push(box); else drawBox(box, ink, faint);
      }
      late.forEach((box) => drawBox(box, ink, faint));
    }
  }

  function drawBox(box, ink, faint) {
    const top = AXIS + box[KEY_ROW] * ROW;
    const isFailed = box[LOOK].startsWith("failed"), isBlock = box[LOOK].endsWith("block");
    const left = Math.max(x(box[START]), -2), right = Math.min(x(box[END]), width + 2);
    const wide = Math.max(right - left, isFailed ? 2.5 : 1);
    context.globalAlpha = found && !box[TITLE].toLowerCase().includes(found) ? 0.2 : 1;
    if (box[LOOK] === "skipped") {
      context.fillStyle = faint;
      context.beginPath();
      context.moveTo(left, top + 4); context.lineTo(left + 4, top + 9);
      context.lineTo(left, top + 14); context.lineTo(left - 4, top + 9);
      context.fill();
      context.globalAlpha = 1;
      if (box === chosen) mark(left - 6, top, 12, BOX, ink);
      return;
    }
    const tall = isBlock ? Math.max(5, Math.round(BOX * box[BUSY])) : BOX;
    const shown = wide > 3 ? wide - 1 : wide;
    const alpha = context.globalAlpha;
    context.fillStyle = box[FILL];
    if (box[LOOK] === "open") context.globalAlpha = alpha * 0.45;
    context.beginPath();
    context.roundRect(left, top + BOX - tall, shown, tall, isBlock || wide < 6 ? 0 : 2);
    context.fill();
    context.globalAlpha = alpha;
    if (box[LOOK] === "open" || box[LOOK] === "orphan") {
      context.strokeStyle = box[LOOK] === "open" ? faint : ink;
      context.setLineDash([3, 2]);
      context.stroke();
      context.setLineDash([]);
    }
    if (wide > 16 && tall > 13) {
      context.fillStyle = isFailed ? "#ffffff" : box[LOOK] === "open" ? ink : "#1a1d21";
      const longer = box[LABEL] + "  " + box[TIME];
      const hasRoom = box[TIME] && context.measureText(longer).width <= shown - 9;
      const label = hasRoom ? longer : cut(box[LABEL], shown - 9, isFailed);
      if (label) context.fillText(label, left + 5, top + 13);
    }
    context.globalAlpha = 1;
    if (box === chosen) mark(left, top, shown, BOX, ink);
  }

  function mark(left, top, wide, tall, ink) {
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(left - 1, top - 1, wide + 2, tall + 2);
    context.lineWidth = 1;
  }

  function cut(text, room, isFailed) {
    if (context.measureText(text).width <= room) return text;
    let low = 0, high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(text.slice(0, middle) + "…").width <= room) low = middle; else high = middle - 1;
    }
    return low > 4 ? text.slice(0, low).trimEnd() + "…" : isFailed ? "✗" : "";
  }

  // ---- the axis
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

  function step(least) {
    if (least > 1e9) {
      for (const seconds of STEPS) if (seconds * 1e9 >= least) return seconds * 1e9;
      return Math.ceil(least / 864e11) * 864e11;
    }
    const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
    for (const digit of [1, 2, 5, 10]) if (digit * power >= least) return digit * power;
    return least;
  }

  function ticks(begin, end, most) {
    const each = step((end - begin) / most);
    const marks = [];
    for (let at = Math.ceil(begin / each) * each; at <= end; at += each) marks.push([at, time(at, each, end)]);
    return marks;
  }

  function time(at, each, end) {
    if (at === 0) return "0";
    if (end >= 300e9) {
      if (each % 864e11 === 0) return at / 864e11 + " d";
      if (each % 36e11 === 0) return at / 36e11 + " h";
      if (each % 6e10 === 0 && end < 108e11) return at / 6e10 + " min";
      const seconds = (at / 1e9) % 60, minutes = Math.floor(at / 6e10) % 60, hours = Math.floor(at / 36e11);
      const digits = Math.max(0, Math.ceil(9 - Math.log10(each)));
      const rest = seconds.toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
      return (hours ? hours + ":" + String(minutes).padStart(2, "0") : minutes) + ":" + rest;
    }
    const [size, unit] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]].find(([least]) => end >= least) || [1, "ns"];
    const digits = Math.max(0, Math.ceil(Math.log10(size / each) - 1e-9));
    return (at / size).toFixed(digits) + " " + unit;
  }

  // ---- where one looks
  function look(begin, end) {
    const wide = Math.min(Math.max(end - begin, Math.min(100, span)), span);
    from = Math.min(Math.max(begin, 0), span - wide);
    to = from + wide;
    ask();
  }

  function zoom(factor, px) {
    const at = ns(px);
    look(at - (at - from) * factor, at + (to - at) * factor);
  }

  function zoomTo(box) {
    const room = Math.max(box[END] - box[START], 50) * 0.08;
    look(box[START] - room, box[END] + room);
  }

  // ---- what one looks at
  function boxAt(px, py) {
    const row = rows[Math.floor((py - AXIS) / ROW)];
    if (!row) return null;
    let best = null, least = 5;
    for (const box of row) {
      const left = x(box[START]), right = Math.max(x(box[END]), left + 1);
      const away = px < left ? left - px : px > right ? px - right : 0;
      if (away < least || (away === least && best && box[END] - box[START] < best[END] - best[START])) {
        best = box;
        least = away;
      }
    }
    return best;
  }

  function choose(box) {
    chosen = box;
    details.replaceChildren();
    const name = document.createElement(box ? "h3" : "p");
    name.textContent = box ? box[TITLE] : "Choose a box to see what it is.";
    details.append(name);
    if (box && box[TOLD].length) {
      const list = document.createElement("dl");
      for (const [term, text] of box[TOLD]) {
        const item = document.createElement("div"), head = document.createElement("dt");
        const isLong = text.length > 60 || text.includes("\n");
        const value = document.createElement("dd"), inner = document.createElement(isLong ? "pre" : "span");
        head.textContent = term;
        inner.textContent = text;
        value.append(inner);
        item.append(head, value);
        if (isLong) item.className = "long";
        list.append(item);
      }
      details.append(list);
    }
    if (box) {
      if (box[END] < from || box[START] > to) look(box[START] - (to - from) / 2, box[START] + (to - from) / 2);
    }
    ask();
  }

  function neighbour(key) {
    if (!chosen) return boxes[0] || null;
    const row = rows[chosen[KEY_ROW]], place = row.indexOf(chosen);
    if (key === "ArrowLeft") return row[place - 1] || chosen;
    if (key === "ArrowRight") return row[place + 1] || chosen;
    const next = rows[chosen[KEY_ROW] + (key === "ArrowUp" ? -1 : 1)] || [];
    const middle = (Math.max(chosen[START], from) + Math.min(chosen[END], to)) / 2;
    const away = (box) => Math.max(box[START] - middle, middle - box[END], 0);
    return next.reduce((best, box) => !best || away(box) < away(best) ? box : best, null) || chosen;
  }

  // ---- mouse, finger, wheel
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { px: event.offsetX, from, to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      const by = (drag.px - event.offsetX) / width * (drag.to - drag.from);
      drag.moved = drag.moved || Math.abs(drag.px - event.offsetX) > 3;
      if (drag.moved) look(drag.from + by, drag.to + by);
    }
    const box = drag && drag.moved ? null : boxAt(event.offsetX, event.offsetY);
    tip.hidden = !box;
    if (box) {
      tip.textContent = box[TITLE];
      const isRight = event.offsetX > width / 2;
      tip.style.left = isRight ? "auto" : event.offsetX + 12 + "px";
      tip.style.right = isRight ? width - event.offsetX + 12 + "px" : "auto";
      tip.style.top = canvas.offsetTop + event.offsetY + 16 + "px";
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) choose(boxAt(event.offsetX, event.offsetY));
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("dblclick", (event) => {
    const box = boxAt(event.offsetX, event.offsetY);
    if (box) zoomTo(box); else look(0, span);
  });
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 300), event.offsetX);
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      const by = event.deltaX / width * (to - from);
      look(from + by, to + by);
    }
  }, { passive: false });

  // ---- keyboard and buttons
  canvas.addEventListener("keydown", (event) => {
    const by = (to - from) / 5;
    const middle = chosen && chosen[END] >= from && chosen[START] <= to
      ? (Math.max(x(chosen[START]), 0) + Math.min(x(chosen[END]), width)) / 2 : width / 2;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && event.key === "ArrowLeft") look(from - by, to - by);
    else if (event.shiftKey && event.key === "ArrowRight") look(from + by, to + by);
    else if (event.key.startsWith("Arrow")) choose(neighbour(event.key));
    else if (event.key === "+" || event.key === "=") zoom(0.6, middle);
    else if (event.key === "-") zoom(1 / 0.6, middle);
    else if (event.key === "0" || event.key === "Home") look(0, span);
    else if (event.key === "Enter" && chosen) zoomTo(chosen);
    else if (event.key === "Escape") choose(null);
    else return;
    event.preventDefault();
  });
  element("in").addEventListener("click", () => zoom(0.6, width / 2));
  element("out").addEventListener("click", () => zoom(1 / 0.6, width / 2));
  element("all").addEventListener("click", () => look(0, span));
  find.addEventListener("input", () => { found = find.value.trim().toLowerCase(); ask(); });

  window.addEventListener("resize", resize);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);
  resize();
})();

/* Plays .motion documents on plain canvases: scrub, speed, orbit and zoom of 3D joints, side by side, captions, faces, keyboard. */
"use strict";
(() => {
  /* Tables and sizes come from Python (page.py fills this in), so that the page draws what every other renderer draws. */
  const TABLES = __TABLES__;
  const { chains: CHAINS, expressions: FACES, openings: OPENING, hands: HANDS, sizes: SIZE } = TABLES;
  const FINGERS = TABLES.finger_angles_deg.map((d) => (d * Math.PI) / 180);
  /* How slowly a camera follows, room round the points for strokes and hands, and the eye's distance in visible heights. */
  const FOLLOW_S = 0.5, ROOM_M = 0.2, EYE_AWAY = 1.6;
  const INKS = {
    light: [["#263238", "#1565c0", "#c62828"], ["#3e2723", "#00796b", "#ef6c00"], ["#311b92", "#6838b7", "#ad145c"], ["#1b5e20", "#558b2f", "#00838f"]],
    dark: [["#e6edf1", "#64b5f6", "#ef7a7a"], ["#efdcd3", "#4dd0b8", "#ffb066"], ["#d9ccff", "#b39ddb", "#f48fb1"], ["#cfe8cf", "#aed581", "#4dd0e1"]],
  };
  const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const make = (tag, props = {}, ...inside) => { const e = Object.assign(document.createElement(tag), props); e.append(...inside); return e; };

  /* One motion: its points by frame and actor, flat or in space. */
  class Motion {
    constructor(doc) {
      this.doc = doc;
      ({ fps: this.fps, frames: this.frames, actors: this.actors } = doc.meta);
      this.seconds = this.frames / this.fps;
      this.solid = Boolean(doc.joints);
      this.unit = doc.skeleton.joint_unit_m || 1;
      const names = doc.skeleton.segments.flatMap(([, start, end]) => [start, end]);
      this.flatNames = new Map(names.map((name, n) => [name, n]));
      this.jointNames = new Map((doc.skeleton.joints || []).map((name, n) => [name, n]));
    }
    present(frame, actor) { return !this.doc.present || this.doc.present[frame * this.actors + actor] === 1; }
    points(frame, actor, solid) {
      const found = new Map(), row = frame * this.actors + actor;
      if (solid && this.solid) {
        for (const [name, n] of this.jointNames) { const at = (row * this.jointNames.size + n) * 3; found.set(name, [0, 1, 2].map((k) => this.doc.joints[at + k] * this.unit)); }
        const head = found.get("head"), up = sub(head, found.get("neck"));
        found.set("head_top", head.map((x, n) => x + SIZE.head_top_factor * up[n]));
        return found;
      }
      const start = row * this.doc.skeleton.width;
      for (const [name, n] of this.flatNames) found.set(name, [this.doc.motion[start + 2 * n], this.doc.motion[start + 2 * n + 1], 0]);
      return found;
    }
    facing(points, actor, solid) {
      if (solid && this.solid) {
        const f = cross(sub(points.get("left_shoulder"), points.get("right_shoulder")), sub(points.get("neck"), points.get("pelvis")));
        const size = Math.hypot(...f) || 1;
        return f.map((x) => x / size);
      }
      const toward = clamp((points.get("left_shoulder")[0] - points.get("right_shoulder")[0]) / SIZE.shoulder_span_m, -1, 1);
      const travel = this.points(this.frames - 1, actor, false).get("pelvis")[0] - this.points(0, actor, false).get("pelvis")[0];
      return [Math.sqrt(1 - toward * toward) * Math.tanh(travel / this.seconds / 0.3), 0, toward];
    }
    /* Where a camera has to be: over the whole way, or following when that would show the figure too small. Nothing ever leaves the picture. */
    framing(solid) {
      const frames = [];
      let low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
      for (let frame = 0; frame < this.frames; frame++) {
        const found = { points: [], low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity] };
        for (let actor = 0; actor < this.actors; actor++) if (this.present(frame, actor)) found.points.push(...this.points(frame, actor, solid).values());
        for (const p of found.points) for (let n = 0; n < 3; n++) { found.low[n] = Math.min(found.low[n], p[n]); found.high[n] = Math.max(found.high[n], p[n]); }
        low = low.map((x, n) => Math.min(x, found.low[n]));
        high = high.map((x, n) => Math.max(x, found.high[n]));
        frames.push(found);
      }
      if (low[0] > high[0]) { low = [-1, 0, -1]; high = [1, 2, 1]; }
      const middle = low.map((x, n) => (x + high[n]) / 2), seen = frames.filter((f) => f.points.length);
      const tall = seen.map((f) => f.high[1] - f.low[1]).sort((a, b) => a - b)[seen.length >> 1] || 2;
      const reach = (centres) => frames.reduce((most, f, n) => f.points.reduce((m, p) => Math.max(m, Math.hypot(p[0] - centres[n][0], p[2] - centres[n][2])), most), 0);
      const still = frames.map(() => middle), whole = { low, high, centres: still, reach: reach(still), half: (high[1] - low[1]) / 2, tall };
      const span = Math.round(FOLLOW_S * this.fps), own = frames.map((f) => (f.points.length ? [(f.low[0] + f.high[0]) / 2, (f.low[2] + f.high[2]) / 2] : null));
      const centres = own.map((_, n) => {
        const near = own.slice(Math.max(0, n - span), n + span + 1).filter(Boolean);
        return near.length ? [near.reduce((s, c) => s + c[0], 0) / near.length, middle[1], near.reduce((s, c) => s + c[1], 0) / near.length] : middle;
      });
      return { whole, followed: { ...whole, centres, reach: reach(centres) } };
    }
    caption(second) { return (this.doc.captions || []).filter((c) => c.start_s <= second && second < c.end_s).map((c) => c.text).join(" · "); }
  }

  /* A track of moods at a second: each change starts from wherever the track was and takes the transition's time. */
  function eased(moods, table, key, second, takes) {
    let now = table[moods[0][key]];
    for (let n = 1; n < moods.length && moods[n].start_s <= second; n++) {
      const before = n > 1 ? eased(moods.slice(0, n), table, key, moods[n].start_s, takes) : now;
      let done = clamp((second - moods[n].start_s) / takes, 0, 1);
      done = done * done * (3 - 2 * done);
      now = table[moods[n][key]].map((x, i) => before[i] * (1 - done) + x * done);
    }
    return now;
  }

  /* The six numbers of a face at a second: those of its expression, the mouth's cycle added. */
  function faceAt(moods, second, config) {
    const found = eased(moods, FACES, "expression", second, config.transition_s);
    const modes = Object.keys(OPENING), unit = Object.fromEntries(modes.map((m) => [m, modes.map((o) => Number(o === m))]));
    const weights = eased(moods, unit, "mouth", second, config.transition_s);
    const cycle = modes.reduce((sum, m, n) => sum + (m === "closed" ? 0 : weights[n] * OPENING[m] * (0.5 - 0.5 * Math.cos(2 * Math.PI * config[`${m}_hz`] * second))), 0);
    found[4] = Math.max(found[4] * weights[0], 0) + cycle;
    return found;
  }
  const handAt = (moods, second, config) => eased(moods, HANDS, "hands", second, config.transition_s);

  class View {
    constructor(player, motion) {
      this.player = player;
      this.motion = motion;
      this.canvas = make("canvas");
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", `motion ${motion.doc.meta.id}`);
      this.text = make("span");
      const { id, source } = motion.doc.meta;
      this.element = make("figure", { className: "sg-view" }, this.canvas, make("figcaption", {}, this.text, make("small", { textContent: source ? `${id} · ${source}` : id })));
      this.frames = { true: motion.framing(true), false: motion.framing(false) };
      this.canvas.addEventListener("pointerdown", (e) => { this.grabbed = [e.clientX, e.clientY]; this.canvas.setPointerCapture(e.pointerId); });
      this.canvas.addEventListener("pointermove", (e) => {
        if (!this.grabbed) return;
        player.azimuth -= (e.clientX - this.grabbed[0]) * 0.01;
        player.elevation = clamp(player.elevation + (e.clientY - this.grabbed[1]) * 0.01, -0.3, 1.4);
        this.grabbed = [e.clientX, e.clientY];
        player.draw();
      });
      for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { this.grabbed = null; });
      this.canvas.addEventListener("wheel", (e) => { e.preventDefault(); player.zoom = clamp(player.zoom * Math.exp(-e.deltaY * 0.001), 0.4, 6); player.draw(); }, { passive: false });
    }
    camera(solid, frame) {
      const { azimuth, elevation, zoom } = this.player, a = solid ? azimuth : 0, e = solid ? elevation : 0;
      const right = [Math.cos(a), 0, Math.sin(a)], toward = [-Math.sin(a) * Math.cos(e), Math.sin(e), Math.cos(a) * Math.cos(e)];
      const up = cross(toward, right), { width, height } = this.canvas, { whole, followed } = this.frames[solid];
      const needed = ({ reach, half }) => {
        const upright = half * Math.cos(e) + (solid ? reach * Math.abs(Math.sin(e)) : 0) + ROOM_M, across = reach + ROOM_M;
        return Math.max(2 * upright, (2 * across * height) / width) * 1.12 + (solid ? across / EYE_AWAY : 0);
      };
      const chosen = whole.tall / needed(whole) < 0.45 ? followed : whole, visible = needed(chosen), centre = chosen.centres[frame];
      const scale = (height / visible) * zoom, away = (visible / zoom) * EYE_AWAY;
      return { right, up, toward, look: (p) => {
        const r = sub(p, centre), depth = dot(r, toward), s = solid ? (scale * away) / Math.max(away - depth, 0.1 * away) : scale;
        return { x: width / 2 + dot(r, right) * s, y: height / 2 - dot(r, up) * s, depth, scale: s };
      } };
    }
    draw(second) {
      const { motion, canvas, player } = this, ratio = Math.min(window.devicePixelRatio || 1, 2);
      const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
      if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
      if (!width || !height) return;
      const frame = clamp(Math.floor(second * motion.fps + 1e-6), 0, motion.frames - 1), solid = player.solid && motion.solid;
      const ctx = canvas.getContext("2d"), css = getComputedStyle(player.root), dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const camera = this.camera(solid, frame), strokes = [];
      ctx.fillStyle = css.getPropertyValue("--sg-paper");
      ctx.fillRect(0, 0, width, height);
      this.ground(ctx, camera, solid, css.getPropertyValue("--sg-line"));
      for (let actor = 0; actor < motion.actors; actor++) {
        if (motion.present(frame, actor)) this.body(strokes, camera, frame, actor, solid, INKS[dark ? "dark" : "light"][actor % 4], css.getPropertyValue("--sg-skin"), second);
      }
      strokes.sort((a, b) => a.depth - b.depth);
      ctx.lineCap = "round";
      for (const s of strokes) {
        ctx.strokeStyle = s.colour;
        ctx.lineWidth = Math.max(s.width, 1);
        ctx.beginPath();
        ctx.moveTo(s.from.x, s.from.y);
        ctx.lineTo(s.to.x + (s.from.x === s.to.x && s.from.y === s.to.y ? 0.01 : 0), s.to.y);
        ctx.stroke();
      }
      const caption = motion.caption(second);
      if (this.text.textContent !== caption) this.text.textContent = caption;
    }
    ground(ctx, camera, solid, colour) {
      const { low, high } = this.frames[solid].whole, lines = [];
      const x0 = Math.floor(low[0]) - 3, x1 = Math.ceil(high[0]) + 3, z0 = Math.floor(low[2]) - 3, z1 = Math.ceil(high[2]) + 3;
      if (solid) {
        for (let x = x0; x <= x1; x++) for (let z = z0; z < z1; z++) lines.push([[x, 0, z], [x, 0, z + 1]]);
        for (let z = z0; z <= z1; z++) for (let x = x0; x < x1; x++) lines.push([[x, 0, z], [x + 1, 0, z]]);
      } else {
        lines.push([[x0 - 20, 0, 0], [x1 + 20, 0, 0]]);
        for (let x = x0; x <= x1; x++) lines.push([[x, 0, 0], [x, -0.06, 0]]);
      }
      ctx.strokeStyle = colour;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      for (const [a, b] of lines) { const p = camera.look(a), q = camera.look(b); ctx.moveTo(p.x, p.y); ctx.lineTo(q.x, q.y); }
      ctx.stroke();
    }
    body(strokes, camera, frame, actor, solid, inks, skin, second) {
      const { motion } = this, points = motion.points(frame, actor, solid), seen = new Map();
      for (const [name, p] of points) seen.set(name, camera.look(p));
      for (const chain of CHAINS) {
        const known = chain.filter((name) => seen.has(name));
        for (let n = 1; n < known.length; n++) {
          if (known[n] === "head_top") continue;
          const from = seen.get(known[n - 1]), to = seen.get(known[n]), side = known[n].startsWith("left_") ? 1 : known[n].startsWith("right_") ? 2 : 0;
          strokes.push({ from, to, width: ((from.scale + to.scale) / 2) * SIZE.stroke_m, colour: inks[side], depth: (from.depth + to.depth) / 2 });
        }
      }
      const neck = seen.get("neck"), top = seen.get("head_top"), radius = SIZE.head_radius_m * ((neck.scale + top.scale) / 2);
      const head = { x: neck.x + SIZE.head_middle * (top.x - neck.x), y: neck.y + SIZE.head_middle * (top.y - neck.y) }, depth = Math.max(neck.depth, top.depth) + 0.1;
      strokes.push({ from: head, to: head, width: 2 * radius, colour: inks[0], depth });
      strokes.push({ from: head, to: head, width: 2 * radius - Math.max((radius * SIZE.stroke_m) / SIZE.head_radius_m, 1.5), colour: skin, depth: depth + 0.001 });
      const moods = (motion.doc.face && motion.doc.face[actor]) || [{ start_s: 0, expression: "neutral", mouth: "closed", hands: "relaxed" }];
      this.face(strokes, camera, motion.facing(points, actor, solid), sub(points.get("head_top"), points.get("neck")), head, radius, depth + 0.002, moods, second, inks[0]);
      for (const side of ["left", "right"]) this.hand(strokes, seen, side, handAt(moods, second, this.player.face), inks[side === "left" ? 1 : 2]);
    }
    face(strokes, camera, facing, axis, head, radius, depth, moods, second, colour) {
      const config = this.player.face, towards = dot(facing, camera.toward), aside = dot(facing, camera.right);
      if (towards <= 0.05 || radius < config.smallest_head_px) return;
      const high = [dot(axis, camera.right), -dot(axis, camera.up)], length = Math.hypot(...high);
      const [hx, hy] = length > 1e-6 ? [high[0] / length, high[1] / length] : [0, -1], narrow = clamp(Math.abs(towards), 0.35, 1);
      const at = (x, y) => { const X = x * narrow + 0.5 * aside; return { x: head.x + radius * (X * -hy + y * hx), y: head.y + radius * (X * hx + y * hy) }; };
      const [brow, tilt, eye, curve, opening, width] = faceAt(moods, second, config);
      const line = (from, to, thick = 0.13) => strokes.push({ from, to, width: Math.max(radius * thick, 1), colour, depth });
      for (const side of [-1, 1]) {
        line(at(side * SIZE.eye_apart, SIZE.eye_height + 0.14 * eye), at(side * SIZE.eye_apart, SIZE.eye_height - 0.14 * eye), 0.13 * 1.4);
        line(at(side * (SIZE.eye_apart - 0.17), SIZE.brow_height + 0.16 * brow + 0.13 * tilt), at(side * (SIZE.eye_apart + 0.17), SIZE.brow_height + 0.16 * brow - 0.13 * tilt));
      }
      for (const lip of [1, -1]) {
        let last = null;
        for (let n = 0; n <= SIZE.mouth_steps; n++) {
          const x = (2 * n) / SIZE.mouth_steps - 1, next = at(SIZE.mouth_half * width * x, SIZE.mouth_height + SIZE.mouth_curve * curve * (x * x - 0.5) + lip * 0.3 * opening * (1 - x * x));
          if (last) line(last, next);
          last = next;
        }
      }
    }
    hand(strokes, seen, side, shape, colour) {
      const wrist = seen.get(`${side}_wrist`), before = seen.get(`${side}_elbow`) || seen.get(`${side}_shoulder`);
      if (!wrist || SIZE.finger_m * wrist.scale < this.player.face.smallest_head_px / 2) return;
      const heading = Math.atan2(wrist.y - before.y, wrist.x - before.x), turn = side === "left" ? 1 : -1;
      FINGERS.forEach((angle, n) => {
        const a = heading + turn * angle * (0.4 + 0.6 * shape[5]), reach = SIZE.finger_m * wrist.scale * shape[n];
        strokes.push({ from: wrist, to: { x: wrist.x + reach * Math.cos(a), y: wrist.y + reach * Math.sin(a) }, width: SIZE.stroke_m * 0.3 * wrist.scale, colour, depth: wrist.depth + 0.01 });
      });
    }
  }

  class Player {
    constructor(root) {
      this.root = root;
      const data = JSON.parse(root.querySelector(".sg-data").textContent);
      this.face = data.face;
      this.motions = data.motions.map((doc) => new Motion(doc));
      Object.assign(this, { second: 0, speed: 1, playing: false, azimuth: 0.6, elevation: 0.2, zoom: 1, solid: this.motions.some((m) => m.solid) });
      this.stage = make("div", { className: "sg-stage" });
      this.bar();
      if (data.chooser) this.chooser();
      root.append(this.stage, this.controls, make("p", { className: "sg-help", textContent: "Space plays, ← → step a frame, ↑ ↓ change the speed, V switches the view; drag turns, the wheel zooms." }));
      this.show(data.chooser ? [0] : this.motions.map((_, n) => n));
      root.tabIndex = 0;
      root.addEventListener("keydown", (e) => this.key(e));
      new ResizeObserver(() => this.draw()).observe(this.stage);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }
    bar() {
      this.button = make("button", { type: "button", textContent: "▶", onclick: () => this.toggle() });
      this.button.setAttribute("aria-label", "play or pause");
      this.scrub = make("input", { type: "range", min: 0, step: 1, value: 0, oninput: () => { this.playing = false; this.seek(this.scrub.value / this.fps); } });
      this.scrub.setAttribute("aria-label", "frame");
      this.speeds = make("select", { onchange: () => { this.speed = Number(this.speeds.value); } });
      this.speeds.setAttribute("aria-label", "speed");
      for (const speed of [0.25, 0.5, 1, 1.5, 2]) this.speeds.append(make("option", { value: speed, textContent: `${speed}×`, selected: speed === 1 }));
      this.mode = make("button", { type: "button", onclick: () => this.flip(), hidden: !this.solid });
      this.clock = make("output");
      this.controls = make("div", { className: "sg-bar" }, this.button, this.scrub, this.clock, this.speeds, this.mode);
    }
    chooser() {
      const option = (n) => make("option", { value: n, textContent: `${n + 1}. ${this.motions[n].caption(0) || this.motions[n].doc.meta.id}` });
      const left = make("select", {}, ...this.motions.map((_, n) => option(n)));
      const right = make("select", {}, make("option", { value: "", textContent: "compare with…" }), ...this.motions.map((_, n) => option(n)));
      left.setAttribute("aria-label", "motion");
      right.setAttribute("aria-label", "compare with");
      left.onchange = right.onchange = () => this.show([Number(left.value), ...(right.value === "" ? [] : [Number(right.value)])]);
      this.root.append(make("div", { className: "sg-pick" }, left, right));
    }
    show(chosen) {
      this.views = chosen.map((n) => new View(this, this.motions[n]));
      this.stage.replaceChildren(...this.views.map((view) => view.element));
      this.fps = this.views[0].motion.fps;
      this.seconds = Math.max(...this.views.map((view) => view.motion.seconds));
      this.scrub.max = Math.round(this.seconds * this.fps) - 1;
      this.seek(Math.min(this.second, this.seconds));
    }
    toggle() {
      this.playing = !this.playing;
      this.button.textContent = this.playing ? "❚❚" : "▶";
      if (this.playing) { this.last = null; requestAnimationFrame((now) => this.tick(now)); }
    }
    tick(now) {
      if (!this.playing) { this.button.textContent = "▶"; return; }
      if (this.last !== null) this.seek((this.second + ((now - this.last) / 1000) * this.speed) % this.seconds);
      this.last = now;
      requestAnimationFrame((next) => this.tick(next));
    }
    seek(second) { this.second = clamp(second, 0, this.seconds - 1e-6); this.draw(); }
    flip() { this.solid = !this.solid; this.draw(); }
    draw() {
      const frame = Math.floor(this.second * this.fps + 1e-6);
      this.scrub.value = frame;
      this.clock.textContent = `${this.second.toFixed(2)} / ${this.seconds.toFixed(2)} s`;
      this.mode.textContent = this.solid ? "3D" : "2D";
      for (const view of this.views) view.draw(this.second);
    }
    key(event) {
      if (event.target && event.target.tagName === "SELECT") return;
      const step = (by) => { this.playing = false; this.seek((Math.floor(this.second * this.fps + 1e-6) + by) / this.fps); };
      const faster = (by) => { this.speeds.selectedIndex = clamp(this.speeds.selectedIndex + by, 0, this.speeds.length - 1); this.speed = Number(this.speeds.value); };
      const does = {
        " ": () => this.toggle(), ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => faster(1), ArrowDown: () => faster(-1),
        Home: () => this.seek(0), End: () => this.seek(this.seconds), v: () => this.flip(), V: () => this.flip(),
      }[event.key];
      if (does && !(event.key === " " && event.target === this.button)) { event.preventDefault(); does(); }
    }
  }

  const start = () => { for (const root of document.querySelectorAll(".sg-player:not([data-ready])")) { root.dataset.ready = "1"; root.sgPlayer = new Player(root); } };
  Object.assign(window, { sgStartPlayers: start, sgFaceAt: faceAt, sgHandAt: handAt });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();

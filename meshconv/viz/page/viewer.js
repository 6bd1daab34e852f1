"use strict";
// A small viewer: one mesh at a time, parallel projection, a field in the house's colours, picking by click.
(() => {
  const host = document.getElementById("viewer");
  if (!host) return;
  const data = JSON.parse(document.getElementById("meshes").textContent);
  const canvas = host.querySelector("canvas"), readout = host.querySelector("output");
  const chooser = host.querySelector("select"), slider = host.querySelector("input");
  const gl = canvas.getContext("webgl2", { antialias: true });
  if (!gl) {
    readout.textContent = "This browser cannot draw in 3D; the pictures above show the same.";
    canvas.hidden = true;
    return;
  }
  const VERTEX = `#version 300 es
    uniform mat3 turn; uniform vec2 scale; uniform vec2 shift;
    in vec3 position; in vec3 normal; in float value; in float mute;
    out vec3 n; out float f; out float m0;
    void main() {
      vec3 p = turn * position;
      n = turn * normal; f = value; m0 = mute;
      gl_Position = vec4((p.xy + shift) * scale, -p.z * 0.45, 1.0);
    }`;
  const FRAGMENT = `#version 300 es
    precision highp float;
    uniform vec3 ramp[9]; uniform int stops; uniform vec3 neutral; uniform float threshold; uniform float lines; uniform float middle;
    in vec3 n; in float f; in float m0; out vec4 colour;
    vec3 look(float t) {
      float x = clamp(t, 0.0, 1.0) * float(stops - 1);
      int k = min(int(x), stops - 2);
      return mix(ramp[k], ramp[k + 1], x - float(k));
    }
    float line(float level) { return 1.0 - smoothstep(0.4, 1.3, abs(f - level) / max(fwidth(f), 1e-5)); }
    void main() {
      bool blank = m0 > 0.0;
      float s = mix(abs(2.0 * f - 1.0), f, middle); // how far from nothing: of a signed field, both ways
      vec3 c = blank || s < threshold - 1e-4 ? neutral : look(f);
      float ink = max(max(line(0.25), line(0.5) * middle), line(0.75)) * lines * (blank ? 0.0 : 1.0);
      if (threshold > 0.0 && !blank) ink = max(ink * step(threshold, s), 1.0 - smoothstep(0.4, 1.3, abs(s - threshold) / max(fwidth(s), 1e-5)));
      c = mix(c, vec3(0.29, 0.25, 0.22), 0.8 * ink);
      vec3 m = normalize(n) * (gl_FrontFacing ? 1.0 : -1.0);
      float light = 0.42 + 0.40 * max(dot(m, normalize(vec3(0.4, 0.7, 1.0))), 0.0)
                  + 0.25 * max(dot(m, normalize(vec3(-0.8, 0.1, 0.6))), 0.0)
                  + 0.15 * max(dot(m, normalize(vec3(0.1, -1.0, 0.6))), 0.0);
      colour = vec4(c * min(light, 1.05), 1.0);
    }`;

  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  gl.clearColor(1, 1, 1, 1);
  const at = name => gl.getUniformLocation(program, name);
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
  const rgb = hex => [1, 3, 5].map(k => parseInt(hex.substr(k, 2), 16) / 255);

  let mesh = null, turn = null, zoom = 1, shift = [0, 0], marked = null;
  const marker = host.querySelector(".marker");

  function load(k) {
    const one = data[k];
    const quantised = new Uint16Array(bytes(one.positions));
    const faces = one.wide ? new Uint32Array(bytes(one.faces)) : new Uint16Array(bytes(one.faces));
    const raw = new Uint16Array(bytes(one.values));
    const ids = one.ids ? new Uint32Array(bytes(one.ids)) : null;
    const count = raw.length, positions = new Float32Array(3 * count);
    for (let i = 0; i < 3 * count; i++) positions[i] = (quantised[i] / 65535 - 0.5) * one.size[i % 3];
    const values = Float32Array.from(raw, x => x / 65535);
    const muted = one.muted ? Float32Array.from(new Uint8Array(bytes(one.muted))) : new Float32Array(count);
    mesh = { one, positions, faces, values, ids, muted, normals: normals(positions, faces) };
    for (const [name, array, width] of [["position", positions, 3], ["normal", mesh.normals, 3], ["value", values, 1], ["mute", muted, 1]]) {
      const place = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.STATIC_DRAW);
    gl.uniform3fv(at("ramp"), one.colours.flatMap(rgb));
    gl.uniform1i(at("stops"), one.colours.length);
    gl.uniform3fv(at("neutral"), rgb(one.neutral));
    gl.uniform1f(at("lines"), one.lines ? 1 : 0);
    gl.uniform1f(at("middle"), one.signed ? 0 : 1);
    slider.min = one.signed ? 0 : one.limits[0]; slider.max = one.limits[1];
    slider.step = (slider.max - slider.min) / 100; slider.value = slider.min;
    turn = [1, 0, 0, 0, 1, 0, 0, 0, 1]; zoom = 1; shift = [0, 0]; marked = null;
    legend();
    for (const card of document.querySelectorAll("article[data-mesh]")) card.classList.toggle("turned", card.dataset.mesh === String(k));
    readout.textContent = "Drag to turn, scroll or pinch to enlarge, click to read a value.";
    canvas.dataset.mesh = String(k);
    draw();
  }

  function legend() {
    const scale = host.querySelector(".scale"), one = mesh.one, [low, high] = one.limits;
    scale.hidden = !one.lines && one.field === "no field:";
    scale.querySelector("i").style.background = `linear-gradient(to top, ${one.colours.join(", ")})`;
    scale.querySelectorAll("span").forEach((tick, k) => { tick.textContent = Number((low + k * (high - low) / 2).toPrecision(3)); });
    scale.querySelector("em").textContent = one.field;
  }

  function normals(p, faces) {
    const n = new Float32Array(p.length);
    for (let i = 0; i < faces.length; i += 3) {
      const [a, b, c] = [3 * faces[i], 3 * faces[i + 1], 3 * faces[i + 2]];
      const u = [0, 1, 2].map(k => p[b + k] - p[a + k]), v = [0, 1, 2].map(k => p[c + k] - p[a + k]);
      const w = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const corner of [a, b, c]) for (let k = 0; k < 3; k++) n[corner + k] += w[k];
    }
    return n;
  }

  const fit = () => {
    const aspect = canvas.width / canvas.height;
    return aspect > 1 ? [1.9 * zoom / aspect, 1.9 * zoom] : [1.9 * zoom, 1.9 * zoom * aspect];
  };
  const level = () => {
    const low = mesh.one.signed ? 0 : mesh.one.limits[0];
    return (slider.value - low) / (mesh.one.limits[1] - low);
  };
  const turned = k => {
    const p = mesh.positions.subarray(3 * k, 3 * k + 3);
    return [0, 1, 2].map(r => turn[r] * p[0] + turn[3 + r] * p[1] + turn[6 + r] * p[2]);
  };

  function draw() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    gl.viewport(0, 0, w, h);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix3fv(at("turn"), false, turn);
    gl.uniform2fv(at("scale"), fit());
    gl.uniform2fv(at("shift"), shift);
    gl.uniform1f(at("threshold"), level());
    gl.drawElements(gl.TRIANGLES, mesh.faces.length, mesh.one.wide ? gl.UNSIGNED_INT : gl.UNSIGNED_SHORT, 0);
    canvas.dataset.threshold = slider.value;
    host.querySelector(".level").textContent = Number(slider.value).toFixed(2);
    mark();
  }

  function mark() {
    marker.hidden = marked === null;
    if (marked === null) return;
    const scale = fit(), p = turned(marked);
    marker.style.left = `${((p[0] + shift[0]) * scale[0] + 1) * 50}%`;
    marker.style.top = `${(1 - (p[1] + shift[1]) * scale[1]) * 50}%`;
  }

  function pick(x, y) { // in -1..1; the front-most face over the point, and its nearest corner
    const scale = fit(), [px, py] = [x / scale[0] - shift[0], y / scale[1] - shift[1]];
    const q = Array.from({ length: mesh.values.length }, (_, k) => turned(k));
    let best = null;
    for (let i = 0; i < mesh.faces.length; i += 3) {
      const corner = [mesh.faces[i], mesh.faces[i + 1], mesh.faces[i + 2]], [a, b, c] = corner.map(k => q[k]);
      const area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
      const s = ((px - a[0]) * (c[1] - a[1]) - (py - a[1]) * (c[0] - a[0])) / area;
      const t = ((b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])) / area;
      if (!(s >= 0 && t >= 0 && s + t <= 1)) continue;
      const w = [1 - s - t, s, t], depth = w[0] * a[2] + w[1] * b[2] + w[2] * c[2];
      if (best === null || depth > best.depth) best = { depth, vertex: corner[w.indexOf(Math.max(...w))] };
    }
    return best;
  }

  function click(event) {
    const box = canvas.getBoundingClientRect();
    const found = pick(2 * (event.clientX - box.left) / box.width - 1, 1 - 2 * (event.clientY - box.top) / box.height);
    marked = found ? found.vertex : null;
    delete canvas.dataset.vertex; delete canvas.dataset.value;
    if (found) {
      const [low, high] = mesh.one.limits, value = low + mesh.values[marked] * (high - low);
      canvas.dataset.vertex = String(mesh.ids ? mesh.ids[marked] : marked);
      canvas.dataset.value = value.toFixed(4);
      if (mesh.muted[marked]) readout.textContent = `not coloured here: border or no data (vertex ${canvas.dataset.vertex})`;
      else readout.textContent = `${mesh.one.field} ${value.toFixed(3)} at vertex ${canvas.dataset.vertex}`;
    } else readout.textContent = "No surface there.";
    mark();
  }

  function orbit(dx, dy) { // turn about the screen's axes: after what was there
    const [a, b] = [dx * 0.01, dy * 0.01], [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
    const m = [ca, sb * sa, -cb * sa, 0, cb, sb, sa, -sb * ca, cb * ca];
    turn = [0, 1, 2].flatMap(k => [0, 1, 2].map(r => m[r] * turn[3 * k] + m[3 + r] * turn[3 * k + 1] + m[6 + r] * turn[3 * k + 2]));
  }

  const down = new Map();
  let start = null, spread = 0;
  canvas.addEventListener("pointerdown", event => {
    down.set(event.pointerId, [event.clientX, event.clientY]);
    start = down.size === 1 ? [event.clientX, event.clientY] : null;
    spread = 0;
    try { canvas.setPointerCapture(event.pointerId); } catch { /* a pointer that has already left */ }
  });
  canvas.addEventListener("pointermove", event => {
    const last = down.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (start && Math.hypot(event.clientX - start[0], event.clientY - start[1]) > 4) start = null; // a drag, no click
    if (down.size === 2) {
      const [p, q] = [...down.values()], now = Math.hypot(p[0] - q[0], p[1] - q[1]);
      if (spread) zoom = Math.min(20, Math.max(0.3, zoom * now / spread));
      spread = now;
    } else if (event.shiftKey || event.buttons === 4) {
      const scale = fit();
      shift = [shift[0] + 2 * dx / canvas.clientWidth / scale[0], shift[1] - 2 * dy / canvas.clientHeight / scale[1]];
    } else if (!start) orbit(dx, dy);
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, event => {
    const was = down.delete(event.pointerId);
    if (was && start && name === "pointerup") click(event);
    start = null;
  });
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoom = Math.min(20, Math.max(0.3, zoom * Math.exp(-event.deltaY * 0.001)));
    draw();
  }, { passive: false });
  slider.addEventListener("input", draw);
  chooser.addEventListener("change", () => load(Number(chooser.value)));
  document.querySelectorAll("article .turn").forEach(button => button.addEventListener("click", () => {
    chooser.value = button.closest("article").dataset.mesh;
    load(Number(chooser.value));
    host.scrollIntoView({ behavior: "smooth", block: "center" });
  }));
  host.querySelector("button").addEventListener("click", () => { turn = [1, 0, 0, 0, 1, 0, 0, 0, 1]; zoom = 1; shift = [0, 0]; draw(); });
  window.addEventListener("resize", draw);
  load(0);
  canvas.dataset.ready = "yes";
})();

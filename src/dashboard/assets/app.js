// Keeps a page up to date, and says when it cannot.
//
// Here: the stream of changes and what is shown of the connection, commands and their answers, ages, the theme, charts.
// Not here: what stands on a page; the server draws it, also each time it has changed.

(() => {
  "use strict";
  const body = document.body;
  const byId = (id) => document.getElementById(id);

  // What stays as the reader left it when the page is brought up to date.
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeAttributeUpdated: (name, node) =>
      !(name === "open" && node.matches("details, dialog")) && !(name === "value" && node === document.activeElement),
    beforeNodeMorphed: (old, fresh) => {
      if (old instanceof HTMLInputElement && old.type === "checkbox") fresh.checked = old.checked;
      if (!(old instanceof Element) || !old.matches("[data-chart]") || !fresh.dataset) return true;
      for (const name of ["data-chart", "aria-label"]) {
        if (fresh.hasAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
      }
      draw(old);
      return false;
    },
  });

  // The connection. One stream, while the page is seen; it says only that something has changed.

  const SILENCE_MS = 25_000; // The server says something at least every 10 s.
  const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 10_000];
  const BUSY_MS = 10_000;
  const HIDDEN_MS = 5_000;
  const AFTER_COMMAND_MS = 2_500;
  const words = { begins: "Connecting", live: "Live", lost: "Not connected", out: "Logged out", rests: "Paused", busy: "Every 10 s" };
  let stream = null;
  let failures = 0;
  let heard = Date.now();
  let retry = 0;
  let silence = 0;
  let hiding = 0;

  function state(now) {
    if (body.dataset.connection === now && byId("connection").textContent) return;
    body.dataset.connection = now;
    byId("connection").textContent = words[now];
    if (now !== "lost" && now !== "out") {
      byId("banner").textContent = "";
      byId("mend").replaceChildren();
      return;
    }
    const mend = document.createElement(now === "lost" ? "button" : "a");
    mend.className = "button";
    const asOf = new Date(heard).toLocaleTimeString([], { hourCycle: "h23" });
    if (now === "lost") {
      byId("banner").textContent = `Connection to orgpipe lost. What is shown is as of ${asOf}. It is tried again by itself.`;
      mend.type = "button";
      mend.textContent = "Try now";
      mend.addEventListener("click", connect);
    } else {
      byId("banner").textContent = `You are logged out. What is shown is as of ${asOf}.`;
      mend.href = "/login";
      mend.textContent = "Log in";
    }
    byId("mend").replaceChildren(mend);
  }

  function close() {
    stream?.close();
    stream = null;
    clearTimeout(retry);
    clearTimeout(silence);
  }

  function again(after) {
    close();
    retry = setTimeout(connect, after);
  }

  function lost() {
    if (body.dataset.connection === "out") return;
    state("lost");
    again(WAITS_MS[Math.min(failures++, WAITS_MS.length - 1)]);
  }

  function alive() {
    heard = Date.now();
    failures = 0;
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE_MS);
  }

  // A page that is not live is loaded again, once there was time to read what came of the command.
  const refresh = () => {
    if (document.querySelector("[data-live]")) htmx.trigger(body, "live");
    else setTimeout(() => location.reload(), 1_500);
  };
  // After a search the element has another address, which htmx would learn only a moment after it was drawn.
  body.addEventListener("htmx:configRequest", ({ detail }) => {
    if (detail.elt.hasAttribute("data-live")) detail.path = detail.elt.getAttribute("hx-get");
    // A command may wait for its turn at an org; what is only shown may not.
    if (detail.verb !== "get") detail.timeout = 330_000;
  });

  function connect() {
    close();
    const opened = new EventSource(body.dataset.watch);
    stream = opened;
    opened.addEventListener("hello", (event) => {
      // Another version was started: its pages and files belong together.
      if (body.dataset.build && event.data !== body.dataset.build) return location.reload();
      alive();
      state("live");
      // What has changed since the page was drawn, or since the stream ended.
      refresh();
    });
    opened.addEventListener("changed", () => { alive(); refresh(); });
    opened.addEventListener("beat", () => { alive(); refresh(); });
    opened.addEventListener("out", () => { close(); state("out"); });
    opened.addEventListener("error", () => {
      if (stream !== opened) return;
      const refused = opened.readyState === EventSource.CLOSED;
      close();
      if (refused) ask(); else lost();
    });
  }

  // Why there is no stream: only the status of an answer says it.
  async function ask() {
    const leave = new AbortController();
    try {
      const answer = await fetch(body.dataset.watch, { headers: { Accept: "text/event-stream" }, signal: leave.signal, cache: "no-store" });
      leave.abort();
      if (answer.status === 401 || answer.status === 403) return state("out");
      if (answer.status === 503) {
        heard = Date.now();
        state("busy");
        refresh();
        return again(BUSY_MS);
      }
    } catch { /* nobody answers */ }
    lost();
  }

  addEventListener("offline", lost);
  addEventListener("online", connect);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (!document.hidden) {
      if (!stream && body.dataset.connection !== "out") connect();
      return;
    }
    hiding = setTimeout(() => {
      if (body.dataset.connection === "out") return;
      close();
      state("rests");
    }, HIDDEN_MS);
  });
  if (document.querySelector("[data-live]")) connect(); else byId("connection").hidden = true;

  // Commands: what came of each is said in words, whatever it was.

  function say(text, kind) {
    const told = document.createElement("p");
    told.className = kind;
    told.textContent = text;
    byId("said").append(told);
    setTimeout(() => told.remove(), kind === "bad" ? 15_000 : 6_000);
  }

  body.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr, successful, requestConfig } = event.detail;
    if (xhr.status === 401) return state("out");
    if (requestConfig.verb === "get") {
      if (xhr.status >= 400) say(`This could not be shown: the answer was ${xhr.status}.`, "bad");
      return;
    }
    const teller = elt.closest("[data-said]");
    if (successful) {
      if (teller) say(teller.dataset.said, "done");
      refresh();
      // What came and went between two looks of the server is not told as a change, and may be what was just drawn.
      setTimeout(refresh, AFTER_COMMAND_MS);
      return;
    }
    if (!xhr.status) return say("No answer came: it is not known whether this was done. Look before you do it again.", "bad");
    let told = {};
    try { told = JSON.parse(xhr.responseText); } catch { /* no JSON */ }
    say(`Not done: ${told.error ?? `the answer was ${xhr.status}`}. ${told.hint ?? ""}`, "bad");
  });
  body.addEventListener("htmx:sendError", (event) => {
    if (event.detail.requestConfig.verb === "get") lost();
  });

  // A question before something that cannot be taken back: `hx-confirm` of a form, or `data-ask` of the button that sends it.
  body.addEventListener("htmx:confirm", (event) => {
    const button = event.detail.triggeringEvent?.submitter;
    const question = event.detail.question || button?.dataset.ask;
    if (!question) return;
    event.preventDefault();
    const dialog = byId("ask");
    byId("question").textContent = question;
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes") return;
      // htmx sends the name of the button that has the focus.
      button?.focus();
      event.detail.issueRequest(true);
    }, { once: true });
    dialog.showModal();
  });

  // Ages of moments.

  function age(at) {
    const secs = Math.max(0, Math.floor((Date.now() - at) / 1_000));
    if (secs < 2) return "now";
    if (secs < 60) return `${secs} s ago`;
    if (secs < 3_600) return `${Math.floor(secs / 60)} min ago`;
    if (secs < 86_400) return `${Math.floor(secs / 3_600)} h ago`;
    return `${Math.floor(secs / 86_400)} d ago`;
  }

  setInterval(() => {
    if (document.hidden || ["lost", "out", "rests"].includes(body.dataset.connection)) return;
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = age(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }, 1_000);

  // The theme: the system's, or one of both.

  const theme = byId("theme");
  const themes = ["system", "light", "dark"];
  const chosen = () => document.documentElement.dataset.theme ?? "system";
  const themeNames = { system: "Auto", light: "Light", dark: "Dark" };
  const label = () => {
    const wide = document.createElement("span");
    wide.className = "wide";
    wide.textContent = "Theme: ";
    theme.replaceChildren(wide, themeNames[chosen()]);
    theme.setAttribute("aria-label", `Theme: ${themeNames[chosen()]}`);
    theme.title = theme.getAttribute("aria-label");
  };
  theme.hidden = false;
  label();
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(chosen()) + 1) % themes.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try { localStorage.setItem("orgpipe-theme", next); } catch { /* it lasts as long as this page */ }
    label();
    charts();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", charts);

  // Charts. `data-chart` has, as JSON: `unit` (count, rate, ms, share or bytes), `xs` in seconds since 1970, and `series`, each with
  // `name` and `ys` (null where nothing is known).

  const drawn = new WeakMap();
  const short = (n) => {
    if (n === null || n === undefined) return "–";
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (Math.abs(n) >= size) return `${+(n / (unit === "k" ? 1e3 : size)).toPrecision(3)}${unit}`;
    }
    return `${+n.toPrecision(4)}`;
  };
  const units = {
    count: short,
    rate: (n) => (n === null ? "–" : `${short(n)}/s`),
    ms: (n) => (n === null ? "–" : n < 1_000 ? `${short(n)} ms` : n < 120_000 ? `${short(n / 1_000)} s` : `${short(n / 60_000)} min`),
    share: (n) => (n === null ? "–" : `${short(n * 100)} %`),
    bytes: (n) => (n === null ? "–" : `${short(n)}B`),
  };

  // The time of day, and the date where days are apart.
  function moment(at, step) {
    const date = new Date(at * 1_000);
    const two = (n) => String(n).padStart(2, "0");
    const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    if (step >= 86_400) return day.slice(5);
    const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return time === "00:00" ? day.slice(5) : time;
  }

  function colour(name) {
    const probe = document.createElement("i");
    probe.className = "hidden";
    body.append(probe);
    probe.style.color = `var(${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  // Where a number has none beside it no line is drawn, only a point.
  const alone = (ys) => ys.flatMap((y, at) => (y != null && ys[at - 1] == null && ys[at + 1] == null ? [at] : []));

  function draw(box) {
    if (typeof uPlot === "undefined") return;
    const { unit, xs, series } = JSON.parse(box.dataset.chart);
    const data = [xs, ...series.map((one) => one.ys)];
    const had = drawn.get(box);
    const key = JSON.stringify([unit, series.map((one) => one.name), chosen(), colour("--text")]);
    if (had && had.key === key && box.contains(had.plot.root)) return had.plot.setData(data);
    had?.plot.destroy();
    box.replaceChildren();
    const told = units[unit] ?? short;
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui" };
    const plot = new uPlot({
      width: Math.max(160, box.clientWidth),
      height: Number(box.dataset.height ?? 180),
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, min, max) => [Math.min(0, min ?? 0), max > 0 ? max * 1.08 : 1] } },
      axes: [{ ...axis, values: (_, ticks, __, ___, step) => ticks.map((at) => moment(at, step)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map(told) }],
      series: [{ value: (_, at) => (at === null ? "–" : new Date(at * 1_000).toLocaleString([], { hourCycle: "h23" })) },
        ...series.map((one, n) => ({
          label: one.name,
          stroke: colour(`--series-${(n % 4) + 1}`),
          width: 1.5,
          dash: [[], [6, 3], [2, 3], [8, 3, 2, 3]][n % 4],
          points: { show: true, size: 5, filter: (plot, at) => alone(plot.data[at]) },
          value: (_, y) => told(y),
        }))],
    }, data, box);
    drawn.set(box, { plot, key });
    sizes.observe(box);
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const had = drawn.get(target);
      const width = Math.max(160, target.clientWidth);
      if (had && had.plot.width !== width) had.plot.setSize({ width, height: had.plot.height });
    }
  });

  function charts() { document.querySelectorAll("[data-chart]").forEach(draw); }
  charts();
  body.addEventListener("htmx:afterSettle", charts);
})();

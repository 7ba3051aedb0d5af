// Keeps the page up to date: listens to what happens, and fetches the server's own rendering of it, at most once in 700 ms.
const main = document.querySelector("main[data-fragment]");
const light = document.querySelector("[data-live]");
const PAUSE_MS = 700;
const AGAIN_MS = 3000;
// What is shown follows the log by a moment: after the last event the page looks again, ever more seldom.
const LATER_MS = [1000, 2000, 4000, 8000, 16000];
let fetching = false, again = false, away = false, since = null, later = [];

function show(text, on) {
  light.textContent = text;
  light.classList.toggle("on", on);
}

// What is on the screen stays there while a store is away; the line says of when it is.
function stale(when = new Date()) {
  since ??= when;
  show(`data as of ${since.toLocaleTimeString("en-GB")}, trying again`, false);
}

function current() {
  since = null;
  show("live", true);
}

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(main.dataset.fragment, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      replace(await answer.text());
      if (!away) current();
    } else if (answer.status === 503) {
      stale();
      setTimeout(refresh, AGAIN_MS);
    }
  } catch { /* the stream says that we are not live; the next event tries again */ }
  setTimeout(() => { fetching = false; if (again) { again = false; refresh(); } }, PAUSE_MS);
}

function heard() {
  later.forEach(clearTimeout);
  later = LATER_MS.map(pause => setTimeout(refresh, pause));
  refresh();
}

// Only sections that changed are exchanged: what somebody reads, has opened, selected or focused elsewhere stays as it is.
function replace(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  keepOpen(main, fresh.content);
  const [now, next] = [main, fresh.content].map(parent => [...parent.children]);
  if (now.map(one => one.id).join() !== next.map(one => one.id).join()) return exchange(main, () => main.replaceChildren(...next));
  now.forEach((old, place) => {
    if (!old.isEqualNode(next[place])) exchange(old, () => old.replaceWith(next[place]));
  });
}

function keepOpen(old, fresh) {
  const name = one => `${one.closest("section")?.id} ${one.querySelector("summary")?.textContent}`;
  const opened = new Set([...old.querySelectorAll("details[open]")].map(name));
  fresh.querySelectorAll("details").forEach(one => { one.open = opened.has(name(one)); });
}

// The focused link stays focused, and no text that somebody has selected is taken away.
function exchange(part, act) {
  const selection = document.getSelection();
  if (!selection.isCollapsed && part.contains(selection.anchorNode)) { again = true; return; }
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  act();
  if (focused) main.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

if (main?.dataset.fragment) {
  const stream = new EventSource(main.dataset.stream);
  stream.onopen = () => { away = false; refresh(); };
  stream.onerror = () => stale();
  stream.addEventListener("away", event => { away = true; stale(new Date(JSON.parse(event.data).since_us / 1000)); });
  stream.addEventListener("back", () => { away = false; refresh(); });
  for (const kind of ["EvaluationRequested", "RunChanged", "JobChanged", "RunProgressed", "RunScored", "PerformanceSummarised", "CostSummarised", "RankingChanged", "RunDelayed", "DeadLettered"])
    stream.addEventListener(kind, heard);
  if (main.dataset.everyS) setInterval(refresh, 1000 * main.dataset.everyS);
}

// A form of sliders is reckoned by the server as soon as one is let go; all behind it is exchanged, and the address follows.
for (const form of document.querySelectorAll("form[data-moves]")) {
  const own = form.closest("section");
  const behind = root => [...root.querySelectorAll("main > section")].filter((one, place, all) => place > all.findIndex(each => each.id === own.id));
  form.addEventListener("input", ({ target }) => { target.parentElement.querySelector("output").value = target.value; });
  form.addEventListener("change", async () => {
    const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || address !== `${form.action}?${new URLSearchParams(new FormData(form))}`) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    keepOpen(main, next);
    behind(document).forEach(one => one.remove());
    main.append(...behind(next));
    document.querySelector("#ask").replaceWith(next.querySelector("#ask"));
    history.replaceState(null, "", address);
  });
}

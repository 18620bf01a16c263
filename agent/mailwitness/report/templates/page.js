"use strict";
// The page is whole without this: it filters, sorts, copies, and keeps its state in the address.
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // A reader who printed or follows a link wants what is folded.
  const folded = [];
  addEventListener("beforeprint", () => {
    all("details:not([open])").forEach((each) => { each.open = true; folded.push(each); });
  });
  addEventListener("afterprint", () => { folded.splice(0).forEach((each) => { each.open = false; }); });

  const theme = one("#theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const named = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  try { root.dataset.theme = localStorage.getItem("mailwitness-theme") || ""; } catch { /* not kept */ }
  if (!root.dataset.theme) delete root.dataset.theme;
  named();
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("mailwitness-theme", root.dataset.theme); } catch { /* not kept */ }
    named();
  });

  const said = one("#said");
  const copied = async (button) => {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without the permission, as for files in some browsers: by way of a selection.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = "Copied";
    said.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy");
    if (button) copied(button);
  });

  const tools = one("#tools");
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let each = target; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
      // A link to a host that the filter hides shows the host all the same.
      if (each.hidden) each.hidden = false;
    }
    target.scrollIntoView();
    // What was never drawn has a size only now.
    requestAnimationFrame(() => target.scrollIntoView());
  };
  if (!tools) { addEventListener("hashchange", reveal); reveal(); return; }

  const box = one("#q"), need = one("#need"), answer = one("#answer"), sort = one("#sort"), count = one("#count");
  const body = one(".hosts tbody");
  const hosts = all(".hosts tbody tr").map((row, place) => ({
    row, place, name: row.dataset.name, text: row.dataset.text.toLowerCase(),
    need: row.dataset.need, answers: row.dataset.answers.split(" "), checks: row.dataset.checks.split(" "),
    parts: [row], shown: true,
  }));
  const byId = new Map(hosts.map((host) => [host.row.dataset.id, host]));
  all("[data-of]").forEach((part) => byId.get(part.dataset.of).parts.push(part));
  const heads = all(".heat button[data-check]");
  const heat = one(".heat tbody");
  let check = "";

  const orders = {
    worst: (a, b) => a.place - b.place,
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
    eligible: (a, b) => Number(a.row.dataset.rank) - Number(b.row.dataset.rank) || a.place - b.place,
  };
  let sorted = "worst";
  const apply = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const host of hosts) {
      const shown = (!need.value || host.need === need.value)
        && (!answer.value || host.answers.includes(answer.value))
        && (!check || host.checks.includes(check))
        && words.every((word) => host.text.includes(word));
      found += shown;
      if (shown !== host.shown) {
        host.shown = shown;
        host.parts.forEach((part) => { part.hidden = !shown; });
      }
    }
    if (sort.value !== sorted) {
      sorted = sort.value;
      const ordered = hosts.toSorted(orders[sorted]);
      body.append(...ordered.map((host) => host.row));
      if (heat) heat.append(...ordered.map((host) => host.parts[1]));
    }
    heads.forEach((head) => head.setAttribute("aria-pressed", String(head.dataset.check === check)));
    count.textContent = found === hosts.length ? `${found} hosts` : `${found} of ${hosts.length} hosts`;
    one("#nobody").hidden = found > 0;
  };
  const keep = () => {
    const state = new URLSearchParams();
    if (box.value) state.set("q", box.value);
    if (need.value) state.set("need", need.value);
    if (answer.value) state.set("answer", answer.value);
    if (check) state.set("check", check);
    if (sort.value !== "worst") state.set("sort", sort.value);
    const text = String(state);
    history.replaceState(null, "", text ? `#?${text}` : location.pathname + location.search);
  };
  const chosen = (select, value) => {
    select.value = value || select.options[0].value;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  };
  const restore = () => {
    if (location.hash && !location.hash.startsWith("#?")) { reveal(); return; }
    const state = new URLSearchParams(location.hash.slice(2));
    box.value = state.get("q") || "";
    chosen(need, state.get("need"));
    chosen(answer, state.get("answer"));
    chosen(sort, state.get("sort"));
    check = state.get("check") || "";
    apply();
  };
  const changed = () => { apply(); keep(); };
  box.addEventListener("input", changed);
  [need, answer, sort].forEach((select) => select.addEventListener("change", changed));
  heads.forEach((head) => head.addEventListener("click", () => {
    check = check === head.dataset.check ? "" : head.dataset.check;
    changed();
  }));
  one("#reset").addEventListener("click", () => {
    box.value = ""; check = "";
    [need, answer, sort].forEach((select) => { select.selectedIndex = 0; });
    changed();
    box.focus();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && event.target === box) {
      box.value = "";
      changed();
    }
  });
  addEventListener("hashchange", restore);
  apply();
  if (location.hash) restore();
})();

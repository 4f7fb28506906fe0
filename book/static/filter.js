// A box that shows, of a page's entries, those that hold every word that is typed into it; an empty one shows all.
// Entries: a glossary's terms with their definitions, the sources' statements, the rows of the models' table. A section
// all of whose entries are hidden is hidden with them. Escape empties the box. A link to a hidden entry shows all again.
(function () {
  "use strict";
  const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const entries = () => [
    ...[...document.querySelectorAll("dl.glossary > dt")].map(dt => [dt, dt.nextElementSibling]),
    ...[...document.querySelectorAll(".rb-source, .rb-model-index tbody tr")].map(one => [one]),
  ].map(parts => ({parts, words: plain(parts.map(part => part.textContent).join(" "))}));

  const start = box => {
    const all = entries();
    const input = document.createElement("input"), told = document.createElement("output");
    const label = document.createElement("label");
    input.type = "search";
    input.autocomplete = "off";
    input.spellcheck = false;
    label.append(box.dataset.label, " ", input);
    told.setAttribute("aria-live", "polite");
    box.append(label, told);
    const look = () => {
      const wanted = plain(input.value).split(/\s+/).filter(Boolean);
      let count = 0;
      for (const {parts, words} of all) {
        const seen = wanted.every(word => words.includes(word));
        count += seen;
        for (const part of parts) part.hidden = !seen;
      }
      for (const section of document.querySelectorAll(".rb-sources-document")) {
        section.hidden = wanted.length > 0 && !section.querySelector(".rb-source:not([hidden])");
      }
      told.textContent = wanted.length ? `${count} of ${all.length}` : "";
    };
    const clear = () => {
      input.value = "";
      look();
    };
    input.addEventListener("input", look);
    input.addEventListener("keydown", event => event.key === "Escape" && clear());
    document.addEventListener("click", event => {
      const link = event.target.closest("a[href^='#']");
      const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (target && (target.hidden || target.closest("[hidden]"))) clear();
    }, true);
  };
  document.querySelectorAll(".rb-filter").forEach(start);
})();

// What a link leads to, shown beside it while the mouse or the keyboard's focus is on it: a term's definition, a cited
// paper, an equation. Escape closes it. By touch the first tap shows it, with a link on; a second tap on the same words
// follows them, and a tap elsewhere closes it. Without this file a link is just a link.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const WIDE = window.matchMedia("(min-width: 768px)");
  const store = document.querySelector("template.rb-previews");
  const known = new Map();
  if (store) {
    for (const part of store.content.querySelectorAll("[data-for]")) known.set(part.dataset.for, part.innerHTML);
  }
  const article = document.querySelector("article.bd-article");
  if (!article) return;
  const tip = document.createElement("div");
  tip.id = "rb-preview";
  tip.className = "rb-preview";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  article.append(tip);
  let shown = null, tapped = false, timer = 0;

  const fill = link => {
    const cited = link.closest(".bibtex-citation") && link.title;
    if (cited) {
      link.dataset.preview = link.title; // else the browser would show it, too
      link.removeAttribute("title");
    }
    if (link.dataset.preview) tip.textContent = link.dataset.preview;
    else tip.innerHTML = known.get(link.getAttribute("href"));
  };
  const place = link => {
    const line = link.getClientRects()[0], frame = article.getBoundingClientRect();
    const above = line.top > tip.offsetHeight + 16 && line.bottom + tip.offsetHeight + 16 > window.innerHeight;
    const left = Math.min(line.left, frame.right - tip.offsetWidth) - frame.left;
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${(above ? line.top - tip.offsetHeight - 6 : line.bottom + 6) - frame.top}px`;
  };
  const hide = () => {
    clearTimeout(timer);
    if (!shown) return;
    shown.removeAttribute("aria-describedby");
    shown = null;
    tapped = false;
    tip.hidden = true;
    tip.setAttribute("role", "tooltip");
  };
  const show = (link, byTouch = false) => {
    hide();
    if (!WIDE.matches && !byTouch) return;
    fill(link);
    if (byTouch) {
      tapped = true;
      tip.setAttribute("role", "note");
      const on = document.createElement("a");
      on.className = "rb-preview-on";
      on.href = link.getAttribute("href");
      on.textContent = on.href.includes("glossary.html#") ? "Open in the glossary" : "Go there";
      tip.append(on);
    }
    tip.hidden = false;
    link.setAttribute("aria-describedby", tip.id);
    shown = link;
    place(link);
    if (tip.querySelector(".math") && window.MathJax && window.MathJax.typesetPromise) {
      window.MathJax.typesetPromise([tip]).then(() => shown === link && place(link));
    }
  };
  const later = (act, wait) => {
    clearTimeout(timer);
    timer = setTimeout(act, wait);
  };
  const has = link => link && (known.has(link.getAttribute("href")) || link.dataset.preview
    || (link.title && link.closest(".bibtex-citation")));
  article.addEventListener("pointerover", event => {
    if (event.pointerType === "touch") return;
    if (tip.contains(event.target)) return clearTimeout(timer);
    const link = event.target.closest("a");
    if (has(link)) later(() => show(link), link === shown ? 0 : 250);
    else later(hide, 250);
  });
  article.addEventListener("pointerleave", event => event.pointerType === "touch" || later(hide, 250));
  article.addEventListener("click", event => {
    const link = event.target.closest("a");
    if (event.pointerType !== "touch" || !has(link) || link === shown || tip.contains(link)) return;
    event.preventDefault();
    show(link, true);
  });
  document.addEventListener("pointerdown", ({target}) => {
    if (tapped && !tip.contains(target) && !shown.contains(target)) hide();
  });
  article.addEventListener("focusin", ({target}) => has(target) && target.matches("a:focus-visible") && show(target));
  article.addEventListener("focusout", () => tapped || hide());
  document.addEventListener("keydown", event => event.key === "Escape" && hide());
});

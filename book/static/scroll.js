// Boxes that scroll sideways can be reached and scrolled by keyboard. The theme sees to tables and code; these are ours.
(function () {
  "use strict";
  const BOXES = ".bd-article div.math, .bd-article mjx-container[display='true'], .rb-scoreboard-plot > div, .rb-diagram";
  // A formula in a line that is longer than the line. MathJax keeps a copy for screen readers beside each, so that the
  // box's own measures say nothing.
  const markLong = () => {
    for (const box of document.querySelectorAll(".bd-article span.math")) {
      const formula = box.querySelector("mjx-math");
      const long = formula && formula.getBoundingClientRect().width > box.getBoundingClientRect().width + 1;
      if (!long && !box.matches(".rb-long")) continue;
      box.classList.toggle("rb-long", long);
      long ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex");
    }
  };
  const mark = () => {
    markLong();
    for (const box of document.querySelectorAll(BOXES)) {
      if (box.scrollWidth > box.clientWidth) {
        box.setAttribute("tabindex", "0");
      } else if (!box.matches("mjx-container")) {
        box.removeAttribute("tabindex");
      }
    }
  };
  window.addEventListener("load", () => {
    const set = window.MathJax && window.MathJax.startup ? window.MathJax.startup.promise : null;
    Promise.resolve(set).then(mark);
  });
  window.addEventListener("resize", mark);
})();

// Boxes that scroll sideways can be reached and scrolled by keyboard. The theme sees to tables and code; these are ours.
(function () {
  "use strict";
  const BOXES = ".bd-article div.math, .bd-article mjx-container[display='true'], .rb-scoreboard-plot > div";
  const mark = () => {
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

// Leaves one framework out where the address asks for it, sets formulas, makes every slide fit, then starts the show.
(async () => {
  const WIDTH = 1280, HEIGHT = 720, SMALLEST = 0.6;
  const wanted = new URLSearchParams(location.search).get('framework');
  if (['torch', 'keras'].includes(wanted)) {
    document.querySelectorAll('section[data-framework]').forEach((slide) => {
      if (slide.dataset.framework !== wanted) slide.remove();
    });
    document.querySelectorAll('.slides > section:empty').forEach((slide) => slide.remove());
  }
  await MathJax.startup.promise;
  document.documentElement.classList.add('measuring');  // all slides laid out, none shown
  const leaves = [...document.querySelectorAll('.slides section')].filter((slide) => !slide.querySelector('section'));
  for (const slide of leaves) {
    let size = 1;
    const over = () => slide.scrollHeight > HEIGHT || slide.scrollWidth > WIDTH
      || [...slide.querySelectorAll('pre, table, mjx-container')].some((part) => {
        const holder = part.closest('li, p, td, .alert, section');
        return part.scrollWidth > part.clientWidth + 1 || part.getBoundingClientRect().right > WIDTH - 40;
      });
    while (over() && size > SMALLEST) slide.style.setProperty('--fit', size -= 0.05);
    slide.dataset.fit = size.toFixed(2);
    slide.dataset.over = over();
  }
  document.documentElement.classList.remove('measuring');
  await Reveal.initialize({
    width: WIDTH, height: HEIGHT, margin: 0.02, center: false, hash: true, slideNumber: 'c/t', transition: 'none',
    plugins: [RevealNotes],
  });
  document.documentElement.dataset.ready = 'true';
})();

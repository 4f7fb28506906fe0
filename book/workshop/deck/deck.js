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
  document.querySelectorAll('td').forEach((cell) => {
    cell.classList.toggle('number', /^[\s–+−-]*[\d.,]*[\d%–]?[\s%]*(±.*)?$/.test(cell.textContent));
  });
  document.querySelectorAll('table').forEach((table) => {
    const body = table.tBodies[0]?.rows[0]?.cells ?? [];
    [...(table.tHead?.rows ?? [])].forEach((row) => [...row.cells].forEach((cell, i) => {
      row.style.textAlign = '';
      cell.classList.toggle('number', row.cells.length === body.length && body[i].classList.contains('number'));
    }));
  });
  await MathJax.startup.promise;
  document.documentElement.classList.add('measuring');  // all slides laid out, none shown
  const leaves = [...document.querySelectorAll('.slides section')].filter((slide) => !slide.querySelector('section'));
  for (const slide of leaves) {
    let size = 1;
    const parts = [...slide.querySelectorAll('pre, table, mjx-container, img')];
    const left = slide.getBoundingClientRect().left;
    const over = () => slide.getBoundingClientRect().height > HEIGHT
      || parts.some((part) => part.getBoundingClientRect().right - left > WIDTH - 40
        || part.scrollWidth > part.clientWidth + 1 && part.tagName === 'PRE');
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

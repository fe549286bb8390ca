// Keeps the numbers of an open page fresh. Without it the page still works: reload to see what is new.
(() => {
  const state = document.getElementById("live");
  const group = n => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  let source, version, pending = false, again = false;

  function show({ numbers }) {
    for (const element of document.querySelectorAll("[data-live]")) {
      const value = numbers[element.dataset.live];
      if (value === undefined || element.textContent === group(value)) continue;
      element.textContent = group(value);
      element.classList.toggle("zero", value === 0);
      element.classList.remove("changed");
      void element.offsetWidth; // restarts the animation
      element.classList.add("changed");
    }
  }

  // Lists and timelines are fetched again as they would be on a reload, unless somebody is using them.
  async function refresh() {
    if (pending) { again = true; return; }
    pending = true;
    try {
      const answer = await fetch(location.href);
      if (answer.ok) {
        // Only what can change: the head's style has another nonce than this page. Data is escaped, so it cannot hold a tag.
        const text = await answer.text();
        const main = text.slice(text.indexOf("<main>"), text.indexOf("</main>"));
        const page = new DOMParser().parseFromString(main, "text/html");
        for (const part of document.querySelectorAll("[data-fresh]")) {
          const next = page.getElementById(part.id);
          const inUse = part.contains(document.activeElement) || part.querySelector("details[open], input:checked");
          if (next && !inUse && next.innerHTML !== part.innerHTML) part.replaceChildren(...next.childNodes);
        }
      }
    } catch { /* the next event tries again */ }
    setTimeout(() => { pending = false; if (again) { again = false; refresh(); } }, 1000);
  }

  function open() {
    source = new EventSource("/events?of=" + encodeURIComponent(document.body.dataset.follows));
    source.onmessage = event => {
      const news = JSON.parse(event.data);
      state.textContent = "Live";
      show(news);
      // The first time, too: something may have happened since the page was made.
      if (version !== news.version) refresh();
      version = news.version;
    };
    source.onerror = () => { state.textContent = source.readyState === 2 ? "Not live: reload to see what is new" : "Reconnecting…"; };
  }
  function close() { source.close(); source = undefined; }

  // A browser allows six connections to one host: a hidden page gives its own back.
  document.addEventListener("visibilitychange", () => document.hidden ? source && close() : source || open());
  if (!document.hidden) open();
})();

// What the page does beside drawing: its language, its print-out, the way to the newest reply, and the clearing of the
// screen when nobody is there. Touching, typing, scrolling and speaking keys count as being there.
const ACTIVE = ["pointerdown", "pointermove", "keydown", "input", "wheel", "touchstart"];

export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const root = document.documentElement;
  root.lang = data.lang;
  root.dataset.display = data.display;
  root.dataset.large = data.large ? "yes" : "no";
  const box = parentElement.querySelector(".idle");
  const words = box.querySelector(".words");
  const stay = box.querySelector("button");
  stay.textContent = data.still_here;

  const state = (window.__daozhen ??= { seen: Date.now(), visitor: null, newest: null });
  if (state.visitor !== data.visitor) {
    Object.assign(state, { seen: Date.now(), visitor: data.visitor, newest: null, told: false });
  }
  if (data.newest !== null && state.newest !== data.newest) {
    state.newest = data.newest;
    requestAnimationFrame(() => {
      const said = document.getElementById(`said-${data.newest}`);
      if (!said) return;
      said.scrollIntoView({ block: "start" });
      said.focus({ preventScroll: true });
    });
  }

  const here = (event) => {
    if (event && event.type === "pointermove" && !box.hidden) return; // so that the button stays where it is aimed at
    state.seen = Date.now();
    box.hidden = true;
  };
  const look = () => {
    const left = Math.ceil(data.idle_seconds - (Date.now() - state.seen) / 1000);
    if (!data.has_words && !hasDraft()) return here();
    if (left > data.warn_seconds) {
      box.hidden = true;
    } else if (left > 0) {
      const begins = box.hidden;
      box.hidden = false;
      words.textContent = data.idle.replace("{seconds}", left);
      if (begins || left % 15 === 0) box.querySelector(".told").textContent = words.textContent;
    } else if (!state.told) {
      state.told = true;
      box.hidden = true;
      setTriggerValue("idle", data.visitor);
    }
  };
  const hasDraft = () => [...document.querySelectorAll("textarea")].some((area) => area.value.trim());
  ACTIVE.forEach((name) => document.addEventListener(name, here, { passive: true, capture: true }));
  stay.onclick = () => here();
  const timer = setInterval(look, 500);
  look();
  return () => {
    clearInterval(timer);
    ACTIVE.forEach((name) => document.removeEventListener(name, here, { capture: true }));
  };
}

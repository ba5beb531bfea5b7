// Draws the figure it is given; a tap, Enter or Space on a part is told to the page; arrow keys move between parts.
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const frame = parentElement.querySelector(".frame");
  const before = frame.querySelector(":focus");
  const focused = before && before.dataset.place;
  frame.innerHTML = data.svg;
  const parts = [...frame.querySelectorAll("[data-place]")];
  const focus = (part) => {
    parts.forEach((other) => other.setAttribute("tabindex", other === part ? "0" : "-1"));
    part.focus();
  };
  const kept = focused && parts.find((part) => part.dataset.place === focused);
  if (kept) focus(kept);
  parts.forEach((part, place) => {
    part.onclick = () => setTriggerValue("tapped", part.dataset.place);
    part.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) focus(parts[(place + step + parts.length) % parts.length]);
      else if (event.key === "Enter" || event.key === " ") setTriggerValue("tapped", part.dataset.place);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
  });
}

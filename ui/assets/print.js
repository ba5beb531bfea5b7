// Prints the card alone, from a frame nobody sees.
export default function (component) {
  const { data, parentElement } = component;
  const button = parentElement.querySelector("button");
  button.textContent = data.label;
  button.onclick = () => {
    const frame = document.createElement("iframe");
    frame.style.cssText = "position:fixed;width:0;height:0;border:0";
    frame.setAttribute("aria-hidden", "true");
    frame.srcdoc = data.page;
    frame.onload = () => {
      frame.contentWindow.onafterprint = () => frame.remove();
      frame.contentWindow.print();
    };
    document.body.appendChild(frame);
  };
}

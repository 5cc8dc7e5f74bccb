// In narrow windows the side columns are drawers: a button opens one, Escape and a click beside it
// close it.

const OPEN = "drawer-open";

/** Makes `panel` a drawer of `button`. Returns what closes it. */
export function drawer(button, panel) {
  const set = (open) => {
    panel.classList.toggle(OPEN, open);
    button.setAttribute("aria-expanded", String(open));
  };
  const close = () => {
    if (!panel.classList.contains(OPEN)) return;
    set(false);
    button.focus();
  };
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    set(true);
    panel.querySelector("[data-close]").focus();
  });
  panel.querySelector("[data-close]").addEventListener("click", close);
  document.addEventListener("keydown", ({ key }) => key === "Escape" && close());
  document.addEventListener("click", ({ target }) => panel.contains(target) || close());
  return () => set(false);
}

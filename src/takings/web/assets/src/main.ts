/** What every page runs: htmx, menus, dialogs, small helpers of forms, and the islands the page has. */
import "htmx.org";
import "htmx.org/dist/ext/hx-sse.js";
import "./styles/main.css";
import "./icon.svg?url";
import { defineCopy } from "./islands/copy";
import { fillFromFragment } from "./islands/fragment";
import { guessZone } from "./islands/zone";
import { watchMenus } from "./islands/menus";

defineCopy();
watchMenus();

function enliven(root: ParentNode): void {
  if (root.querySelector("takings-chart")) void import("./islands/chart");
  root.querySelectorAll<HTMLSelectElement>("select[data-guess-zone]").forEach(guessZone);
  root.querySelectorAll<HTMLInputElement>("input[data-from-fragment]").forEach(fillFromFragment);
}

document.addEventListener("change", (event) => {
  // A choice that acts at once: <select data-submit>. Without scripts its form has a button.
  const target = event.target;
  if (target instanceof HTMLElement && target.matches("[data-submit]")) target.closest("form")?.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  // <textarea data-run>: Ctrl + Enter (on a Mac ⌘ + Enter) sends its form, as its first button does.
  const target = event.target;
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  if (target instanceof HTMLTextAreaElement && target.hasAttribute("data-run")) target.form?.requestSubmit();
});

document.addEventListener("click", (event) => {
  // <button type="button" data-dialog="id"> opens the <dialog id="id">; data-close closes the one it lies in.
  const target = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-dialog],[data-close]") : null;
  if (!target) return;
  const id = target.dataset["dialog"];
  const dialog = id ? document.getElementById(id) : target.closest("dialog");
  if (!(dialog instanceof HTMLDialogElement)) return;
  if (id) dialog.showModal();
  else dialog.close();
});

document.addEventListener("submit", (event) => {
  // A form is sent once: its button rests until the answer is there.
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== "post" || form.hasAttribute("data-again")) return;
  const rest = (resting: boolean) =>
    form.querySelectorAll<HTMLButtonElement>("button:not([type=button])").forEach((button) => {
      button.toggleAttribute("data-resting", resting);
      if (resting) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    });
  if (form.hasAttribute("data-sent")) {
    event.preventDefault();
    return;
  }
  form.setAttribute("data-sent", "");
  rest(true);
  const wake = () => {
    form.removeAttribute("data-sent");
    rest(false);
  };
  form.addEventListener("htmx:finally:request", wake, { once: true });
  window.addEventListener("pageshow", wake, { once: true });
});

enliven(document);
document.addEventListener("htmx:after:swap", () => enliven(document));

/** Fills a field from the part of the address after `#`, which is never sent anywhere: `<input data-from-fragment="token">`. */
export function fillFromFragment(input: HTMLInputElement): void {
  const name = input.dataset["fromFragment"];
  const value = name && new URLSearchParams(location.hash.slice(1)).get(name);
  if (!value) return;
  input.value = value;
  history.replaceState(null, "", location.pathname + location.search);
}

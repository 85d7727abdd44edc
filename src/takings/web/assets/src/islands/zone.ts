/** Chooses the browser's own time zone in a list that nobody has touched yet. */
export function guessZone(select: HTMLSelectElement): void {
  select.removeAttribute("data-guess-zone");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === zone)) select.value = zone;
}

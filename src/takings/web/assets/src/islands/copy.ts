/** `<takings-copy from="id" done="Copied">` around a button: copies the text or value of the element with that id. */
class Copy extends HTMLElement {
  connectedCallback(): void {
    this.querySelector("button")?.addEventListener("click", () => void this.copy());
  }

  private async copy(): Promise<void> {
    const source = document.getElementById(this.getAttribute("from") ?? "");
    if (!source) return;
    const text = source instanceof HTMLInputElement ? source.value : (source.textContent ?? "");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Not a secure context: select it, so that one key press copies it.
      if (source instanceof HTMLInputElement) {
        source.focus();
        source.select();
        document.execCommand("copy");
      }
    }
    const said = this.querySelector("[role=status]");
    if (said) said.textContent = this.getAttribute("done") ?? "";
  }
}

export function defineCopy(): void {
  customElements.define("takings-copy", Copy);
}

// @ts-check
/** Elements in one expression. Text is always set as text: nothing of a document is ever read as markup. */

/**
 * @param {string} tag with classes: "div.bar"
 * @param {Record<string, unknown>} [properties] of the element; `style` maps CSS properties to values
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  const { style, ...others } = properties;
  for (const [property, value] of Object.entries(style ?? {})) made.style.setProperty(property, String(value));
  Object.assign(made, others);
  made.append(...children);
  return made;
}

/** @param {number} milliseconds */
export function inMilliseconds(milliseconds) {
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

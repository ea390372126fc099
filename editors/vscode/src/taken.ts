/**
 * How much of a suggestion stands in a document.
 */

/**
 * The characters of `item` that were taken, where `text`, which stands in the document from the item's place to the
 * end of an edit, is a beginning of it; undefined where it is not. The document may end its lines with two characters.
 */
export function takenOf(item: string, text: string): number | undefined {
  const written = text.replaceAll("\r\n", "\n");
  return written !== "" && item.startsWith(written) ? written.length : undefined;
}

// @ts-check
/** Two panes that show the same: whichever has the focus leads, the other follows in text and cursor. */

/** @typedef {import("./pane.js").Pane} Pane */

const FOLLOW_MS = 30; // for changes of text and cursor to come together

/** @param {Pane} one @param {Pane} other @returns {() => void} which ends it */
export function keepAlike(one, other) {
  const ends = [...following(one, other), ...following(other, one)];
  other.open(one.path, one.editor.getValue());
  other.editor.setSelection(one.editor.getSelection());
  for (const { editor } of [one, other]) {
    const end = editor.onDidLayoutChange(() => (end.dispose(), editor.revealPositionInCenter(editor.getPosition())));
  }
  return () => ends.forEach((end) => end.dispose());
}

/** @param {Pane} leader @param {Pane} follower */
function following(leader, follower) {
  const { editor } = leader;
  let timer = 0;
  const follow = () => {
    if (!editor.hasWidgetFocus()) return;
    const now = performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => copyCursor(leader, follower, now), FOLLOW_MS);
  };
  const copyText = (/** @type {any} */ { changes }) => {
    const edits = changes.map((/** @type {any} */ { range, text }) => ({ range, text, forceMoveMarkers: true }));
    if (editor.hasWidgetFocus()) follower.editor.getModel().applyEdits(edits);
    follow();
  };
  const end = { dispose: () => clearTimeout(timer) };
  return [editor.onDidChangeModelContent(copyText), editor.onDidChangeCursorPosition(follow), end];
}

/** The follower is not typed in: it has to be told to suggest. @param {number} since the last key */
function copyCursor(/** @type {Pane} */ leader, /** @type {Pane} */ follower, since) {
  const selection = leader.editor.getSelection();
  follower.editor.setSelection(selection);
  follower.editor.setScrollTop(leader.editor.getScrollTop());
  if (selection.isEmpty()) follower.suggest(since);
}

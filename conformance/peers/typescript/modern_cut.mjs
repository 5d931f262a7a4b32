// What this SDK keeps from the application: it cuts every member it does not know, so a member of an older revision
// that leaks through shows in nothing the application sees. The wire and the result are compared instead.

/** Members the SDK takes for itself, at the top of a result. */
const CONSUMED = new Set(['resultType', 'ttlMs', 'cacheScope', '_meta']);

function walk(sent, shown, path, found) {
  if (Array.isArray(sent)) {
    // Of another length: pages put together, or tools left out; nothing can be matched then.
    if (Array.isArray(shown) && shown.length === sent.length) {
      sent.forEach((item, index) => walk(item, shown[index], path, found));
    }
  } else if (typeof sent === 'object' && sent !== null && typeof shown === 'object' && shown !== null) {
    for (const [name, value] of Object.entries(sent)) {
      const at = [...path, name];
      if (path.length === 0 && CONSUMED.has(name)) continue;
      if (name in shown) walk(value, shown[name], at, found);
      else found.add(at.join('.'));
    }
  }
}

/** Paths like "tools.execution" of the members `sent` has and `shown` has not. */
export function cut(sent, shown) {
  const found = new Set();
  walk(sent, shown, [], found);
  return [...found].sort();
}

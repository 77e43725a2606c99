/**
 * The elements of an XML text in the order in which they open, with their attributes. It throws where the text is not well-formed: tags
 * that do not nest, attributes without quotes or given twice, bare ampersands, unknown entities. (Of XML 1.0, what our own files use.)
 */
export function elements(xml: string): { name: string; attributes: Record<string, string> }[] {
  const found: { name: string; attributes: Record<string, string> }[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[A-Za-z_:][\w:.-]*="[^"<]*")*)\s*(\/?)>/y;
  const text = /[^<&]+|&(?:amp|lt|gt|quot|#39|#\d+);/y;
  for (let at = 0; at < xml.length; ) {
    tag.lastIndex = at;
    text.lastIndex = at;
    const match = tag.exec(xml);
    if (!match) {
      if (!text.test(xml)) throw new Error(`not well-formed at ${at}: ${xml.slice(at, at + 60)}`);
      at = text.lastIndex;
      continue;
    }
    at = tag.lastIndex;
    const [, closing, name = '', written = '', empty] = match;
    if (closing) {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing at ${at}`);
      continue;
    }
    const pairs = [...written.matchAll(/([\w:.-]+)="([^"]*)"/g)].map(([, key, value]) => [key!, value!] as const);
    if (new Set(pairs.map(([key]) => key)).size < pairs.length) throw new Error(`<${name}> has an attribute twice`);
    for (const [, value] of pairs) if (/&(?!(?:amp|lt|gt|quot|#39|#\d+);)/.test(value)) throw new Error(`a bare & in ${value}`);
    found.push({ name, attributes: Object.fromEntries(pairs) });
    if (!empty) open.push(name);
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`);
  return found;
}

/** The bytes of a .wasm file as base64 text, put in by the build (scripts/inline.ts). */
declare module 'wasm:*' {
  const base64: string;
  export default base64;
}
/** An AssemblyScript module compiled by the build, as base64 text. */
declare module '*?wasm' {
  const base64: string;
  export default base64;
}
/** A TypeScript module and its imports, bundled by the build, as the text of a script. */
declare module '*?script' {
  const text: string;
  export default text;
}

/** The bytes of a file as base64 text, put in by the build (scripts/inline.ts). */
declare module '*?base64' {
  const base64: string;
  export default base64;
}

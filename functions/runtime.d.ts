/** WebAssembly as an import: a compiled module on Workers, the bytes where esbuild inlines them. */
declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}

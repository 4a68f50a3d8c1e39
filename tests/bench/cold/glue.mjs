// As small as the code can be that fetches and starts a module.
export default async function init() {
  const url = new URL("../empty.wasm", import.meta.url);
  const { instance } = await WebAssembly.instantiateStreaming(fetch(url), {});
  return instance.exports;
}

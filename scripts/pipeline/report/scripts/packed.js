// What is compressed in the page: unpacked when it is wanted. The page's first script, which starts its own.
export async function unpacked(id) {
  const stream = new DecompressionStream("gzip");
  const writer = stream.writable.getWriter();
  for (const part of [writer.write(fromBase64(document.getElementById(id).textContent)), writer.close()]) part.catch(() => {}); // as reading fails too
  const [reader, decoder] = [stream.readable.getReader(), new TextDecoder()];
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += decoder.decode(part.value, { stream: true });
  return text + decoder.decode();
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Runs a script of the page, once; the page's policy lets it, by the hash of its text, and no other.
const running = new Map(); // name -> promise

export function runScript(name, type = "text/javascript") {
  if (!running.has(name)) {
    running.set(name, unpacked(`script-${name}`).then((text) => {
      document.head.append(Object.assign(document.createElement("script"), { type, textContent: text }));
    }));
  }
  return running.get(name);
}

if (window.DecompressionStream) runScript("page", "module");
else document.getElementById("old-browser").hidden = false;

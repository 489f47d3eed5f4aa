// What is compressed in the page: unpacked when it is wanted. The page's first script, which starts its own.
export async function unpacked(id) {
  const binary = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// Runs a script of the page, once; the page's policy lets it, by the hash of its text, and no other.
const started = new Map();

export function runScript(name, type = "text/javascript") {
  if (!started.has(name)) {
    started.set(name, unpacked(`script-${name}`).then((text) => {
      document.head.append(Object.assign(document.createElement("script"), { type, textContent: text }));
    }));
  }
  return started.get(name);
}

if (window.DecompressionStream) runScript("page", "module");
else document.getElementById("old-browser").hidden = false;

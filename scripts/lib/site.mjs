// A small web site on this machine, for demo and tests to browse.
import { once } from "node:events";
import { createServer } from "node:http";

export const PAGES = {
  "/": "The harbour",
  "/lighthouse": "The lighthouse keeper's log",
  "/tides": "Tides and currents",
  "/knots": "Twelve useful knots",
  "/charts": "Charts of the northern sea",
  "/weather": "The weather at sea",
};

/** One more page, which nobody links to and which has no title. */
export const UNTITLED = "/untitled";

/** Serves the pages on a free port. Returns their address and a function that ends it. */
export async function startSite() {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const title = pathname === UNTITLED ? "" : PAGES[pathname];
    response.writeHead(title === undefined ? 404 : 200, { "Content-Type": "text/html; charset=utf-8" });
    response.end(page(title ?? "Lost at sea"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function page(title) {
  const links = Object.entries(PAGES).map(([path, name]) => `<li><a href="${path}">${name}</a></li>`);
  return `<!doctype html>
<html lang="en">
<title>${title}</title>
<link rel="icon" href="data:," />
<style>body { font: 1.1rem/1.6 Georgia, serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; color: #23343a }</style>
<h1>${title}</h1>
<p>One of a few pages that live only on this machine.</p>
<ul>${links.join("")}</ul>
</html>`;
}

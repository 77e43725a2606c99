// A static file server for the page: no dependency, Range requests for weights, and nothing outside its folders.
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, dirname, extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const library = fileURLToPath(new URL('../../packages/vgg/dist/browser', import.meta.url));

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

const HEADERS = {
  // The two with which a page may share memory between threads (`crossOriginIsolated`).
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  // All that the library itself needs is 'wasm-unsafe-eval'. Weights may come from other hosts; pictures are shown from memory.
  'Content-Security-Policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; img-src 'self' blob:; connect-src 'self' https: http:",
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

/**
 * The page at `/`, the built library at `/vgg/` and, with `weights` (a file, or a folder with a model.json), its folder at `/weights/`.
 * `/config.json` tells the page where the weights are.
 */
export async function createPageServer({ weights } = {}) {
  const served = weights === undefined ? undefined : await locate(weights);
  const folders = [
    ...(served ? [{ prefix: '/weights/', folder: served.folder, only: served.only }] : []),
    { prefix: '/vgg/', folder: library },
    { prefix: '/', folder: here },
  ];
  const config = JSON.stringify({ weights: served ? `/weights/${encodeURIComponent(served.name)}` : null });

  return createServer(async (request, response) => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    try {
      if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET and HEAD are answered');
      const path = pathOf(request.url);
      if (path === undefined) return refuse(response, 400, 'that is no path');
      if (path === '/config.json') return response.setHeader('Content-Type', TYPES['.json']).end(config);
      const { prefix, folder, only } = folders.find((each) => path.startsWith(each.prefix));
      const name = path === '/' ? 'index.html' : path.slice(prefix.length);
      const file = only && !only(name) ? undefined : await inside(folder, name);
      if (file === undefined) return refuse(response, 404, 'there is no such file');
      await send(file, request, response);
    } catch (error) {
      refuse(response, 500, error.code ?? 'the server failed');
    }
  });
}

/** The decoded path of a request; undefined for what only an attack would send. */
function pathOf(url) {
  try {
    const path = decodeURIComponent(url.split(/[?#]/, 1)[0]);
    const odd = path.includes('\0') || path.includes('\\') || path.split('/').some((part) => part === '..' || part.startsWith('.'));
    return path.startsWith('/') && !odd ? path : undefined;
  } catch {
    return undefined;
  }
}

/** The real path of a file of `folder`; undefined where there is none, or where a link leads out of the folder. */
async function inside(folder, name) {
  try {
    const root = await realpath(folder);
    const file = await realpath(join(root, name));
    return file.startsWith(root + sep) && (await stat(file)).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

async function send(file, request, response) {
  const { size } = await stat(file);
  response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
  response.setHeader('Accept-Ranges', 'bytes');
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = range ? Number(range[1]) : 0;
  const end = Math.min(range?.[2] ? Number(range[2]) : size - 1, size - 1);
  if (range && start > end) {
    response.setHeader('Content-Range', `bytes */${size}`);
    return refuse(response, 416, 'the file is shorter');
  }
  response.setHeader('Content-Length', Math.max(0, end - start + 1));
  if (range) response.writeHead(206, { 'Content-Range': `bytes ${start}-${end}/${size}` });
  if (request.method === 'HEAD' || size === 0) return response.end();
  createReadStream(file, { start, end })
    .on('error', () => response.destroy())
    .pipe(response);
}

function refuse(response, status, why) {
  if (response.headersSent) return response.destroy();
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${status}: ${why}\n`);
}

/** The folder and main file of `--weights`. */
async function locate(weights) {
  const found = await stat(weights).catch(() => undefined);
  if (!found) throw new Error(`serve: expected a weight file or folder, received ${weights}, which does not exist`);
  const file = found.isDirectory() ? join(weights, 'model.json') : weights;
  if (!(await stat(file).catch(() => undefined)))
    throw new Error(`serve: expected a model.json in ${weights}; pass the weight file itself`);
  const name = basename(file);
  // A manifest brings its shards along; any other file is served alone.
  const only = extname(name) === '.json' ? undefined : (asked) => asked === name;
  return { folder: dirname(file), name, only };
}

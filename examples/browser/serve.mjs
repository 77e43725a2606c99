// `npm run page [-- --port 8080] [--weights FILE|FOLDER] [--host 127.0.0.1]`: serves the page of this folder.
import { parseArgs } from 'node:util';
import { createPageServer } from './server.mjs';

const USAGE = 'usage: npm run page -- [--port 8080] [--host 127.0.0.1] [--weights FILE|FOLDER]';

try {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, host: { type: 'string' }, weights: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) console.log(USAGE);
  else await serve(values);
} catch (error) {
  console.error(error.code?.startsWith('ERR_PARSE_ARGS') ? `${error.message}\n${USAGE}` : error.message);
  process.exitCode = 1;
}

async function serve({ port = '8080', host = '127.0.0.1', weights }) {
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) throw new Error(`serve: expected a port from 0 to 65535, received ${port}`);
  const server = await createPageServer({ weights });
  await new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(error.code === 'EADDRINUSE' ? new Error(`serve: port ${port} is taken; pass another with --port`) : error),
    );
    server.listen(Number(port), host, resolve);
  });
  const { address, port: bound, family } = server.address();
  // Browsers treat http on localhost as secure, which WebGPU and shared memory need.
  const name = address === '127.0.0.1' || address === '::1' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  console.log(`http://${name}:${bound}/${weights ? `  with the weights of ${weights}` : ''}`);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      server.close();
      server.closeAllConnections();
    });
  }
}

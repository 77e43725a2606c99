#!/usr/bin/env node
// A file of its own, and not the bundle, so that npm can link it in a clone that is not built yet.
import('../dist/cli.js').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !error.message.includes('cli.js')) throw error;
  console.error('vgg: this clone is not built yet; run npm run build');
  process.exitCode = 1;
});

import { afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { type Backend, type BackendName, openBackend, probeBackends } from '../src/index.js';

const inBrowser = typeof document !== 'undefined';
const reports = await probeBackends();

/**
 * Runs the same specs on every backend of this platform, in Node or in a page. A backend that is absent is skipped by name, with its
 * reason; in a browser on CI it is a failure, since the browser there is ours. After each test no tensor may be left.
 */
export function describeEachBackend(name: string, body: (backend: () => Backend) => void): void {
  for (const report of reports) {
    const title = `${name} on ${report.name}`;
    if (!report.available && !(inBrowser && isCi())) {
      describe.skip(`${title}: ${report.reason}`, () => body(() => never(report.name)));
      continue;
    }
    describe(title, () => {
      let backend: Backend;
      let before = 0;
      beforeAll(async () => {
        backend = await openBackend(report.name);
      });
      beforeEach(() => {
        before = backend.memory().tensors;
      });
      afterEach(() => {
        backend.check();
        expect(backend.memory().tensors - before, 'tensors left by this test').toBe(0);
      });
      body(() => backend);
    });
  }
}

function never(name: BackendName): never {
  throw new Error(`backend ${name} is not there`);
}

function isCi(): boolean {
  const env = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {};
  return Boolean(env.CI ?? (import.meta as unknown as { env?: Record<string, string> }).env?.CI);
}

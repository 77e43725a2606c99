// `npm test`: builds, checks (types, lint, package, size), then every spec in Node and in Chromium. `npm test -- FILTER` passes a filter to vitest.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const filters = process.argv.slice(2);
const results = { passed: 0, failed: 0, skipped: 0 };

function step(name, command, args) {
  console.log(`\n> ${name}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' });
  results[status === 0 ? 'passed' : 'failed']++;
  if (status !== 0) console.log(`${name} failed`);
  return status === 0;
}

function specs() {
  const folder = mkdtempSync(join(tmpdir(), 'vgg-test-'));
  const report = join(folder, 'report.json');
  try {
    console.log('\n> specs in Node and Chromium');
    const args = ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters];
    const { status } = spawnSync('npx', args, { stdio: 'inherit', shell: process.platform === 'win32' });
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    // A file that could not even be loaded has no tests to count.
    const broken = testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    );
    for (const file of broken) console.log(`could not run: ${file.name}`);
    results.passed += numPassedTests;
    results.failed += numFailedTests + broken.length;
    results.skipped += numPendingTests;
    if (status !== 0 && numFailedTests + broken.length === 0) results.failed++;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const built = step('build', 'npm', ['run', '--silent', 'build']);
if (built) {
  step('checks', 'npm', ['run', '--silent', 'check']);
  specs();
}
console.log(`\n${results.passed} passed, ${results.failed} failed${results.skipped ? `, ${results.skipped} skipped` : ''}`);
process.exitCode = results.failed > 0 ? 1 : 0;

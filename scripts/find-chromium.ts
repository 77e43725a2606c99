import { existsSync } from 'node:fs';
import { chromium } from 'playwright';

/** Flags with which Chromium stays quiet and offline, and gives WebGPU on its software adapter. */
export const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** What to tell a person whose machine has no browser for the tests. */
export const NO_CHROMIUM =
  'no Chromium found: install one (Debian: apt-get install chromium; elsewhere: npx playwright install chromium) or set VGG_CHROMIUM to its path';

/** The path of a Chromium or Chrome on this machine; `undefined` where there is none. */
export function findChromium(): string | undefined {
  const candidates = [
    process.env.VGG_CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:/Program Files/Google/Chrome/Application/chrome.exe',
    chromium.executablePath(),
  ];
  return candidates.find((path) => path && existsSync(path));
}

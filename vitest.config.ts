import { existsSync } from 'node:fs';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { CHROMIUM_ARGS, findChromium, NO_CHROMIUM } from './scripts/find-chromium.ts';
import { inlined } from './scripts/inline.ts';

// One spec serves both platforms: *.test.ts runs in Node and in Chromium, *.node.test.ts and *.web.test.ts in one of them.
const specs = ['packages/*/src/**/*.test.ts', 'packages/*/test/**/*.test.ts'];

// Chromium brings a Vulkan driver that runs on the CPU; with it Node has WebGPU too.
const SOFTWARE_VULKAN = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_ICD_FILENAMES && existsSync(SOFTWARE_VULKAN)) process.env.VK_ICD_FILENAMES = SOFTWARE_VULKAN;

const node: TestProjectConfiguration = {
  plugins: [inlined()],
  resolve: { conditions: ['@vgg/source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['@vgg/source', 'node', 'import', 'default'] } },
  test: {
    name: 'node',
    include: [...specs, 'tests/**/*.test.ts'],
    exclude: ['**/*.web.test.ts', '**/node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { inline: [/@vgg\//] } },
  },
};

function web(executablePath: string): TestProjectConfiguration {
  return {
    plugins: [inlined()],
    resolve: { conditions: ['@vgg/source', 'browser', 'import', 'default'] },
    optimizeDeps: {
      include: [
        '@tensorflow/tfjs-core',
        '@tensorflow/tfjs-backend-cpu',
        '@tensorflow/tfjs-backend-wasm',
        '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js',
        '@tensorflow/tfjs-backend-webgpu',
        '@noble/hashes/sha2.js',
        '@noble/hashes/legacy.js',
        'protobufjs',
        'fast-check',
      ],
      exclude: ['sharp', 'webgpu'],
    },
    // Cross-origin isolated, so that memory may be shared.
    server: { headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } },
    test: {
      name: 'web',
      include: specs,
      exclude: ['**/*.node.test.ts', '**/node_modules/**'],
      testTimeout: 60_000,
      hookTimeout: 60_000,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({ launchOptions: { executablePath, args: CHROMIUM_ARGS } }),
        instances: [{ browser: 'chromium' }],
      },
    },
  };
}

const chromium = findChromium();
if (!chromium) {
  if (process.env.CI) throw new Error(`browser tests: ${NO_CHROMIUM}`);
  console.warn(`browser tests skipped (project web): ${NO_CHROMIUM}`);
}

export default defineConfig({ test: { projects: chromium ? [node, web(chromium)] : [node] } });

import { describe, expect, it } from 'vitest';
import { startTurbo } from './turbo.js';

describe('startTurbo', () => {
  const node = (v8: string, more = {}) => {
    const flags: string[] = [];
    const v8Module = { setFlagsFromString: (flag: string) => void flags.push(flag) };
    return { flags, globals: { process: { versions: { v8, ...more }, getBuiltinModule: () => v8Module } } };
  };

  it('sets the flag in Node 24', () => {
    const { flags, globals } = node('13.6.233.10-node.28');
    expect(startTurbo('relaxed', globals)).toEqual({ on: true, why: expect.stringContaining('--experimental-wasm-revectorize') });
    expect(flags).toEqual(['--experimental-wasm-revectorize']);
  });

  it.each([
    ['a page', {}, 'relaxed' as const, /for Node/],
    ['Node 22', node('12.4.254.21-node.33').globals, 'relaxed' as const, /needs Node 24 .*12\.4\.254/],
    ['an engine without relaxed SIMD', node('13.6').globals, 'fixed' as const, /needs relaxed SIMD/],
    ['Bun', node('13.6', { bun: '1.4.0' }).globals, 'relaxed' as const, /for Node/],
  ])('does nothing in %s, and says why', (_, globals, simd, why) => {
    expect(startTurbo(simd, globals)).toEqual({ on: false, why: expect.stringMatching(why) });
  });
});

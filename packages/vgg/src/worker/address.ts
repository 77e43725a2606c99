/**
 * Where the worker's script is. Only the ready-made bundle of dist/browser knows, and its build puts the address here (see
 * rollup.config.ts); in an application's own bundle it is undefined.
 */
export const scriptAddress = (): string | undefined => undefined;

export * from './format.js';
export * from './source.js';
